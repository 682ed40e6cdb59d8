// What an executor says of its pools: the field "pools" of its record ex:<id> in Redis, a JSON array with one object
// for each profile. Read by people too, hence JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace hearth {

struct PoolStatus {
  ExecutorId executor;
  std::string profile;
  std::int64_t machine_mib = 0, min = 0, max = 0, target = 0;
  std::int64_t ready = 0, starting = 0;  // unassigned
  std::int64_t assigned = 0;
  std::int64_t shells = 0, shells_wanted = 0;               // wanted: what memory allows of the configured
  std::int64_t backlog = 0;                                 // invocations that wait for a place at their dispatchers
  std::int64_t arrivals_per_hour = 0;                       // requests for a machine, expected
  std::int64_t refill_ms = 0, restore_ms = 0, boot_ms = 0;  // averages; 0: none yet
};

// `indent`: spaces for each level; negative: all in one line.
std::string EncodePools(const std::vector<PoolStatus>& pools, int indent = -1);
// What is absent from a row, or no number, is 0. `executor`: whose record it is, whatever the rows say. kInvalid: no
// array of objects.
Result<std::vector<PoolStatus>> DecodePools(std::string_view json, const ExecutorId& executor);

}  // namespace hearth
