#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hearth {
namespace {

bool IsControl(char32_t point) {
  const auto within = [point](char32_t first, char32_t last) { return point >= first && point <= last; };
  return point < 0x20 || within(0x7f, 0x9f) ||  // C0, DEL, C1
         point == 0x61c || within(0x200b, 0x200f) || within(0x2028, 0x202e) || within(0x2060, 0x206f) ||
         point == 0xfeff || within(0xfff9, 0xfffb) || within(0xe0000, 0xe007f);
}

std::string Hex(const char* format, unsigned value) {
  std::array<char, 16> text{};
  const int size = std::snprintf(text.data(), text.size(), format, value);
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace

Letter FirstLetter(std::string_view text) {
  if (text.empty()) return {};
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {1, lead};
  const std::size_t bytes = (lead & 0xe0U) == 0xc0 ? 2 : (lead & 0xf0U) == 0xe0 ? 3 : (lead & 0xf8U) == 0xf0 ? 4 : 0;
  if (bytes == 0 || bytes > text.size()) return {};
  char32_t point = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0U) != 0x80) return {};
    point = (point << 6U) | (next & 0x3fU);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < kLeast[bytes] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return {};
  return {bytes, point};
}

std::string EscapeControls(std::string_view text, bool keep_newlines) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const Letter letter = FirstLetter(text);
    const std::size_t bytes = std::max<std::size_t>(1, letter.bytes);
    if (letter.bytes == 0 || (letter.bytes == 1 && IsControl(letter.point) && !(keep_newlines && text[0] == '\n'))) {
      shown += Hex("\\x%02x", static_cast<unsigned char>(text[0]));
    } else if (letter.bytes > 1 && IsControl(letter.point)) {
      shown += Hex("\\u{%x}", letter.point);
    } else {
      shown += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return shown;
}

std::string Quoted(std::string_view text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace hearth
