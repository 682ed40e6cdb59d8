#include "tools/bench/arguments.h"

#include <array>
#include <cctype>

namespace hearth::bench {
namespace {

// As libvirt writes them: words apart by blanks and "\<newline>", in single quotes where they need it.
std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  bool open = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\'') {
        quoted = false;
      } else {
        word += c;
      }
    } else if (c == '\'') {
      quoted = open = true;
    } else if (c == '\\' && i + 1 < text.size()) {
      if (text[++i] == '\n') continue;
      word += text[i];
      open = true;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      if (open) words.push_back(std::move(word));
      word.clear();
      open = false;
    } else {
      word += c;
      open = true;
    }
  }
  if (open) words.push_back(std::move(word));
  return words;
}

// The text of the last start: from the program to the line that is not continued.
std::string_view LastStart(std::string_view log) {
  constexpr std::string_view kProgram = "\n/usr/bin/qemu-system-x86_64 \\\n";
  const auto at = log.rfind(kProgram);
  if (at == std::string_view::npos) return {};
  std::size_t end = at + 1;
  while (end < log.size()) {
    const auto line_end = std::min(log.find('\n', end), log.size());
    const bool goes_on = line_end > end && log[line_end - 1] == '\\';
    end = line_end + 1;
    if (!goes_on) break;
  }
  return log.substr(at + 1, std::min(end, log.size()) - at - 1);
}

bool IsLibvirts(const std::string& option, const std::string& value) {
  if (option == "-object") return value.find("\"qom-type\":\"secret\"") != std::string::npos;
  if (option == "-chardev") return value.find("id=charmonitor") != std::string::npos;
  return option == "-mon" || option == "-add-fd";
}

}  // namespace

Result<std::vector<std::string>> HandArguments(std::string_view log, const std::string& socket) {
  const auto words = SplitWords(LastStart(log));
  if (words.empty()) return Fail(Code::kInvalid, "no start of QEMU in libvirt's log");
  constexpr std::array<std::string_view, 2> kAlone = {"-S", "-daemonize"};
  std::vector<std::string> arguments = {words.front()};
  bool link = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == kAlone[0] || words[i] == kAlone[1]) continue;
    const bool has_value = words[i].starts_with('-') && i + 1 < words.size() && !words[i + 1].starts_with('-');
    if (!has_value) {
      arguments.push_back(words[i]);
      continue;
    }
    std::string value = words[i + 1];
    const std::string& option = words[i++];
    if (IsLibvirts(option, value)) continue;
    if (option == "-chardev" && value.find("id=charchannel") != std::string::npos) {
      value = "socket," + value.substr(value.find("id=charchannel"));
      value = value.substr(0, value.find(',', value.find("id=charchannel"))) + ",path=" + socket;
      link = true;
    }
    arguments.insert(arguments.end(), {option, value});
  }
  if (!link) return Fail(Code::kInvalid, "the start in libvirt's log has no guest link");
  return arguments;
}

}  // namespace hearth::bench
