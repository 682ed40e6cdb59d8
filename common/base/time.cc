#include "common/base/time.h"

#include <ctime>

namespace hearth {
namespace {

std::int64_t ReadMicros(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * kMicrosPerSecond + now.tv_nsec / 1000;
}

}  // namespace

Time ReadClocks() {
  return Time{ReadMicros(CLOCK_MONOTONIC), ReadMicros(CLOCK_REALTIME)};
}

}  // namespace hearth
