// What the dispatcher's core is told: everything that happens around it, in the order in which it happens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/ledger_page.h"
#include "schemas/batch.h"
#include "schemas/batch_state.h"
#include "schemas/function.h"
#include "schemas/link.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

struct FunctionUpdated {
  std::shared_ptr<const Function> function;
};
struct FunctionRemoved {
  UserId user;
  FunctionName name;
};
// The group gave us the partition. `committed` is the next offset to read as committed (or where reading starts when
// nothing was), `metadata` the committed metadata (the ledger map; may be empty). The log ended at `log_end` when the
// assignment had begun: records from there on are new, and no former owner has placed them.
struct PartitionAssigned {
  PartitionId partition;
  std::int64_t committed = 0;
  std::string metadata;
  std::int64_t log_end = INT64_MAX;
};
// The group takes it back; `lost` means that it is somebody else's already.
struct PartitionRevoked {
  PartitionId partition;
  bool lost = false;
};
// All below `next` that is a record was received: what is missing are control records, or records of aborted
// transactions.
struct CaughtUp {
  PartitionId partition;
  std::int64_t next = 0;
};
// Retention removed what lies below `start` before it was read.
struct LogStartMoved {
  PartitionId partition;
  std::int64_t start = 0;
};
// In the order in which they were read, of any partitions.
struct RecordsReceived {
  std::vector<std::shared_ptr<const Record>> records;
};
// Answer to ReadBack, exactly once. All records from `offset` to below `next` are told: what is missing there is not in
// the log. With an error nothing is.
struct ReadBackFinished {
  PartitionId partition;
  std::int64_t offset = 0;  // that was asked for
  std::int64_t next = 0;
  std::vector<std::shared_ptr<const Record>> records;  // by offset
  std::string error;
  bool is_missing = false;  // the log ends before `offset`, or there is no such partition
};
// Answer to WritePage.
struct PageWritten {
  PageKey key;
  bool ok = false;
};
// Answer to ReadPages, exactly once: the pages of the partition, of all generations and epochs.
struct PagesRead {
  PartitionId partition;
  std::int64_t epoch = 0;  // that asked
  struct Page {
    PageKey key;
    std::string value;
  };
  std::vector<Page> pages;
  bool ok = false;
};
// Answer to ReadStates, exactly once: the states of all batches in the partition of that number. Those that cannot be
// read are left out.
struct StatesRead {
  PartitionId partition;
  std::int64_t epoch = 0;  // that asked
  struct State {
    BatchRef batch;
    BatchState state;
  };
  std::vector<State> states;  // by batch
  bool ok = false;
};
struct CommitFinished {
  PartitionId partition;
  std::int64_t epoch = 0;
  bool ok = false;
  std::string error;
};
struct ProduceFinished {
  std::uint64_t token = 0;
  bool ok = false;
  std::string error;
  bool permanent = false;    // it can never be written as it is
  std::int64_t offset = -1;  // where it lies in its partition; -1: it was not written, or where is not known
};
struct ExecutorConnected {
  link::ExecutorHello hello;
  std::string address{};  // as ExecutorsExpected named it
};
// All addresses where executors are known and were not heard of yet: they may run what an earlier owner placed.
struct ExecutorsExpected {
  std::vector<std::string> addresses;
};
// Nobody listens there: whoever did is gone.
struct ExecutorAbsent {
  std::string address;
};
struct ExecutorDisconnected {
  ExecutorId executor;
};
struct ExecutorMessage {
  ExecutorId executor;
  link::Message message;
};
// So old is a slot in Redis before it counts as gone where its executor does not tell of it.
constexpr std::int64_t kGhostMs = 5'000;
// What Redis knows of a user; a hint that executors' own reports overrule.
struct UserLoaded {
  UserId user;
  std::vector<std::pair<ExecutorId, link::Slot>> slots;
};
// Other dispatchers hold records of the user too, or no longer do.
struct UserShared {
  UserId user;
  bool shared = false;
};
// Answer to ClaimSlot; may be late, or never come.
struct SlotClaimed {
  UserId user;
  ExecutorId executor;
  ContainerId container;
  std::int64_t since_ms = 0;
  bool granted = false;
};
struct DrainRequested {};  // SIGTERM: take nothing new, finish, commit
struct Tick {};            // at least every 10 ms while anything waits

using Event =
    std::variant<FunctionUpdated, FunctionRemoved, PartitionAssigned, PartitionRevoked, CaughtUp, LogStartMoved,
                 RecordsReceived, ReadBackFinished, PageWritten, PagesRead, StatesRead, CommitFinished, ProduceFinished,
                 ExecutorsExpected, ExecutorAbsent, ExecutorConnected, ExecutorDisconnected, ExecutorMessage,
                 UserLoaded, UserShared, SlotClaimed, DrainRequested, Tick>;

}  // namespace hearth::dispatcher
