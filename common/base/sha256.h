// SHA-256, the name of a code archive, and what is made of it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace hearth {

std::string ToHex(std::string_view bytes);  // lower case

// Takes bytes piece by piece. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view bytes);
  // The digest in lower-case hex. Call once, last.
  std::string FinishHex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string Sha256Hex(std::string_view bytes);
// In lower-case hex.
std::string HmacSha256Hex(std::string_view key, std::string_view bytes);
// The time that it takes depends on the sizes alone.
bool EqualInConstantTime(std::string_view a, std::string_view b);

}  // namespace hearth
