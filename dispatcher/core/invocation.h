// A record that is not complete, as the dispatcher knows it. Everybody may read it. What it has gone through so far
// (its tries, its times, its last records) it keeps by itself. Where it is in its life only Invocations changes
// (invocations.h), so that no queue, no timer and no count can be forgotten.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/backlog.h"
#include "dispatcher/core/outputs.h"
#include "dispatcher/core/stages.h"
#include "dispatcher/core/tries.h"
#include "dispatcher/core/user.h"
#include "schemas/link.h"
#include "schemas/record.h"
#include "schemas/request.h"
#include "schemas/result.h"

namespace hearth::dispatcher {

class Partition;

// An end that an executor owes until the commit that covers it is durable.
struct Owed {
  ExecutorId executor;
  link::AttemptRef ref;
};

// How a try failed.
struct Failure {
  std::int32_t attempt = 0;
  Status status = Status::kError;
  std::string type;
  std::string message;
};

// How it ended, for the trace of its completion.
struct Ending {
  Status status = Status::kOk;
  std::string reason;
};

class Invocation {
 public:
  [[nodiscard]] std::uint64_t serial() const { return serial_; }  // unique in this process, rises with arrival
  [[nodiscard]] Partition& partition() const { return *partition_; }
  [[nodiscard]] std::int64_t offset() const { return record_->offset; }
  [[nodiscard]] const Record& record() const { return *record_; }
  // Its payload is empty where the record's value is the payload.
  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] const std::string& payload() const { return payload_is_value_ ? record_->value : request_.payload; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  [[nodiscard]] std::int64_t received_us() const { return received_us_; }  // on the monotonic clock
  // Whether what was told of a record is told of this one.
  [[nodiscard]] bool Is(const InvocationId& id, std::int64_t enqueued_us) const {
    return request_.id == id && times_.enqueued_us == enqueued_us;
  }

  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] bool in_queue() const { return in_queue_; }  // in the queue of Turns
  // When it came to wait, on the monotonic clock; 0: it does not.
  [[nodiscard]] std::int64_t waiting_since_us() const { return waiting_since_us_; }
  // Why it was not placed when its turn came last; empty: it was not asked yet. Lives for ever.
  [[nodiscard]] std::string_view held_by() const { return held_by_; }
  void HoldBack(std::string_view why) { held_by_ = why; }

  // The executor that has it, or had it last.
  [[nodiscard]] const ExecutorId& executor() const { return executor_; }
  [[nodiscard]] const std::string& placed_incarnation() const { return placed_incarnation_; }  // of that executor
  [[nodiscard]] std::uint64_t placed_order() const { return placed_order_; }  // among placements and fences
  [[nodiscard]] bool IsPlaced(const ExecutorId& executor, std::int32_t attempt) const {
    return stage_ == Stage::kPlaced && executor_ == executor && tries_.attempt() == attempt;
  }

  [[nodiscard]] const Tries& tries() const { return tries_; }
  [[nodiscard]] Tries& tries() { return tries_; }
  [[nodiscard]] const Outputs& outputs() const { return outputs_; }
  [[nodiscard]] Outputs& outputs() { return outputs_; }

  [[nodiscard]] const Times& times() const { return times_; }
  // What an executor has told of an attempt. Our own times stay.
  void TakeTimes(const Times& told);
  // For people: the last error that was told, or the first of the machinery where none was told.
  [[nodiscard]] const std::string& last_error() const { return last_error_; }
  void NoteError(std::string_view error) { last_error_ = std::string(error); }
  // The last of its tries that failed, which is its result where no further one starts; nullptr: none is known.
  [[nodiscard]] const Failure* failure() const { return failure_.get(); }
  void NoteFailure(const link::Done& done) {
    if (failure_ != nullptr && failure_->attempt > done.ref.attempt) return;
    failure_ =
        std::make_unique<const Failure>(Failure{done.ref.attempt, done.status, done.error_type, done.error_message});
  }
  [[nodiscard]] StartPath path() const { return path_; }  // that was taken, as the executor said
  void NotePath(StartPath path) { path_ = path; }
  [[nodiscard]] const Ending& ending() const { return ending_; }

  // Which item of its partition's batch it is; nullptr: it is a request.
  [[nodiscard]] const link::ItemOfBatch* item() const { return item_.get(); }
  void MakeItem(link::ItemOfBatch item) { item_ = std::make_unique<const link::ItemOfBatch>(std::move(item)); }

  // Ends of its attempts that were told.
  [[nodiscard]] const std::vector<Owed>& owed() const { return owed_; }
  void Owe(const ExecutorId& executor, const link::AttemptRef& ref) { owed_.push_back({executor, ref}); }

  // Its line in the decision log; 0: none yet.
  [[nodiscard]] std::uint64_t decision() const { return decision_; }
  void NoteDecision(std::uint64_t number) { decision_ = number; }

 private:
  friend class Invocations;

  std::uint64_t serial_ = 0;
  Partition* partition_ = nullptr;
  Backlog::Lane* lane_ = nullptr;
  std::shared_ptr<const Record> record_;
  Request request_;
  bool payload_is_value_ = false;
  std::int64_t bytes_ = 0;
  std::int64_t received_us_ = 0;
  Stage stage_ = Stage::kArrived;
  bool in_queue_ = false;
  std::optional<Ticket> ticket_;  // its place in the queue, once it has come to it
  std::int64_t due_us_ = 0;       // its line in the timers; 0: none
  std::uint64_t token_ = 0;       // of the produce under way; 0: none
  std::int64_t waiting_since_us_ = 0;
  std::string_view held_by_;
  ExecutorId executor_;
  std::uint64_t placed_order_ = 0;
  std::string placed_incarnation_;
  FunctionName placed_function_;  // what the promise was made for
  std::int64_t placed_version_ = 0;
  bool placed_long_ = false;  // it was taken to take long then
  Tries tries_;
  Times times_;
  std::string last_error_;
  std::unique_ptr<const Failure> failure_;
  StartPath path_ = StartPath::kNone;
  Ending ending_;
  std::vector<Owed> owed_;
  Outputs outputs_;
  std::uint64_t decision_ = 0;
  std::unique_ptr<const link::ItemOfBatch> item_;
};

inline void Invocation::TakeTimes(const Times& told) {
  const Times before = times_;
  times_ = told;
  times_.enqueued_us = before.enqueued_us;
  times_.received_us = before.received_us;
  if (before.placed_us != 0) times_.placed_us = before.placed_us;
}

}  // namespace hearth::dispatcher
