// The dispatcher's core: one state machine that decides all, Step(event, now) → effects. No input or output, no clock,
// no thread: the shell (dispatcher/app) turns what happens into events and carries the effects out, and the simulator
// does the same under virtual time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "dispatcher/core/decisions.h"
#include "dispatcher/core/request_class.h"
#include "schemas/function.h"
#include "schemas/link.h"
#include "schemas/record.h"
#include "schemas/result.h"

namespace hearth::dispatcher {

struct Settings {
  DispatcherId id;
  std::map<std::string, RequestClass> request_topics;  // which topics it reads, and their class
  std::string reply_topic = "hearth.reply";            // where a request names none
  std::vector<std::string> reply_topics_allowed;       // exact names, or a prefix followed by '*'
  std::vector<std::string> realtime_users;             // who is granted the class rt; written alike
  std::set<std::string, std::less<>> own_topics;       // no reply goes there, whatever is allowed
  std::string dead_letter_topic = "hearth.dead-letter";
  std::string undeliverable_topic = "hearth.undeliverable";  // where a reply goes whose topic refused it
  std::int32_t user_concurrency = 64;                        // attempts of one user at once
  std::int32_t user_queue_limit = 10'000;  // waiting invocations of one user: beyond it, intake pauses
  std::int64_t commit_interval_ms = 200;
  std::int64_t retry_base_ms = 1000;              // back-off of a failed try: base × 4^(n-1), jittered
  std::int64_t fence_settle_ms = 1000;            // wait that long for an executor to connect after an assignment
  std::int64_t drain_ms = 500;                    // on revoke
  std::int64_t drain_deadline_ms = 30'000;        // on DrainRequested: then the rest is left to the next owner
  std::int64_t unknown_function_grace_ms = 1000;  // wait that long for the registry before refusing
  std::uint64_t seed = 0;                         // of the jitter
};

// ---- events --------------------------------------------------------------------------------------------------------
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
struct RecordReceived {
  std::shared_ptr<const Record> record;
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
  bool permanent = false;  // it can never be written as it is
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
                 RecordReceived, CommitFinished, ProduceFinished, ExecutorsExpected, ExecutorAbsent, ExecutorConnected,
                 ExecutorDisconnected, ExecutorMessage, UserLoaded, UserShared, SlotClaimed, DrainRequested, Tick>;

// ---- effects -------------------------------------------------------------------------------------------------------
struct SendToExecutor {
  ExecutorId executor;
  link::Message message;
};
// Answered by ProduceFinished with the same token, exactly once.
struct Produce {
  std::uint64_t token = 0;
  OutRecord record;
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
// How one invocation was decided; for logs, metrics and the history. Plain data, no payload.
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

using Effect = std::variant<SendToExecutor, Produce, Commit, PauseIntake, ResumeIntake, LoadUser, DirectoryWrite,
                            DirectoryDropExecutor, ClaimSlot, Trace, DrainFinished>;

// Numbers for /metrics, read by the shell after steps.
struct Gauges {
  std::int64_t received = 0, complete = 0, in_flight = 0;  // I6: received == in_flight + complete, always
  std::int64_t queued = 0, queued_limit = 0, placed = 0, users = 0, executors_up = 0;
  std::int64_t window_max = 0, window_limit = 0, incomplete_ranges_max = 0;
  std::int64_t partitions = 0, oldest_incomplete_age_ms = 0;
  std::int64_t maps_truncated = 0;                 // commits whose map did not fit whole; counts up
  std::int64_t output_failures = 0;                // produces that failed and were sent again or elsewhere; counts up
  std::int64_t decisions = 0, decision_bytes = 0;  // of the decision log; its limits: decisions.h
};

// Not thread-safe: one thread steps it. Effects are appended in the order in which they must be carried out.
class Core {
 public:
  explicit Core(Settings settings);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void Step(const Event& event, Time now, std::vector<Effect>& effects);
  [[nodiscard]] Gauges ReadGauges(Time now) const;
  // How the newest invocation of that id got its place, while the log remembers it; else null. Holds until the next
  // step.
  [[nodiscard]] const Decision* Explain(const InvocationId& id) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hearth::dispatcher
