// msgpack that CheckShape has found well-formed (msgpack_shape.h), read where it lies: no tree of it is made, and
// nothing is copied. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hearth::codec {

struct Item {
  enum class Kind : std::uint8_t { kNil, kBool, kUnsigned, kNegative, kFloat, kText, kBytes, kArray, kMap };
  Kind kind = Kind::kNil;
  // Of a bool 0 or 1, of an array the number of its elements, of a map that of its pairs. A negative number stands as
  // its two's complement.
  std::uint64_t number = 0;
  std::string_view text;       // of a text, or of bytes
  const char* next = nullptr;  // what follows; of an array or a map, its first element
};

// The value that begins there. One must.
inline Item ReadItem(const char* at) {
  using Kind = Item::Kind;
  const auto lead = static_cast<unsigned char>(*at++);
  const auto number = [&at](std::size_t width) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8U | static_cast<unsigned char>(*at++);
    return value;
  };
  const auto signed_number = [&](std::size_t width) {
    const std::size_t shift = 64 - 8 * width;
    const auto value = static_cast<std::int64_t>(number(width) << shift) >> shift;
    return Item{value < 0 ? Kind::kNegative : Kind::kUnsigned, static_cast<std::uint64_t>(value), {}, at};
  };
  const auto text = [&at](Kind kind, std::uint64_t bytes) {
    return Item{kind, 0, {at, static_cast<std::size_t>(bytes)}, at + bytes};
  };
  if (lead <= 0x7f) return {Kind::kUnsigned, lead, {}, at};
  if (lead <= 0x8f) return {Kind::kMap, lead & 0x0fU, {}, at};
  if (lead <= 0x9f) return {Kind::kArray, lead & 0x0fU, {}, at};
  if (lead <= 0xbf) return text(Kind::kText, lead & 0x1fU);
  if (lead >= 0xe0) {
    return {Kind::kNegative, static_cast<std::uint64_t>(std::int64_t{static_cast<signed char>(lead)}), {}, at};
  }
  if (lead == 0xc2 || lead == 0xc3) return {Kind::kBool, lead & 1U, {}, at};
  if (lead >= 0xc4 && lead <= 0xc6) {
    const auto bytes = number(std::size_t{1} << (lead - 0xc4U));
    return text(Kind::kBytes, bytes);
  }
  if (lead == 0xca || lead == 0xcb) return {Kind::kFloat, 0, {}, at + (lead == 0xca ? 4 : 8)};
  if (lead >= 0xcc && lead <= 0xcf) {
    const auto value = number(std::size_t{1} << (lead - 0xccU));
    return {Kind::kUnsigned, value, {}, at};
  }
  if (lead >= 0xd0 && lead <= 0xd3) return signed_number(std::size_t{1} << (lead - 0xd0U));
  if (lead >= 0xd9 && lead <= 0xdb) {
    const auto bytes = number(std::size_t{1} << (lead - 0xd9U));
    return text(Kind::kText, bytes);
  }
  if (lead >= 0xdc && lead <= 0xdf) {
    const auto count = number((lead & 1U) == 0 ? 2 : 4);
    return {lead <= 0xdd ? Kind::kArray : Kind::kMap, count, {}, at};
  }
  return {Kind::kNil, 0, {}, at};
}

// What follows the value that begins there, and all that is in it.
inline const char* SkipItem(const char* at) {
  for (std::uint64_t left = 1; left > 0; --left) {
    const Item item = ReadItem(at);
    at = item.next;
    if (item.kind == Item::Kind::kArray) left += item.number;
    if (item.kind == Item::Kind::kMap) left += 2 * item.number;
  }
  return at;
}

}  // namespace hearth::codec
