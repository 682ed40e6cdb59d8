// Counts of durations, in buckets whose width grows with the duration, so that any share of them is known to within one
// part in 128 and memory does not grow with their number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hearth::bench {

class Histogram {
 public:
  void Add(std::int64_t micros);
  void Add(const Histogram& other);
  [[nodiscard]] std::int64_t count() const { return count_; }
  // The smallest duration that at least `share` (0 to 1) of all do not pass, ms, and at most one part in 128 more; 0
  // where there is none. At(1) is the largest, exactly.
  [[nodiscard]] double At(double share) const;

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t count_ = 0;
  std::int64_t largest_ = 0;
};

}  // namespace hearth::bench
