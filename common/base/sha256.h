// SHA-256, the name of a code archive.
#pragma once

// The functions that take their state from the caller: a program that needs nothing else of OpenSSL (the static guest
// agent) then links nothing else. OpenSSL 3 calls them deprecated in favour of ones that bring all of it along.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#undef OPENSSL_SUPPRESS_DEPRECATED

#include <string>
#include <string_view>

namespace hearth {

std::string ToHex(std::string_view bytes);  // lower case

// Takes bytes piece by piece. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  void Update(std::string_view bytes);
  // The digest in lower-case hex. Call once, last.
  std::string FinishHex();

 private:
  SHA256_CTX state_;
};

std::string Sha256Hex(std::string_view bytes);

}  // namespace hearth
