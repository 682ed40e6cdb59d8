// Texts that others wrote, within a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hearth {

// The longest beginning of at most `most` bytes that does not end in the middle of a letter of UTF-8.
inline std::string CutText(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  std::size_t end = most;
  while (end > 0 && most - end < 4 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end));
}

// The longest end of at most `most` bytes that does not begin in the middle of a letter of UTF-8.
inline std::string_view CutTextFront(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t begin = text.size() - most;
  for (int i = 0; i < 3 && begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U; ++i)
    ++begin;
  return text.substr(begin);
}

// One letter of UTF-8 at the beginning of `text`: how many bytes it has and which letter it is; no bytes where it is
// none.
struct Letter {
  std::size_t bytes = 0;
  char32_t point = 0;
};
Letter FirstLetter(std::string_view text);

// The text as a terminal or a log may show it: what is no letter stands as \xHH (a byte) or \u{HHHH}. That is control
// characters, separators of lines, marks that turn the direction of writing, and bytes that are not UTF-8. Nothing else
// is changed, so that a text of letters stays as it is.
std::string EscapeControls(std::string_view text, bool keep_newlines = false);

// A text of others as a value in a line of the log: as it is where it is one word of [A-Za-z0-9._:/@+-], else in quotes
// with \" and \\ inside.
std::string Quoted(std::string_view text);

}  // namespace hearth
