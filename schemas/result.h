// The one terminal answer to an invocation, and the reply record that carries it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/record.h"
#include "schemas/request.h"
#include "schemas/start_path.h"
#include "schemas/table.h"

namespace hearth {

// The value is the number on the wire.
enum class Status : std::uint8_t {
  kOk = 0,
  kError = 1,
  kTimeout = 2,
  kOom = 3,
  kExpired = 4,
  kRejected = 5,
  kPoison = 6,
  kCancelled = 7,
};
struct StatusRow {
  Status status;
  std::string_view name;
};
inline constexpr std::array kStatuses = {
    StatusRow{Status::kOk, "ok"},           StatusRow{Status::kError, "error"},
    StatusRow{Status::kTimeout, "timeout"}, StatusRow{Status::kOom, "oom"},
    StatusRow{Status::kExpired, "expired"}, StatusRow{Status::kRejected, "rejected"},
    StatusRow{Status::kPoison, "poison"},   StatusRow{Status::kCancelled, "cancelled"},
};
static_assert(RowsInOrder(kStatuses, &StatusRow::status));

constexpr std::uint8_t EnumSize(Status) {
  return static_cast<std::uint8_t>(kStatuses.size());
}
constexpr std::string_view StatusName(Status status) {
  return kStatuses.at(static_cast<std::size_t>(status)).name;
}
Result<Status> ParseStatus(std::string_view name);

// Microseconds since the epoch on the host's clock; 0: did not happen.
struct Times {
  std::int64_t enqueued_us = 0;  // Kafka's timestamp of the request (ms resolution)
  std::int64_t received_us = 0;  // the dispatcher's poll handed it over
  std::int64_t placed_us = 0;    // the dispatcher chose an executor
  std::int64_t leased_us = 0;    // the executor gave it a container
  std::int64_t started_us = 0;   // first instruction of user code; the guest's claim, within what the host saw
  std::int64_t ended_us = 0;     // user code ended; the same
  friend bool operator==(const Times&, const Times&) = default;
};

struct InvocationResult {
  InvocationId id;
  UserId user;
  FunctionName function;
  std::int64_t version = 0;
  Status status = Status::kOk;
  std::string error_type;  // e.g. "result_too_large", "unknown_function", "ValueError"; empty when ok
  std::string error_message;
  std::string output;        // bytes that the function returned
  std::string content_type;  // of the output; empty: that of the request
  std::int32_t attempt = 1;
  StartPath start_path = StartPath::kNone;
  Times times;
  std::int64_t epoch = 0;  // of the dispatcher that placed it
  ExecutorId executor;
  MachineId machine;
  ContainerId container;
  std::string acceleration;    // "kvm", "tcg" or "simulated"; empty where nothing ran
  std::int64_t billed_ms = 0;  // from handing the run to the machine to its end, on the host's clock, rounded up
  std::int64_t memory_peak_bytes = 0;
  std::string log_tail;
  bool log_truncated = false;
  std::string traceparent;
  std::string why;  // how it got its place (schemas/why.h)
  friend bool operator==(const InvocationResult&, const InvocationResult&) = default;
};

// The reply record in the request's form, to `topic`, with the headers hearth-id, hearth-status, hearth-attempt,
// hearth-start-path, hearth-epoch, traceparent (and the detail headers that README.md lists for the headers form).
// The key is the invocation id.
OutRecord EncodeReply(const InvocationResult& result, RequestForm form, const std::string& topic);

// Notes on a reply that could not be written which topic refused it, and why.
void MarkUndeliverable(OutRecord& record, std::string_view error);

// Reads a reply in any form (the command line, tests).
Result<InvocationResult> DecodeReply(const Record& record);
// Whether it is the reply to this request: an id may be another user's too, and a reply topic is shared.
bool Answers(const InvocationResult& result, const Request& request);

}  // namespace hearth
