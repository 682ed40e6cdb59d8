// SHA-256 after FIPS 180-4, incremental. Own code because the agent is static and a whole libcrypto for one hash would
// be four fifths of the initramfs.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::guest {

class Sha256 {
 public:
  void Update(std::string_view bytes);
  // 64 lower-case hex digits. The object is spent afterwards.
  std::string FinishHex();

 private:
  void Block(const unsigned char* block);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> pending_{};
  std::size_t pending_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace hearth::guest
