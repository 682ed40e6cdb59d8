#include "tools/hearth/ways_out.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "tools/hearth/nearest.h"

namespace hearth::tool {
namespace {

constexpr std::size_t kMaxNamed = 12;  // of functions or files, in one message
constexpr std::string_view kSuffix = ".py";

std::string Enumerate(std::vector<std::string> names) {
  const std::size_t all = names.size();
  if (all > kMaxNamed) names.resize(kMaxNamed);
  auto text = fmt::format("{}", fmt::join(names, ", "));
  if (all > kMaxNamed) text += fmt::format(" and {} more", all - kMaxNamed);
  return text;
}

bool IsWordPart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool HasWord(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool begins = at == 0 || !IsWordPart(text[at - 1]);
    const bool ends = at + word.size() == text.size() || !IsWordPart(text[at + word.size()]);
    if (begins && ends) return true;
  }
  return false;
}

struct DottedHandler {
  std::string path;  // of the module, without a suffix
  std::string function;
};
DottedHandler TakeApart(const std::string& handler) {
  const auto dot = std::min(handler.rfind('.'), handler.size());
  std::string path = handler.substr(0, dot);
  std::ranges::replace(path, '.', '/');
  return {std::move(path), handler.substr(std::min(dot + 1, handler.size()))};
}

// "app.handler" for each module of the code that defines the function.
std::vector<std::string> HandlersNamed(const std::string& function, const std::vector<CodeFile>& files) {
  std::vector<std::string> found;
  for (const auto& file : files) {
    if (!file.name.ends_with(kSuffix) || !HasWord(file.content, "def " + function)) continue;
    std::string module = file.name.substr(0, file.name.size() - kSuffix.size());
    std::ranges::replace(module, '/', '.');
    found.push_back(module + "." + function);
  }
  return found;
}

Result<void> CheckModule(const std::string& handler, const std::vector<CodeFile>& files) {
  const auto [path, function] = TakeApart(handler);
  // A module, a package, or one that is compiled.
  const auto is_it = [&](const CodeFile& file) {
    return file.name.starts_with(path + ".") || file.name.starts_with(path + "/");
  };
  if (std::ranges::any_of(files, is_it)) return {};
  std::vector<std::string> modules;
  for (const auto& file : files) {
    if (file.name.ends_with(kSuffix)) modules.push_back(file.name);
  }
  std::string message = fmt::format("the code has no module for the handler {}: no {}.py; it has {}", handler, path,
                                    modules.empty() ? "no .py file at all" : Enumerate(modules));
  if (const auto meant = HandlersNamed(function, files); !meant.empty())
    message += "; did you mean " + meant.front() + "?";
  return Fail(Code::kNotFound, std::move(message));
}

Result<void> CheckProgram(const std::string& handler, const std::vector<CodeFile>& files) {
  const auto found = std::ranges::find(files, handler, &CodeFile::name);
  if (found == files.end()) {
    std::vector<std::string> programs;
    for (const auto& file : files) {
      if (file.executable) programs.push_back(file.name);
    }
    return Fail(Code::kNotFound, fmt::format("the code has no program {}; it has {}", handler,
                                             programs.empty() ? "nothing that may be executed" : Enumerate(programs)));
  }
  if (!found->executable) return Fail(Code::kInvalid, handler + " may not be executed: chmod +x");
  return {};
}

template <class T>
T ReadAt(std::string_view bytes, std::size_t offset) {
  T value{};
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof value)
    std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Whether the kernel would start another program for it, which no container has: the loader of shared libraries.
bool NeedsLoader(std::string_view program) {
  const auto header = ReadAt<Elf64_Ehdr>(program, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return false;
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    if (ReadAt<Elf64_Phdr>(program, header.e_phoff + i * sizeof(Elf64_Phdr)).p_type == PT_INTERP) return true;
  }
  return false;
}

std::string DoubtAboutProgram(const std::string& handler, const std::vector<CodeFile>& files) {
  const auto program = std::ranges::find(files, handler, &CodeFile::name);
  if (program == files.end() || !NeedsLoader(program->content)) return "";
  return handler + " is linked with shared libraries, which containers do not have: link it with -static";
}

}  // namespace

std::string KafkaWayOut(const Context& context, const Error& error) {
  if (error.code == Code::kUnavailable) {
    return context.bootstrap.Another() + "\nhearth status tells what is reachable";
  }
  if (error.code == Code::kNotFound) return "hearth topics list tells which topics there are";
  return "";
}

std::string RedisWayOut(const Context& context, const Error& error) {
  const auto account = [&] {
    const auto user = context.redis_user.empty() ? "no account is named" : "the account " + context.redis_user.Source();
    const auto password = context.redis_password_file.empty()
                              ? "no password file is named"
                              : "its password is the first line of " + context.redis_password_file.Source();
    return fmt::format("{}, {}\n{} and {} name others", user, password, context.redis_user.Ways(),
                       context.redis_password_file.Ways());
  };
  const auto says = [&](std::string_view word) { return error.message.find(word) != std::string::npos; };
  if (error.code == Code::kUnavailable || says("expected unix:PATH")) {
    return context.redis.Another() + "\nhearth status tells what is reachable";
  }
  if (says("WRONGPASS") || says("NOAUTH") || says("password")) return account();
  if (says("NOPERM")) return account() + "\nit needs what docs/directory.md says under The account";
  return "";
}

std::string FunctionWayOut(const Setting& user, std::string_view name, const std::vector<KnownFunction>& known) {
  std::vector<std::string> own;
  std::vector<std::string> others;
  for (const auto& function : known) {
    if (function.user == user.value) {
      own.push_back(function.name);
    } else if (function.name == name) {
      others.push_back(function.user);
    }
  }
  std::string text = own.empty() ? fmt::format("{} has no functions", user.value)
                                 : fmt::format("{} has {}{}", user.value, Enumerate(own), DidYouMean(name, own));
  if (user.origin == Origin::kDefault) text += "\nthe user " + user.Another();
  if (!others.empty()) text += fmt::format("\na function {} belongs to {}", name, Enumerate(others));
  return text + fmt::format("\nhearth deploy {} --handler HANDLER PATH deploys it", name);
}

Result<void> CheckHandler(Runtime runtime, const std::string& handler, const std::vector<CodeFile>& files) {
  return RowOf(runtime).dotted_handler ? CheckModule(handler, files) : CheckProgram(handler, files);
}

std::string DoubtAboutHandler(Runtime runtime, const std::string& handler, const std::vector<CodeFile>& files) {
  if (!RowOf(runtime).dotted_handler) return DoubtAboutProgram(handler, files);
  const auto [path, function] = TakeApart(handler);
  const auto module = std::ranges::find(files, path + std::string(kSuffix), &CodeFile::name);
  // Names may come from elsewhere: what is imported whole, or made when the module is loaded.
  if (module == files.end() || HasWord(module->content, function) || HasWord(module->content, "import *") ||
      HasWord(module->content, "__getattr__") || HasWord(module->content, "globals")) {
    return "";
  }
  const auto meant = HandlersNamed(function, files);
  return fmt::format("{} seems to have no function {}{}", module->name, function,
                     meant.empty() ? "" : "; did you mean " + meant.front() + "?");
}

}  // namespace hearth::tool
