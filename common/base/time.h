// Time as an argument. A core never reads a clock: it is told both clocks with every event.
#pragma once

#include <cstdint>

namespace hearth {

// Both in microseconds. `mono_us` orders and measures (CLOCK_MONOTONIC of this host); `wall_us` is the time since
// the Unix epoch, used only for what people and other hosts read (expiry, times in replies).
struct Time {
  std::int64_t mono_us = 0;
  std::int64_t wall_us = 0;
};

constexpr std::int64_t kMicrosPerMilli = 1000;
constexpr std::int64_t kMicrosPerSecond = 1'000'000;

// Reads both clocks of this host. Only shells call it.
Time ReadClocks();

}  // namespace hearth
