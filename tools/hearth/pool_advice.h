// How large a pool has to be, from what executors have measured. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace hearth::tool {

// One executor's pool of a profile, as its record in Redis tells it.
struct PoolStatus {
  std::string executor;
  std::string profile;
  std::int64_t machine_mib = 0, min = 0, max = 0, target = 0, ready = 0, starting = 0, assigned = 0;
  std::int64_t shells = 0, shells_wanted = 0, backlog = 0, arrivals_per_hour = 0;
  std::int64_t refill_ms = 0, restore_ms = 0, boot_ms = 0;  // 0: none was measured
};

// The field "pools" of ex:<id>. What is absent in a row is 0; kInvalid: no JSON array of objects.
Result<std::vector<PoolStatus>> ParsePools(const std::string& executor, const std::string& json);

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
