// How large a pool has to be, from what executors have measured. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "schemas/pool_status.h"

namespace hearth::tool {

struct PoolAdvice {
  std::string executor;
  double per_hour = 0;
  std::int64_t refill_ms = 0;
  bool assumed = false;  // nothing was measured: the refill time is kAssumedRefillMs
  std::int32_t machines = 0;
  std::int64_t memory_mib = 0;
};

constexpr std::int64_t kAssumedRefillMs = 2500;

// The machines to hold ready so that 99 of 100 requests for one wait less than `wish_ms`.
PoolAdvice Advise(const PoolStatus& pool, std::int64_t wish_ms);

}  // namespace hearth::tool
