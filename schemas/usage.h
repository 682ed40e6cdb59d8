// What one execution used: a record of hearth.usage, keyed by the invocation id so that a re-send does not bill twice.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace hearth {

struct Usage {
  InvocationId id;
  UserId user;
  FunctionName function;
  std::int64_t version = 0;
  std::int32_t attempt = 1;
  Status status = Status::kOk;
  StartPath start_path = StartPath::kNone;
  std::int64_t started_us = 0;  // the guest's claim, within what the host saw
  std::int64_t ended_us = 0;    // the same
  std::int64_t billed_ms = 0;   // from handing the run to the machine to its end, on the host's clock, rounded up
  std::int32_t memory_mib = 0;  // reserved
  std::int64_t memory_peak_bytes = 0;  // the guest's claim
  std::int64_t cpu_us = 0;             // the same
  ExecutorId executor;
  MachineId machine;
  friend bool operator==(const Usage&, const Usage&) = default;
};

std::string EncodeUsage(const Usage& usage);  // msgpack map, "v" = 1
Result<Usage> DecodeUsage(std::string_view bytes);

}  // namespace hearth
