// Numbers of what the dispatcher keeps at Kafka (commits' metadata, ledger pages), in as few bytes as they need: seven
// bits a byte, the lowest first, the highest bit set in all but the last. One number has one writing. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::dispatcher {

constexpr std::int64_t kMaxVarint = std::int64_t{1} << 56;  // the largest that is read

inline void AppendVarint(std::string& out, std::int64_t value) {
  auto rest = static_cast<std::uint64_t>(value);
  while (rest >= 0x80) {
    out.push_back(static_cast<char>((rest & 0x7f) | 0x80));
    rest >>= 7;
  }
  out.push_back(static_cast<char>(rest));
}

// Reads what AppendVarint wrote; only the shortest writing of a number is taken, and none above kMaxVarint.
class VarintCursor {
 public:
  explicit VarintCursor(std::string_view bytes) : bytes_(bytes) {}

  // False: the bytes end here, or are no such number.
  bool Byte(char& out) {
    if (at_ >= bytes_.size()) return false;
    out = bytes_[at_++];
    return true;
  }
  bool Varint(std::int64_t& out) {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      char byte = 0;
      if (!Byte(byte)) return false;
      const auto bits = static_cast<std::uint64_t>(static_cast<unsigned char>(byte));
      value |= (bits & 0x7f) << shift;
      if ((bits & 0x80) == 0) {
        if (bits == 0 && shift > 0) return false;
        out = static_cast<std::int64_t>(value);
        return value <= static_cast<std::uint64_t>(kMaxVarint);
      }
    }
    return false;
  }
  [[nodiscard]] std::string_view rest() const { return bytes_.substr(at_); }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace hearth::dispatcher
