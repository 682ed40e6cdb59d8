// What a peer that is not trusted may cost the loop in a second: bytes, and the thread's processor time for all that is
// done with them. A second begins with the first use after the last one's end. Plain data, one thread.
#pragma once

#include <cstdint>

namespace hearth {

struct Budget {
  std::int64_t bytes_per_second = 0;
  std::int64_t micros_per_second = 0;  // of processor time
};

class Meter {
 public:
  explicit Meter(Budget budget) : budget_(budget) {}

  // False once more than the budget was spent in this second.
  bool Spend(std::int64_t now_ms, std::int64_t bytes, std::int64_t micros) {
    if (now_ms - begin_ms_ >= 1000) {
      begin_ms_ = now_ms;
      bytes_ = micros_ = 0;
    }
    bytes_ += bytes;
    micros_ += micros;
    return bytes_ <= budget_.bytes_per_second && micros_ <= budget_.micros_per_second;
  }

 private:
  Budget budget_;
  std::int64_t begin_ms_ = 0;
  std::int64_t bytes_ = 0;
  std::int64_t micros_ = 0;
};

}  // namespace hearth
