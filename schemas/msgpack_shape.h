// A look over msgpack before it is unpacked: a declared size is believed only if the bytes for it are there, so what is
// allocated afterwards is bounded by what was received.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/base/result.h"
#include "schemas/limits.h"

namespace hearth::codec {

// Elements of one array, or pairs of one map: what is declared above it is refused before anything is allocated.
constexpr std::size_t kMaxElements = 200'000;

// One well-formed value, nothing after it, no extension types, at most kMaxMsgpackDepth deep and of no more than
// kMaxElements anywhere. kExhausted for these two, kInvalid for all else.
inline Result<void> CheckShape(std::string_view bytes) {
  std::array<std::uint64_t, kMaxMsgpackDepth + 1> pending{};  // values still to come, by depth
  std::uint64_t all_pending = 1;
  std::size_t depth = 0;
  std::size_t at = 0;
  pending[0] = 1;
  const auto number = [&](std::size_t width, std::uint64_t& value) {
    if (bytes.size() - at < width) return false;
    value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
    at += width;
    return true;
  };
  const auto cut = [] { return Fail(Code::kInvalid, "msgpack: it declares more than there is"); };
  while (true) {
    while (pending[depth] == 0) {
      if (depth == 0) {
        if (at != bytes.size()) return Fail(Code::kInvalid, "msgpack: bytes are left over");
        return {};
      }
      --depth;
    }
    // Each value to come takes at least one byte.
    if (all_pending > bytes.size() - at) return cut();
    --pending[depth];
    --all_pending;
    const auto lead = static_cast<unsigned char>(bytes[at++]);
    std::uint64_t skip = 0;
    std::uint64_t children = 0;
    bool nested = false;
    if (lead <= 0x7f || lead >= 0xe0 || lead == 0xc0 || lead == 0xc2 || lead == 0xc3) {
      continue;
    } else if (lead <= 0x8f) {
      nested = true;
      children = 2U * (lead & 0x0fU);
    } else if (lead <= 0x9f) {
      nested = true;
      children = lead & 0x0fU;
    } else if (lead <= 0xbf) {
      skip = lead & 0x1fU;
    } else if (lead >= 0xc4 && lead <= 0xc6) {  // bin
      if (!number(std::size_t{1} << (lead - 0xc4U), skip)) return cut();
    } else if (lead >= 0xd9 && lead <= 0xdb) {  // str
      if (!number(std::size_t{1} << (lead - 0xd9U), skip)) return cut();
    } else if (lead == 0xca || lead == 0xcb) {  // floats
      skip = lead == 0xca ? 4 : 8;
    } else if (lead >= 0xcc && lead <= 0xd3) {  // integers: 1, 2, 4, 8 bytes, without sign and with
      skip = std::uint64_t{1} << ((lead - 0xccU) & 3U);
    } else if (lead == 0xdc || lead == 0xdd) {  // array
      nested = true;
      if (!number(lead == 0xdc ? 2 : 4, children)) return cut();
    } else if (lead == 0xde || lead == 0xdf) {  // map
      nested = true;
      if (!number(lead == 0xde ? 2 : 4, children)) return cut();
      children *= 2;
    } else {
      return Fail(Code::kInvalid, "msgpack: a type that hearth does not use");
    }
    if (skip > bytes.size() - at) return cut();
    at += skip;
    if (nested) {
      if (children > bytes.size() - at) return cut();
      const bool is_map = lead <= 0x8f || lead >= 0xde;
      if (children > (is_map ? 2 : 1) * kMaxElements) {
        return Fail(Code::kExhausted, "msgpack: an array or a map of more than " + std::to_string(kMaxElements));
      }
      if (depth == kMaxMsgpackDepth) {
        return Fail(Code::kExhausted, "msgpack: nested deeper than " + std::to_string(kMaxMsgpackDepth));
      }
      pending[++depth] = children;
      all_pending += children;
    }
  }
}

}  // namespace hearth::codec
