// What the dispatcher's core wants done, in the order in which it must be carried out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/ids.h"
#include "dispatcher/core/ledger_page.h"
#include "schemas/link.h"
#include "schemas/record.h"
#include "schemas/result.h"

namespace hearth::dispatcher {

struct SendToExecutor {
  ExecutorId executor;
  link::Message message;
};
// Answered by ProduceFinished with the same token, exactly once.
struct Produce {
  std::uint64_t token = 0;
  SharedRecord record;
};
// `offset` is the next to read; answered by CommitFinished. `sync`: the partition is given up, so the shell waits for
// it.
struct Commit {
  PartitionId partition;
  std::int64_t epoch = 0;
  std::int64_t offset = 0;
  std::string metadata;
  bool sync = false;
};
struct PauseIntake {
  PartitionId partition;
};
struct ResumeIntake {
  PartitionId partition;
};
// A piece of the partition's log from `offset` on, read beside the group. One is under way at most.
struct ReadBack {
  PartitionId partition;
  std::int64_t offset = 0;
  std::int64_t most = INT64_MAX;  // records for which there is room
};
// Answered by PageWritten. An empty value takes the page away, and is not answered.
struct WritePage {
  PageKey key;
  std::string value;
};
// All pages that are there when it is carried out; answered by PagesRead.
struct ReadPages {
  PartitionId partition;
  std::int64_t epoch = 0;
};
// The states of all batches in the partition of hearth.batch.state that has the number of `partition`; answered by
// StatesRead.
struct ReadStates {
  PartitionId partition;
  std::int64_t epoch = 0;
};
struct LoadUser {
  UserId user;
};
// One line of the directory to write behind, in order.
struct DirectoryWrite {
  ExecutorId executor;
  link::Slot slot;
};
// Of a user whose records several dispatchers hold: may this one count on the container, idle since then?
struct ClaimSlot {
  UserId user;
  ExecutorId executor;
  ContainerId container;
  std::int64_t since_ms = 0;
};
struct DirectoryDropExecutor {
  ExecutorId executor;
};
// How one invocation was decided; for logs, metrics and the history. Plain data, no payload. What is counted (kind,
// status, path, times) is there always, the rest as Settings::detailed_traces says.
constexpr std::string_view kParkedLost = "parked_records_lost";  // the reason in a trace of a partition
struct Trace {
  enum class Kind : std::uint8_t {
    kReceived,
    kRefused,
    kPlaced,
    kRetried,
    kDeadLettered,
    kCompleted,
    kNacked,
    kAdopted,
    kFenced,
    kLostPlacement
  };
  Kind kind = Kind::kReceived;
  PartitionId partition;
  std::int64_t offset = 0;
  std::int64_t epoch = 0;
  InvocationId id;
  UserId user;
  FunctionName function;
  ExecutorId executor;
  std::int32_t attempt = 0;
  Status status = Status::kOk;
  StartPath path = StartPath::kNone;
  std::string constraint;  // the named constraint or reason that decided
  Times times;
};
struct DrainFinished {};  // after DrainRequested: nothing is in flight any more

using Effect =
    std::variant<SendToExecutor, Produce, Commit, PauseIntake, ResumeIntake, ReadBack, WritePage, ReadPages, ReadStates,
                 LoadUser, DirectoryWrite, DirectoryDropExecutor, ClaimSlot, Trace, DrainFinished>;

}  // namespace hearth::dispatcher
