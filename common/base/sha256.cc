#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/base/sha256.h"

#include <array>

namespace hearth {

std::string ToHex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char each : bytes) {
    const auto byte = static_cast<unsigned char>(each);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

Sha256::Sha256() : state_() {
  SHA256_Init(&state_);
}

void Sha256::Update(std::string_view bytes) {
  SHA256_Update(&state_, bytes.data(), bytes.size());
}

std::string Sha256::FinishHex() {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &state_);
  return ToHex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.FinishHex();
}

}  // namespace hearth
