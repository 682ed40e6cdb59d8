// The dispatcher's core: which record is placed with which executor, and what becomes of it. One state machine that
// decides all, Step(event, now) → effects. No input or output, no clock, no thread: the shell (dispatcher/app) turns
// what happens into events and carries the effects out, and the simulator does the same under virtual time.
//
// The core has no state of its own but its owners: each answers for one thing and keeps its invariants. What happens is
// passed to them; what takes several of them is decided here, and what is in the queue is placed at the end of the
// step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "dispatcher/core/admission.h"
#include "dispatcher/core/batches.h"
#include "dispatcher/core/claims.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/decisions.h"
#include "dispatcher/core/effects.h"
#include "dispatcher/core/events.h"
#include "dispatcher/core/executors.h"
#include "dispatcher/core/invocations.h"
#include "dispatcher/core/journal.h"
#include "dispatcher/core/ownership.h"
#include "dispatcher/core/placement.h"
#include "dispatcher/core/reading_back.h"
#include "dispatcher/core/registry.h"
#include "dispatcher/core/settings.h"
#include "dispatcher/core/turns.h"
#include "dispatcher/core/warm.h"

namespace hearth::dispatcher {

// Numbers for /metrics, read by the shell after steps.
struct Gauges {
  std::int64_t received = 0, complete = 0, in_flight = 0;  // I6: received == in_flight + complete, always
  std::int64_t parked = 0;                                 // of those in flight: left in the log until there is room
  std::int64_t held_bytes = 0, held_bytes_limit = 0;       // of the others, in memory
  std::int64_t backlog_lanes = 0;  // user and function of each partition that have something in flight
  std::int64_t lost = 0;           // records that were removed from the log while they were parked; counts up
  std::int64_t queued = 0, placed = 0, users = 0, executors_up = 0;
  std::int64_t users_wanting = 0;   // users that want a place (shares.h)
  std::int64_t lanes_sleeping = 0;  // at a bound of their own, or waiting for a claim
  std::int64_t missed_wakeups = 0;  // what slept although it could be placed; counts up, and is 0 if all is well
  std::int64_t window_max = 0, incomplete_ranges_max = 0;
  std::int64_t partitions = 0, oldest_incomplete_age_ms = 0;
  std::int64_t maps_truncated = 0;                    // commits whose map did not fit whole; counts up
  std::int64_t pages_written = 0, page_failures = 0;  // ledger pages; count up
  std::int64_t batches_running = 0, batches_waiting = 0;
  std::int64_t batch_window = 0;                   // items of what runs that may be placed at once
  std::int64_t batch_items_pending = 0;            // of what runs
  ItemCounts batch_items_ended;                    // by the status that they got; count up
  std::int64_t oldest_batch_age_ms = 0;            // of what runs, since it was submitted
  std::int64_t output_failures = 0;                // produces that failed and were sent again or elsewhere; counts up
  std::int64_t decisions = 0, decision_bytes = 0;  // of the decision log; its limits: decisions.h
};

// Not thread-safe: one thread steps it. Effects are appended in the order in which they must be carried out.
class Core {
 public:
  explicit Core(Settings settings);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void Step(const Event& event, Time now, std::vector<Effect>& effects);
  [[nodiscard]] Gauges ReadGauges(Time now) const;
  // How the newest invocation of that id got its place, while the log remembers it; else null. Holds until the next
  // step.
  [[nodiscard]] const Decision* Explain(const InvocationId& id) const { return journal_.Find(id); }

 private:
  // ---- core.cc: time, and the end
  void On(const Tick& event);
  void On(const DrainRequested& event);
  void FireTimer(Invocation& invocation);
  void CheckDrain();

  // ---- core_intake.cc: from a record to the queue
  void On(const RecordsReceived& event);
  // What could be read of a record, and what is answered to what could not.
  struct DecodedRequest {
    Request request;
    std::optional<Answer> refused;
  };
  [[nodiscard]] DecodedRequest Decode(const Record& record) const;
  [[nodiscard]] std::int64_t DeadlineOf(const Request& request, const Record& record) const;  // 0: none
  void Receive(Partition& partition, const std::shared_ptr<const Record>& record);
  // A record that is new is held, or parked.
  void Arrive(Partition& partition, const std::shared_ptr<const Record>& record, bool is_unread);
  void TakeUp(Partition& partition, const Invocations::Footprint& footprint,
              const std::shared_ptr<const Record>& record, DecodedRequest decoded);
  void On(const FunctionUpdated& event);
  void On(const FunctionRemoved& event);
  void DropEarlyReports(Partition& partition, std::int64_t offset);
  // What executors have told of the record before it was read. True: that decides it.
  [[nodiscard]] bool TakeEarlyReports(Partition& partition, Invocation& invocation);
  // Its turn within its order key has come: it is admitted and queued, waits, or is refused.
  void Activate(Invocation& invocation);
  // It may run. It goes into the queue, or waits for its order key, or for its partition to settle.
  void Enqueue(Invocation& invocation);
  void Refuse(Invocation& invocation, const Answer& answer);
  [[nodiscard]] Answer AnswerTo(const Invocation& invocation) const;  // as of now
  [[nodiscard]] const Function* FunctionOf(const Invocation& invocation) const;

  // ---- core_read_back.cc: what was parked comes back
  void On(const ReadBackFinished& event);
  void TakeBack(Partition& partition, const std::shared_ptr<const Record>& record);
  void NoteLost(Partition& partition, const ReadBackFinished& chunk);
  void ReadBackNext();

  // ---- core_users.cc: users, and what the directory knows of them
  void On(const UserLoaded& event);
  void On(const UserShared& event);
  void On(const SlotClaimed& event);
  // A record of the user came. What the directory knows of one that is new is asked for.
  void See(const UserId& id);
  void ForgetIdleUsers(std::size_t left);
  void WriteDirectory(const ExecutorId& executor, const link::Slot& slot);

  // ---- core_dispatch.cc: from the queue to an executor
  void Dispatch();
  Turns::Offered TryPlace(Invocation& invocation);
  // Where it should run. What was looked at for that is left in `candidates_`.
  Placement ChooseExecutor(const Function& function);
  void SendExec(Invocation& invocation, const Executor& executor, std::shared_ptr<const Function> described);
  void TellDemand();
  void LookAtSleepers();
  [[nodiscard]] Turns::Need NeedOf(const Function* function);  // nullptr: nobody knows it
  [[nodiscard]] std::vector<link::ProfileDemand> MeasureDemand() const;

  // ---- core_attempts.cc: how attempts end
  void OnDone(Executor& executor, const link::Done& done, bool from_report);
  void OnNack(Executor& executor, const link::Nack& nack);
  void EndAttempt(Invocation& invocation, const link::Done& done);
  void OnFailedTry(Invocation& invocation, const link::Done& done);
  void FinishFailed(Invocation& invocation);  // as its last try failed
  void Expire(Invocation& invocation);        // no further try starts
  void OnInfrastructure(Invocation& invocation, bool may_have_started, std::string_view reason);

  // ---- core_outputs.cc: the last records, and completion
  void On(const ProduceFinished& event);
  void Finish(Invocation& invocation, Status status, std::string_view reason, std::vector<Output> outputs);
  void ProduceNext(Invocation& invocation);
  void Complete(Invocation& invocation);
  [[nodiscard]] Output Reply(const Invocation& invocation, Status status, std::string_view error_type,
                             std::string_view message) const;
  [[nodiscard]] Output DeadLetter(const Invocation& invocation, std::string_view reason,
                                  std::string_view message) const;

  // ---- core_executors.cc: links and leases
  void On(const ExecutorsExpected& event) { executors_.Expect(event.addresses); }
  void On(const ExecutorAbsent& event);
  void On(const ExecutorConnected& event);
  void On(const ExecutorDisconnected& event);
  void On(const ExecutorMessage& event);
  void OnSlots(const Executor& executor, const std::vector<link::Slot>& slots);
  // It may run what we are about to place, and have finished what we wait for: it is asked for each partition.
  void FenceAll(const Executor& executor);
  void EndLease(const ExecutorId& id);

  // ---- core_partitions.cc: partitions come and go
  void On(const PartitionAssigned& event);
  void On(const PartitionRevoked& event);
  void On(const CaughtUp& event);
  void On(const LogStartMoved& event);
  void On(const CommitFinished& event);
  void On(const PageWritten& event);
  void On(const PagesRead& event);
  [[nodiscard]] static bool IsAbove(std::int64_t highest, std::int64_t epoch);
  void Reclaim(Partition& partition, std::int64_t epoch);
  void Forget(Partition& partition);
  void QueueHeld(Partition& partition);
  void UpdateIntake(Partition& partition);

  // ---- core_batches.cc, core_batch_states.cc: from a spec to the end of its batch
  void On(const StatesRead& event);
  void OwnHome(const Partition& home);
  void DisownHome(const PartitionId& home);
  void ForgetHome(const PartitionId& home);
  void ForgetRun(Batch& batch);
  void ReviewBatches();
  void Review(Batch& batch);
  void ReviewKnown(Batch& batch);
  void ReviewWaiting(Batch& batch);
  void FetchSpec(Batch& batch);
  void TakeSpec(const ReadBackFinished& chunk);
  void BeginState(Batch& batch);
  void OnBatchRecord(const ProduceFinished& event);
  void Start(Batch& batch);
  void Resume(Batch& batch, const std::vector<PagesRead::Page>& pages);
  void Run(Batch& batch);
  void ClaimEnded(Batch& batch);
  // The sum over what runs of the user.
  [[nodiscard]] std::int64_t PrioritiesOf(const UserId& user) const;
  [[nodiscard]] static Orders OrdersOf(const Batch* batch);
  void TakeOrders(Batch& batch, std::int64_t priorities);
  void TickBatches();
  void TellState(Batch& batch);
  void Freeze(Batch& batch);
  void Complete(Batch& batch);
  void ReviewCompletion(Batch& batch);
  void End(Batch& batch);
  void ReviewEnded(Batch& batch);
  [[nodiscard]] bool HasExpired(const Batch& batch) const;
  void NoteBatch(const Batch& batch, std::string_view what);

  // ---- core_items.cc, core_item_ends.cc: the items of what runs
  [[nodiscard]] static bool MayEnter(const Invocation& invocation);
  void FillWindow(Batch& batch);
  [[nodiscard]] bool HasRoomForItems(const Batch& batch) const;
  // Of those that are to be read at once; 1 at least.
  [[nodiscard]] static std::int64_t RoomForItems(const Batch& batch);
  void FeedItems(Batch& batch);
  void TakeUpItem(Batch& batch, std::int64_t place, std::int64_t index, BatchItem item);
  void TakeItems(Partition& partition, const ReadBackFinished& chunk);
  bool TakeItem(Batch& batch, std::int64_t place, const Record& record);
  void Restart(Batch& batch);
  // An index is not where it should lie. True: the batch has begun anew.
  bool NoteDisorder(Batch& batch);
  [[nodiscard]] bool FindsDisorder(const Partition& partition, const link::FenceReport& report);
  void MissItems(Batch& batch, std::int64_t first, const ItemPlaces::Stored& asked, const ReadBackFinished& chunk);
  void CompleteItem(Invocation& invocation);
  void EndItem(Batch& batch, std::int64_t index, ItemStatus status);
  [[nodiscard]] bool TakeItemEnd(Partition& partition, const ExecutorId& executor, const link::Done& done);
  void TakeEarlyItemEnds(Partition& partition);
  static void NoteResult(Batch& batch, std::int64_t offset);
  static void NoteTries(const Invocation& invocation);
  void ReviewRun(Batch& batch);
  void Sweep(Batch& batch);
  void WriteStatusPages(Batch& batch, bool at_once);
  [[nodiscard]] PageKey PageKeyOf(const Batch& batch, std::int64_t page) const;
  void OnStatusPage(const PageWritten& written);
  void RestartPages(Batch& batch);

  // ---- core_takeover.cc: what executors say of a partition that we have taken over
  void OnFenceReport(Executor& executor, const link::FenceReport& report);
  void NoteRunning(Partition& partition, Executor& executor, const link::Running& run);
  void NoteEarlyEnd(Partition& partition, const ExecutorId& executor, const link::Done& done);
  void Adopt(Invocation& invocation, Executor& executor, std::int32_t attempt);
  void LosePlacements(Partition& partition, const Executor& executor, const Ownership::Report& report);
  // Lets go what no longer has to wait for reports, once nobody owes one.
  void ReviewSettling(Partition& partition);
  void SettleEarlyEnds(Partition& partition);
  static void LearnFailures(Invocation& invocation, const EarlyEnd& early);
  void DropRunsOfComplete(Partition& partition);

  Context context_;
  const ReplyPolicy reply_policy_;
  Registry registry_;
  Warm warm_;
  Claims claims_;
  Executors executors_;
  Turns turns_;
  ReadingBack reading_;
  Invocations invocations_;
  Ownership ownership_;
  Batches batches_;
  Journal journal_;
  std::vector<Candidate> candidates_;  // of the placement under way; kept for its memory
  std::int64_t output_failures_ = 0;
  std::int64_t lost_ = 0;
  ItemCounts ended_items_;  // of batches
  bool drained_ = false;
  std::int64_t drain_until_us_ = 0;
  std::int64_t demand_due_us_ = 0;
  std::int64_t items_from_ = 0;     // the place where the chunk under way begins, where it is of a batch
  BatchRef spec_of_;                // where the chunk under way is a spec
  std::int64_t expired_at_us_ = 0;  // when to look for batches that are kept no longer
};

}  // namespace hearth::dispatcher
