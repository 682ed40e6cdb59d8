#include "schemas/why.h"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace hearth {
namespace {

bool Allowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == ':' || c == '/' || c == '-';
}

}  // namespace

void AddWhy(std::string& why, std::string_view key, std::string_view value, std::size_t most) {
  if (value.empty()) return;
  const std::size_t size = why.size() + (why.empty() ? 0 : 1) + key.size() + 1 + value.size();
  if (size > most) return;
  if (!why.empty()) why += ' ';
  why += key;
  why += '=';
  for (const char c : value) why += Allowed(c) ? c : '_';
}

void AddWhy(std::string& why, std::string_view key, std::int64_t value, std::size_t most) {
  char digits[24];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value);
  AddWhy(why, key, std::string_view(digits, static_cast<std::size_t>(end.ptr - digits)), most);
}

std::string_view CutWhy(std::string_view why, std::size_t most) {
  if (why.size() <= most) return why;
  const auto space = why.rfind(' ', most);
  return why.substr(0, space == std::string_view::npos ? 0 : space);
}

std::vector<std::pair<std::string, std::string>> ParseWhy(std::string_view why) {
  std::vector<std::pair<std::string, std::string>> words;
  while (!why.empty()) {
    const auto end = std::min(why.find(' '), why.size());
    const std::string_view word = why.substr(0, end);
    const auto equals = word.find('=');
    if (equals != std::string_view::npos && equals > 0) {
      words.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
    why.remove_prefix(std::min(end + 1, why.size()));
  }
  return words;
}

}  // namespace hearth
