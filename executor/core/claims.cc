// Each claim is cut to what the host saw.
#include "executor/core/claims.h"

#include <algorithm>

namespace hearth::executor {

Claims ClaimsOf(const guest::Ended& ended, std::int64_t took_us, std::int64_t machine_bytes) {
  const auto within = [](std::int64_t claimed, std::int64_t most) {
    return std::clamp<std::int64_t>(claimed, 0, std::max<std::int64_t>(most, 0));
  };
  Claims claims;
  // Half of what the way there and back took lies before the start.
  const std::int64_t way_us = (took_us - within(ended.total_us, took_us)) / 2;
  claims.start_us = way_us + within(ended.start_us, took_us - way_us);
  claims.run_us = within(ended.run_us, took_us - claims.start_us);
  claims.memory_peak_bytes = within(ended.memory_peak_bytes, machine_bytes);
  return claims;
}

std::int64_t CpuOf(const guest::Checked& checked) {
  return std::clamp<std::int64_t>(checked.cpu_us, 0, kMaxClaimedCpuMicros);
}

}  // namespace hearth::executor
