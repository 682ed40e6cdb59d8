// What a guest says of itself, for no more than it can be: the host decides what is charged, and the guest's own
// figures stand beside that within what the host saw. Pure.
#pragma once

#include <cstdint>

#include "schemas/guest.h"

namespace hearth::executor {

constexpr std::int64_t kMaxClaimedCpuMicros =
    24LL * 3600 * 1'000'000;  // an idle container's use counts for its next run

struct Claims {
  std::int64_t start_us = 0;  // from sending Run to the first instruction of user code, host's clock
  std::int64_t run_us = 0;    // from there to the end of user code
  std::int64_t memory_peak_bytes = 0;
};

// `took_us`: the host's interval, from sending Run to receiving Ended. Start and run lie within it.
Claims ClaimsOf(const guest::Ended& ended, std::int64_t took_us, std::int64_t machine_bytes);
[[nodiscard]] std::int64_t CpuOf(const guest::Checked& checked);

}  // namespace hearth::executor
