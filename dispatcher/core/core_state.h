// What the core knows, and its moves. Private to core*.cc: each file holds the moves of one group of events.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dispatcher/core/admission.h"
#include "dispatcher/core/claims.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/core.h"
#include "dispatcher/core/executors.h"
#include "dispatcher/core/functions.h"
#include "dispatcher/core/ledger.h"
#include "dispatcher/core/placement.h"
#include "dispatcher/core/turns.h"
#include "dispatcher/core/warm.h"
#include "schemas/request.h"

namespace hearth::dispatcher {

// ---- limits, all per partition unless said otherwise ---------------------------------------------------------------
constexpr std::int64_t kMaxWindowOffsets = 24'000;       // any pattern of so many fits in a map
constexpr std::int64_t kMaxScatteredIncomplete = 1'000;  // so many fit in a map however far apart they are
constexpr std::int64_t kMaxHeldBytes = 64LL << 20;       // of records held in memory
constexpr std::int64_t kRecordOverheadBytes = 1024;      // counted for each record beside its bytes
constexpr std::int64_t kClaimRetryMs = 100;              // first back-off of a failed epoch commit; doubles
constexpr std::int64_t kProduceRetryMs = 100;            // first back-off of a failed produce; doubles
constexpr std::int64_t kMaxRetryMs = 10'000;             // and ends here
constexpr std::int64_t kUnknownFunctionWaitMs = 50;      // an invocation whose function an executor knows otherwise
constexpr std::int64_t kBusyCoolingMs = 20;              // an executor that refused gets nothing for so long
constexpr std::int64_t kCapacityCoolingMs = 100;
constexpr std::int64_t kUnknownProfileCoolingMs = 5'000;
constexpr std::int64_t kOverdueGraceMs = 60'000;  // past its time-out, ask the executor what became of it

constexpr std::int64_t kSettleLookMs = 100;  // what expired while its partition settles is looked at again
constexpr std::int64_t kSessionMs = 3000;    // of the group: who stood still for longer may have lost its partitions

constexpr std::int64_t kDemandIntervalMs = 500;  // executors are told at most so often what waits
constexpr std::size_t kMaxDemandLines = 4096;    // functions with something queued that are looked at for it
constexpr std::size_t kMaxDemandProfiles = 64;

// One round of splitmix64: enough to spread retries, and the same for the same seed.
constexpr std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

enum class Stage : std::uint8_t {
  kKeyed,           // waits for its turn within its order key
  kNoFunction,      // waits for the registry
  kQueued,          // may be placed
  kBackoff,         // a try failed; waits for the next
  kPlaced,          // an executor has it
  kProducing,       // its last records are on their way
  kProduceBackoff,  // one of them failed
};

// An end that an executor owes until the commit that covers it is durable.
struct Owed {
  ExecutorId executor;
  link::AttemptRef ref;
};

struct Output {
  enum class Kind : std::uint8_t { kReply, kDeadLetter, kUndeliverable };
  Kind kind = Kind::kReply;
  OutRecord record;
  bool cut = false;  // its value was left out, because its topic does not take it
};

struct Partition;
using OrderKey = std::pair<UserId, std::string>;  // of a request; keys belong to their user

// A record that is not complete.
struct Invocation {
  std::uint64_t serial = 0;  // unique in this process, rises with arrival
  Partition* partition = nullptr;
  std::int64_t offset = 0;
  std::shared_ptr<const Record> record;
  Request request;  // payload emptied where the record's value is the payload
  bool payload_is_value = false;
  std::int64_t bytes = 0;
  Stage stage = Stage::kQueued;
  bool in_queue = false;          // in the fair queue
  std::int64_t due_us = 0;        // its line in the timers; 0: none
  std::int32_t attempt = 0;       // of the last try, whatever ended it
  std::int32_t failed_tries = 0;  // count against max_attempts
  std::int32_t infrastructure_failures = 0;
  std::int32_t returned = 0;        // attempts that never ran: refused by the executor, or lost on the way
  ExecutorId executor;              // kPlaced
  std::uint64_t placed_serial = 0;  // order of placements and fences
  std::string placed_incarnation;   // of that executor
  FunctionName placed_function;     // what the promise was made for
  std::int64_t placed_version = 0;
  std::string last_error;
  Times times;
  std::int64_t received_mono_us = 0;
  std::vector<Owed> owed;      // ends that were told of its attempts
  std::deque<Output> outputs;  // still to be delivered, in order
  std::uint64_t token = 0;     // of the produce under way
  std::int32_t output_failures = 0;
  Status final_status = Status::kOk;  // for the trace of completion
  StartPath final_path = StartPath::kNone;
  std::string final_reason;
  mutable std::uint64_t decision = 0;  // its line in the decision log; 0: none yet
  std::int64_t queued_us = 0;          // when it came to wait, monotonic
  std::string_view held_by;            // why it was not placed when its turn came last; empty: it was not asked yet
};

// An end or a running attempt that was told of an offset that was not read yet.
struct EarlyDone {
  ExecutorId executor;
  link::Done done;
};
struct EarlyRun {
  ExecutorId executor;
  link::Running run;
};

// One ownership of a partition. Dies with a revoke, and all its counters with it.
struct Partition {
  enum class Phase : std::uint8_t { kClaiming, kOwned };
  PartitionId id;
  RequestClass request_class = RequestClass::kStandard;
  std::int64_t epoch = 0;
  std::int64_t generation = 0;
  std::int64_t witness_offset = -1;  // a record there with another timestamp: the topic was made anew
  std::int64_t witness_ms = 0;
  Phase phase = Phase::kClaiming;
  Ledger ledger;
  std::map<std::int64_t, Invocation> invocations;    // by offset
  std::map<OrderKey, std::set<std::int64_t>> keys;   // → offsets, the first one is active
  std::map<std::int64_t, EarlyDone> finished_early;  // by offset
  std::map<std::int64_t, EarlyRun> running_early;
  std::vector<Owed> covered;                     // complete: to be acknowledged with the next commit
  std::vector<Owed> being_covered;               // by the commit under way
  std::int64_t former_end = INT64_MAX;           // what lies below may have been placed by a former owner
  std::map<ExecutorId, std::int64_t> owing;      // executors that owe a report; when their lease is over
  std::map<std::string, std::int64_t> expected;  // the same, by address, of executors that were not heard of yet
  // Of fences that were sent and are unanswered: placements with a lower number are covered.
  std::map<ExecutorId, std::uint64_t> fences;
  std::map<ExecutorId, std::set<std::pair<std::int64_t, std::int32_t>>> reporting;  // running, of reports under way
  bool settled = false;              // all have reported, or their lease is over
  std::int64_t settle_until_us = 0;  // so long an executor is waited for where none is connected
  std::int64_t held_bytes = 0;
  std::set<UserId> flooding;  // users beyond their bound
  bool paused = false;
  bool dirty = false;
  bool commit_pending = false;
  std::int64_t committed_at_us = 0;
  std::int64_t claim_at_us = 0;  // when to try the epoch commit again; 0: not
  std::int64_t claim_failures = 0;
};

struct Core::State {
  explicit State(Settings given);

  Context context_;
  ReplyPolicy reply_policy;

  std::map<PartitionId, std::unique_ptr<Partition>> partitions;
  std::map<PartitionId, std::int64_t> highest_epochs;  // of all that this process has held
  Functions functions_;
  Warm warm_;
  Claims claims_;
  Executors executors_;
  Turns turns_;
  Decisions decisions;
  std::vector<Candidate> candidates;                          // of the placement under way; kept for its memory
  std::unordered_map<std::uint64_t, Invocation*> by_serial;   // looked up, never walked
  std::unordered_map<std::uint64_t, std::uint64_t> by_token;  // produce token → serial
  std::set<std::pair<std::int64_t, std::uint64_t>> timers;    // due, serial
  std::uint64_t last_serial = 0;
  std::uint64_t last_token = 0;
  std::int64_t placed = 0;
  std::int64_t producing = 0;
  std::int64_t awaiting_function = 0;
  std::int64_t maps_truncated = 0;
  std::int64_t output_failures = 0;
  bool drained = false;
  std::int64_t drain_until_us = 0;
  std::int64_t demand_due_us = 0;
  std::int64_t stepped_us = 0;

  // core.cc
  void DoubtOwnership();
  void RunTimers();
  void FireTimer(Invocation& invocation);
  void CheckDrain();
  void SetTimer(Invocation& invocation, std::int64_t due_us);
  void Check(bool truth, const char* what, const Partition& partition) const;
  Trace& Note(Trace::Kind kind, const Invocation& invocation, std::string_view constraint);
  void NotePartition(Trace::Kind kind, const Partition& partition, std::string_view constraint);
  [[nodiscard]] Partition* Find(const PartitionId& id) const;
  [[nodiscard]] static Invocation* Find(Partition& partition, std::int64_t offset);
  [[nodiscard]] const Function* FunctionOf(const Request& request) const;
  [[nodiscard]] Answer AnswerTo(const Invocation& invocation) const;  // as of now

  // core_partitions.cc
  void On(const PartitionAssigned& event);
  void On(const PartitionRevoked& event);
  void On(const CaughtUp& event);
  void On(const LogStartMoved& event);
  void On(const CommitFinished& event);
  void StartClaim(Partition& partition);
  void Reclaim(Partition& partition, std::int64_t epoch);  // raises the epoch of a partition that we hold
  void CommitNow(Partition& partition, bool sync);
  void SendFence(Partition& partition, const Executor& executor);
  void ReviewSettling(Partition& partition);  // lets go what no longer has to wait for reports
  std::int64_t NewGeneration();
  void BeginGeneration(Partition& partition);  // nothing that was known is of these records
  void Acknowledge(Partition& partition);      // what the commit that has ended covers
  [[nodiscard]] bool MayQueue(const Invocation& invocation) const;
  void QueueHeld(Partition& partition);
  void UpdateIntake(Partition& partition);
  void Forget(Partition& partition);

  // core_intake.cc
  void On(const FunctionUpdated& event);
  void On(const FunctionRemoved& event);
  void On(const RecordReceived& event);
  void On(const UserLoaded& event);
  void On(const UserShared& event);
  void On(const SlotClaimed& event) { claims_.Answer(event); }
  void Activate(Invocation& invocation);  // its turn has come: admit, then queue
  void Refuse(Invocation& invocation, const Answer& answer);
  void SeeUser(const UserId& user);
  void PruneUsers();

  // core_dispatch.cc
  void Dispatch();
  FairQueue::Offered TryPlace(Invocation& invocation);
  void SendExec(Invocation& invocation, Executor& executor, const Function& function);
  // To kQueued, and into the fair queue if it may; to kKeyed where another one of its key comes first.
  void Enqueue(Invocation& invocation);
  [[nodiscard]] static bool HeadOfKey(const Invocation& invocation);
  // The one way from stage to stage: gives back what the old one held, counts the new one.
  void ChangeStage(Invocation& invocation, Stage to);
  void TakePlace(Invocation& invocation, Executor& executor, const FunctionName& function, std::int64_t version,
                 std::int32_t memory_mib);
  // Where it should run, and what was looked at for that: left in `candidates`.
  Placement ChooseExecutor(const Function& function);
  [[nodiscard]] std::int64_t BackoffMs(std::uint64_t serial, std::int32_t failed_tries) const;

  // core_decisions.cc
  void LogStep(Trace::Kind kind, const Invocation& invocation, std::string_view constraint);
  void LogPlacement(const Invocation& invocation, const Wanted& wanted, const Placement& placement);
  [[nodiscard]] std::string WhyOf(const Invocation& invocation, std::string_view refusal);

  // core_executors.cc
  void On(const ExecutorsExpected& event);
  void On(const ExecutorAbsent& event);
  void On(const ExecutorConnected& event);
  void On(const ExecutorDisconnected& event);
  void On(const ExecutorMessage& event);
  void OnSlots(Executor& executor, const std::vector<link::Slot>& slots);
  void OnFenceReport(Executor& executor, const link::FenceReport& report);
  void NoteRunning(Partition& partition, Executor& executor, const link::Running& run);
  void DropAttempt(const ExecutorId& executor, const Partition& partition, link::AttemptRef ref);
  void FenceAll(Executor& executor);
  void ForgetFences(const ExecutorId& executor);
  void Adopt(Invocation& invocation, Executor& executor, std::int32_t attempt);
  void EndLease(Executor& executor);
  void WriteDirectory(const ExecutorId& executor, const link::Slot& slot);

  // core_demand.cc
  void TellDemand();
  [[nodiscard]] std::vector<link::ProfileDemand> MeasureDemand() const;

  // core_attempts.cc
  void OnDone(Executor& executor, const link::Done& done, bool from_report);
  void SettleEarly(Partition& partition);
  void NoteEarly(Partition& partition, const ExecutorId& executor, const link::Done& done);
  [[nodiscard]] static bool SameRecord(const Invocation& invocation, const InvocationId& id, std::int64_t enqueued_us);
  void OnNack(Executor& executor, const link::Nack& nack);
  void Settle(Invocation& invocation, const link::Done& done);  // the attempt ended so
  void OnFailedTry(Invocation& invocation, const link::Done& done);
  void OnInfrastructure(Invocation& invocation, bool may_have_started, std::string_view reason);

  // core_outputs.cc
  void On(const ProduceFinished& event);
  [[nodiscard]] Output ReplyOutput(const Invocation& invocation, Status status, std::string_view error_type,
                                   std::string_view message);
  [[nodiscard]] Output DeadLetterOutput(const Invocation& invocation, std::string_view reason,
                                        std::string_view message) const;
  void Finish(Invocation& invocation, Status status, std::string_view reason, std::vector<Output> outputs);
  void ProduceNext(Invocation& invocation);
  void Complete(Invocation& invocation);

  void On(const DrainRequested&);
  void On(const Tick&);
};

}  // namespace hearth::dispatcher
