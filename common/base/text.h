// Texts that others wrote, within a limit.
#pragma once

#include <cstddef>
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

}  // namespace hearth
