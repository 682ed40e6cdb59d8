#include "tools/hearth/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace hearth::tool {

Result<void> AddVariable(Variables& variables, std::string_view text, const Lookup& own) {
  const auto equals = text.find('=');
  std::string name(text.substr(0, equals));
  if (name.empty()) return Fail(Code::kInvalid, "expected NAME=VALUE or NAME");
  if (name.find_first_of(" \t") != std::string::npos) {
    return Fail(Code::kInvalid, "the name '" + name + "' has a space in it");
  }
  if (equals != std::string_view::npos) {
    variables[std::move(name)] = text.substr(equals + 1);
    return {};
  }
  auto value = own(name);
  if (!value) return Fail(Code::kInvalid, name + " has no value, and is not set where the command runs");
  variables[std::move(name)] = std::move(*value);
  return {};
}

Result<void> AddVariables(Variables& variables, std::string_view text, const Lookup& own) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty() || line.starts_with('#')) continue;
    if (auto added = AddVariable(variables, line, own); !added) {
      return FailWith("line " + std::to_string(number), added.error());
    }
  }
  return {};
}

Result<void> AddVariablesOfFile(Variables& variables, const std::string& file, const Lookup& own) {
  std::ifstream in(file, std::ios::binary);
  std::string text(kMaxEnvFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.gcount() == 0 && !in.eof())) return Fail(Code::kInvalid, file + " cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxEnvFileBytes) {
    return Fail(Code::kInvalid, fmt::format("{} has more than {} bytes", file, kMaxEnvFileBytes));
  }
  if (auto added = AddVariables(variables, text, own); !added) return FailWith(file, added.error());
  return {};
}

std::optional<std::string> OwnVariable(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace hearth::tool
