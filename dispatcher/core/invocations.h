// The invocations that are held in memory. Invocations is the only one who moves one from stage to stage: what the old
// stage held (a turn in the queue, a place at an executor, a timer) is given back there, and what the new one holds is
// counted.
//
// It holds at any time:
// - a stage changes only as stages.h allows;
// - conservation: of each partition, received == complete + held + parked;
// - an invocation is in the queue of Turns only while it is queued, and has a place at its executor exactly while it is
//   placed;
// - an invocation has one timer at most, and none that is of an earlier stage;
// - a user's waiting and placed invocations are counted in Turns, an executor's placed ones in Executors.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dispatcher/core/context.h"
#include "dispatcher/core/executors.h"
#include "dispatcher/core/invocation.h"
#include "dispatcher/core/partition.h"
#include "dispatcher/core/reading_back.h"
#include "dispatcher/core/turns.h"

namespace hearth::dispatcher {

constexpr std::int64_t kOverdueGraceMs = 60'000;     // past its time-out, the executor is asked what became of it
constexpr std::int64_t kRecordOverheadBytes = 2048;  // what holding a record costs beside its bytes

class Invocations {
 public:
  Invocations(Context& context, Turns& turns, Executors& executors, ReadingBack& reading)
      : context_(context), turns_(turns), executors_(executors), reading_(reading) {}

  // ---- Records.
  // The partition was taken. What is unread of it is read back.
  void Begin(Partition& partition);
  // Earlier owners have completed these offsets. What is unread of the others is read back.
  void Claim(Partition& partition, const std::vector<LedgerRange>& complete);
  // Notes that the record came. One that is new has to be added or parked at once.
  Ledger::Reception Receive(Partition& partition, std::int64_t offset);
  // Where a record has its place, and how much of it. Holds until its lane is changed.
  struct Footprint {
    Backlog::Lane& lane;
    std::int64_t bytes;
  };
  [[nodiscard]] static Footprint FootprintOf(Partition& partition, const Record& record, const Request& request);
  // Whether a record that is new is held; else it is parked. `is_unread`: a former owner had read it already.
  [[nodiscard]] static bool HasRoom(const Partition& partition, const Footprint& footprint, bool is_unread);
  // `deadline_ms`: when it expires, wall clock; 0: never.
  void Park(Partition& partition, const Footprint& footprint, std::int64_t offset, std::int64_t deadline_ms);
  // Arrived: a record that is new, with what could be read of it.
  Invocation& Add(Partition& partition, const Footprint& footprint, std::shared_ptr<const Record> record,
                  Request request);
  // It takes its place within its order key, if it has one.
  void Order(Invocation& invocation);
  // Nothing below `next` is still to come.
  void SkipTo(Partition& partition, std::int64_t next) { partition.records().ledger_.SkipTo(next); }
  // What earlier owners completed was of other records.
  void ForgetInherited(Partition& partition) {
    partition.records().ledger_.ForgetInherited();
    ReviewUnread(partition);
  }
  [[nodiscard]] Invocation& Get(std::uint64_t serial) { return *by_serial_.at(serial); }
  [[nodiscard]] Invocation* FindQueued(std::uint64_t serial);  // nullptr: it is not in the queue of Turns

  // ---- Reading back (reading_back.h).
  // From where to read for it; nothing: it wants nothing any more.
  [[nodiscard]] std::optional<std::int64_t> ReadFrom(const ReadingBack::Want& want);
  void BeginChunk(Partition& partition, std::int64_t from) { partition.records().backlog_.BeginChunk(from); }
  // Whether the parked record is taken out, and added at once. `is_known`: executors have told of it, so whatever room
  // there is.
  [[nodiscard]] bool TakeParked(Partition& partition, const Footprint& footprint, std::int64_t offset, bool is_known,
                                std::int64_t deadline_ms);
  // Parked, and not in the log any more.
  void Lose(Partition& partition, std::int64_t offset);
  // All below `to` was looked through; of what is unread too where the chunk began there.
  void EndChunk(Partition& partition, std::int64_t from, std::int64_t to);
  // The log could not be read: nothing of it is wanted until it is tried again.
  void FailChunk(Partition& partition);
  // Of a batch, whose items are read as there is room for them.
  void WantUnread(Partition& partition, bool has_room);
  // All of it below `to` was looked through.
  void EndItems(Partition& partition, std::int64_t to);
  // Its log can be read again, as far as is known.
  void TryAgain(Partition& partition);
  // What has expired while it was parked is looked for.
  void WantExpired(Partition& partition);

  // ---- Waiting. `due_us`: when something has to happen to it, on the monotonic clock; 0: never.
  void AwaitKey(Invocation& invocation, std::int64_t due_us);       // keyed
  void AwaitFunction(Invocation& invocation, std::int64_t due_us);  // no_function
  void AwaitSettling(Invocation& invocation, std::int64_t due_us);  // queued, and not in the queue yet
  void AwaitWindow(Invocation& invocation);                         // the same, of an item of a batch
  void Queue(Invocation& invocation, std::int64_t due_us, const Turns::Need& need);
  void BackOff(Invocation& invocation, std::int64_t due_us);
  // What is in the queue of the partition leaves it, and its place in it, until it is queued anew.
  void LeaveQueue(Partition& partition);

  // ---- An attempt.
  // Placed with the executor, in a container of that function version: an attempt of ours that begins now.
  void Start(Invocation& invocation, Executor& executor, const Function& function);
  // Placed: the attempt of that number runs already. `function` is null where nobody knows it any more.
  void Adopt(Invocation& invocation, Executor& executor, std::int32_t attempt, const Function* function);
  // Queued, outside the queue: its attempt is not waited for any more.
  void Recall(Invocation& invocation);
  // Another attempt of it than the one that was placed has ended.
  void SeeEnd(Invocation& invocation, const ExecutorId& executor, std::int32_t attempt);

  // ---- Its end.
  // Producing: so it ended, and these are its last records.
  void Finish(Invocation& invocation, Ending ending, std::vector<Output> outputs);
  void Produce(Invocation& invocation);  // the next of its last records, of which there is one
  void BackOffProducing(Invocation& invocation);
  // Whose record the token was for; nullptr where nobody waits for it any more.
  [[nodiscard]] Invocation* TakeProduced(std::uint64_t token);
  // Gone: all is durable. Returns the one whose turn has come within its order key, if any.
  Invocation* Complete(Invocation& invocation);
  // Gone, all of them: the partition is given up.
  void Forget(Partition& partition);

  // ---- Timers.
  void SetTimer(Invocation& invocation, std::int64_t due_us);
  // The next whose time has come, if any. It has no timer any more.
  [[nodiscard]] Invocation* TakeDue();

  // ---- Counts.
  [[nodiscard]] std::int64_t placed() const { return placed_; }
  [[nodiscard]] std::int64_t producing() const { return producing_; }
  [[nodiscard]] std::int64_t awaiting_function() const { return awaiting_function_; }

 private:
  void Want(Partition& partition, Backlog::Lane& lane);
  void WantUnread(Partition& partition);
  void ReviewUnread(Partition& partition);
  void Move(Invocation& invocation, Stage to);
  // The one place where an invocation enters or leaves the queue of Turns.
  void SetInQueue(Invocation& invocation, bool in_queue, const Turns::Need& need = {});
  [[nodiscard]] Ticket TicketOf(const Invocation& invocation);
  void Place(Invocation& invocation, Executor& executor, const FunctionName& function, std::int64_t version,
             std::int32_t memory_mib);
  void CheckConservation(const PartitionRecords& records) const;

  Context& context_;
  Turns& turns_;
  Executors& executors_;
  ReadingBack& reading_;
  std::unordered_map<std::uint64_t, Invocation*> by_serial_;  // looked up, never walked
  std::unordered_map<std::uint64_t, Invocation*> by_token_;   // of produces under way
  std::set<std::pair<std::int64_t, std::uint64_t>> timers_;   // due, serial
  std::uint64_t last_serial_ = 0;
  std::uint64_t last_token_ = 0;
  std::int64_t placed_ = 0;
  std::int64_t producing_ = 0;
  std::int64_t awaiting_function_ = 0;
};

}  // namespace hearth::dispatcher
