// How many unassigned machines of a profile to hold, and which to start next. Pure; time is an argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace hearth::executor {

constexpr std::int64_t kDemandWindowMs = 60'000;
constexpr std::int64_t kPoolAgeMs = 60 * 60'000;  // then an unassigned machine is replaced, ± 10 %
constexpr std::int64_t kStartBackoffMinMs = 200;  // after a start that failed, doubling
constexpr std::int64_t kStartBackoffMaxMs = 10'000;
constexpr std::int32_t kStartFailuresGiveUp = 3;  // in a row: those who wait for a machine are told

// What is asked of one profile's pool: machines taken within the window, and how long one takes to start.
class PoolDemand {
 public:
  PoolDemand(std::int32_t min, std::int32_t max) : min_(min), max_(max < min ? min : max) {}

  void Taken(std::int64_t now_us);
  void Started(std::int64_t took_us);
  // min, and above it what covers the arrivals expected within two refill times; never more than max.
  [[nodiscard]] std::int32_t Target(std::int64_t now_us);

 private:
  std::int32_t min_;
  std::int32_t max_;
  std::int64_t start_us_ = 0;          // moving average
  std::deque<std::int64_t> taken_us_;  // within the window; bounded
};

struct PoolView {
  std::int32_t target = 0;
  std::int32_t ready = 0;
  std::int32_t starting = 0;  // meant for the pool: without those that waiting attempts will take
  std::int32_t machine_mib = 0;
  bool may_start = true;  // not in back-off
};

// The profiles (by index) to start a machine of, in order: the emptiest pool first, within `slots` further concurrent
// starts and `free_mib` of memory.
[[nodiscard]] std::vector<std::size_t> PlanRefill(std::vector<PoolView> pools, std::int32_t slots,
                                                  std::int32_t free_mib);

// The wait after `failures` failed starts in a row.
[[nodiscard]] std::int64_t StartBackoffMs(std::int32_t failures);

}  // namespace hearth::executor
