// How many lines of one kind a log takes in a second. What happens once for each record would be the log where somebody
// sends many: the first lines of a second are written, the others are counted, and the count is told once.
#pragma once

#include <cstdint>
#include <utility>

namespace hearth {

constexpr std::int64_t kLinesOfAKindPerSecond = 10;

// One thread. Times are on the monotonic clock.
class LineBudget {
 public:
  // Whether a line may be written now. Where it may not, it is counted.
  [[nodiscard]] bool Take(std::int64_t now_us) {
    constexpr std::int64_t kSecondUs = 1'000'000;
    if (now_us - since_us_ >= kSecondUs) {
      since_us_ = now_us;
      taken_ = 0;
    }
    if (taken_ < kLinesOfAKindPerSecond) {
      ++taken_;
      return true;
    }
    ++left_out_;
    return false;
  }
  // Lines that were left out since the last call.
  [[nodiscard]] std::int64_t TakeLeftOut() { return std::exchange(left_out_, 0); }

 private:
  std::int64_t since_us_ = 0;
  std::int64_t taken_ = kLinesOfAKindPerSecond;  // until the first second begins
  std::int64_t left_out_ = 0;
};

}  // namespace hearth
