// Frames between a dispatcher and an executor. The executor listens; dispatchers dial. Stream is always 0.
//
//   dispatcher → executor  DispatcherHello, Proof;  then FunctionDescription, Exec, Fence, Cancel, Drop, DoneAck,
//                          HeartbeatAck, Demand
//   executor → dispatcher  Challenge, ExecutorHello;  then Nack, Done, FenceReport, Heartbeat, SlotReport
//
// The first four open the link, once each, in the order of common/link/trust.h, which says what the proofs are.
// Functions are described once in a session and named by number from then on (schemas/link_session.h).
//
// Leases: the executor sends Heartbeat every kHeartbeatMs with its own send time; the acknowledgement renews the lease
// of every attempt of that dispatcher to that send time plus orphan grace. Fencing: an executor obeys the highest epoch
// that it has seen for a partition and answers Exec of a lower one with Nack(kFenced).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/frame.h"
#include "schemas/function.h"
#include "schemas/record.h"
#include "schemas/request.h"
#include "schemas/result.h"

namespace hearth::link {

constexpr std::uint32_t kProtocolVersion = 6;
constexpr std::size_t kMaxListed = 1000;             // entries of one frame of a list that travels in several frames
constexpr std::int32_t kAnyWaitingRoom = 1'000'000;  // of whom says nothing of it
constexpr std::int64_t kHeartbeatMs = 200;
constexpr std::int64_t kSuspectMs = 600;  // no heartbeat for so long: no new work goes there
constexpr std::int64_t kOrphanGraceMs =
    20'000;                                // executor: without an acknowledged heartbeat, kill and publish nothing
constexpr std::int64_t kLeaseMs = 25'000;  // dispatcher: place again only after that much silence

// Which attempt of which record: the fencing token and the key of an attempt everywhere.
struct AttemptRef {
  PartitionId partition;
  std::int64_t offset = 0;
  std::int64_t epoch = 0;
  std::int32_t attempt = 1;     // counts every try, whatever ended the last
  std::int64_t generation = 0;  // of the ledger: what was said under another one is of other records
  friend auto operator<=>(const AttemptRef&, const AttemptRef&) = default;
};

struct DispatcherHello {
  std::uint32_t protocol = kProtocolVersion;
  DispatcherId dispatcher;
  std::string nonce{};  // absent before version 4: empty
};
struct Challenge {
  std::uint32_t protocol = kProtocolVersion;
  ExecutorId executor;
  std::string nonce;
  std::string proof;
};
struct Proof {
  std::string proof;
};

enum class SlotState : std::uint8_t { kCreating = 0, kIdle = 1, kBusy = 2, kGone = 3 };
// One container, or (container empty) one machine, as the directory knows it.
struct Slot {
  UserId user;
  MachineId machine;
  ContainerId container;  // empty: the line of the machine itself
  FunctionName function;
  std::int64_t version = 0;
  SlotState state = SlotState::kIdle;
  std::int32_t memory_mib = 0;  // of the container; of the machine: free for further containers
  std::int64_t since_ms = 0;    // wall clock of the change
  friend bool operator==(const Slot&, const Slot&) = default;
};

struct ProfileCapacity {
  std::string profile;
  std::int32_t pool_ready = 0;  // unassigned warm machines
  std::int32_t shells = 0;
  std::int32_t can_start = 0;           // further machines that memory allows
  std::int32_t container_mib = 0;       // largest container that one machine can hold; absent, 0: not known
  std::vector<std::string> runtimes{};  // that its machines have; absent, empty: not known
  std::int32_t pool_kept = 0;           // of pool_ready, for users who have no machine there
  friend bool operator==(const ProfileCapacity&, const ProfileCapacity&) = default;
};

struct ExecutorHello {
  std::uint32_t protocol = kProtocolVersion;
  ExecutorId executor;
  std::string incarnation;   // new at each start of the process
  std::string acceleration;  // "kvm", "tcg" or "simulated"
  std::int32_t credit = 0;   // as in Heartbeat
  bool draining = false;
  std::vector<ProfileCapacity> profiles;
  std::vector<Slot> slots;                      // all that it has; what is above kMaxListed follows in SlotReports
  std::int32_t waiting_room = kAnyWaitingRoom;  // as in Heartbeat
  std::int32_t waiting = 0;                     // as in Heartbeat
};

// What a number stands for from now on, in this session. It replaces what the number stood for before.
struct FunctionDescription {
  std::uint32_t number = 0;  // below kMaxNumberedFunctions (schemas/link_session.h)
  Function function;
};

// Which item of a batch an attempt runs. The batch itself is named by the reference: its topic is "USER/BATCH"
// (FormatBatchRef; no topic of Kafka has a '/' in its name), and its number is that of the batch's partition in every
// topic of batches.
struct ItemOfBatch {
  std::int64_t index = 0;       // 0 to kMaxBatchItems - 1, or kOnCompleteIndex
  std::string item_id;          // the client's own name for it, at most kMaxItemIdBytes; empty: none
  std::int32_t generation = 0;  // redrives of the batch before it runs, at most kMaxBatchGeneration
  friend bool operator==(const ItemOfBatch&, const ItemOfBatch&) = default;
};

struct Exec {
  AttemptRef ref;
  InvocationId id;
  std::int32_t try_number = 1;  // attempts that count against max_attempts, this one included
  bool final_try = false;       // publish the result even if it is a failure
  RequestForm form = RequestForm::kHeaders;
  std::string reply_to;  // resolved, never empty
  std::string traceparent;
  std::string content_type;
  std::int32_t timeout_ms = 0;  // resolved
  std::int64_t expires_ms = 0;
  Times times;                        // enqueued, received, placed
  std::uint32_t function_number = 0;  // what travels of the function: the sessions at both ends turn one into the other
  std::shared_ptr<const Function> function;  // never null where a core sees it
  std::string payload;
  std::string why;                  // the dispatcher's part of how it got its place (schemas/why.h); absent: empty
  std::optional<ItemOfBatch> item;  // absent: it is no item. Its reply is marked, and lies in the batch's partition
};

struct Fence {
  PartitionId partition;
  std::int64_t epoch = 0;
  std::int64_t committed_offset = 0;  // report nothing below
  std::int64_t generation = 0;        // what runs and has finished under another one is let go
};
struct Cancel {
  AttemptRef ref;
};
// Nobody waits for the attempt any more: it ends, and nothing is published or reported of it.
struct Drop {
  AttemptRef ref;
};
// The commit that covers what Done told is durable: the executor no longer owes it.
struct DoneAck {
  AttemptRef ref;
};

enum class NackReason : std::uint8_t {
  kBusy = 0,
  kFenced = 1,
  kDraining = 2,
  kNoCapacity = 3,
  kUnknownProfile = 4,
  kUnknownFunction = 5,  // the registry, as far as the executor has read it, has another function or none
  kNoMachine = 6,        // there is no container or machine for it, and as many of the user, or of all, wait as may
};
struct Nack {
  AttemptRef ref;
  NackReason reason = NackReason::kBusy;
};

constexpr std::int64_t kNoReplyOffset = -1;
enum class Outcome : std::uint8_t {
  kPublished = 0,       // the result is durable on the reply topic (or on hearth.undeliverable)
  kFailed = 1,          // user code failed and this was not the final try; nothing was published
  kInfrastructure = 2,  // the machine, agent or executor failed; nothing was published
  kExpired = 3,         // expired before it started; nothing was published
};
struct Done {
  AttemptRef ref;
  InvocationId id;
  Outcome outcome = Outcome::kPublished;
  Status status = Status::kOk;
  std::string error_type;
  std::string error_message;
  StartPath start_path = StartPath::kNone;
  Times times;
  std::int32_t try_number = 0;  // as Exec gave it, so that an adopting dispatcher counts right; 0: unknown
  std::int64_t billed_ms = 0;   // what the run took by the executor's clock; absent, 0: it did not run, or is not known
  // Where the reply lies in its partition of its topic; absent, kNoReplyOffset: nothing was published there, or where
  // is not known.
  std::int64_t reply_offset = kNoReplyOffset;
  friend bool operator==(const Done&, const Done&) = default;
};

// An attempt that an executor holds, with what tells its record from another one at the same offset.
struct Running {
  AttemptRef ref;
  InvocationId id;
  std::int64_t enqueued_us = 0;  // the record's timestamp, as Exec gave it
  friend bool operator==(const Running&, const Running&) = default;
};

// The answer to Fence: what this executor holds for the partition, and what it has finished and still owes, from the
// committed offset on. Texts stay out of it. From now on the running ones carry the new epoch. It takes as many frames
// as it needs; `more` is set in all but the last. `refused`: another dispatcher holds this epoch or a higher one, which
// `epoch` names.
struct FenceReport {
  PartitionId partition;
  std::int64_t epoch = 0;
  std::vector<Running> running;
  std::vector<Done> finished;
  bool more = false;
  bool refused = false;
};

struct Heartbeat {
  std::uint64_t sequence = 0;
  std::int64_t sent_mono_us = 0;  // the executor's monotonic clock, echoed
  std::int32_t credit = 0;        // attempts it may hold of this dispatcher; those that wait came on top
  std::int32_t held = 0;          // attempts of this dispatcher that it holds now
  bool draining = false;
  std::vector<ProfileCapacity> profiles;
  std::int32_t waiting_room = kAnyWaitingRoom;  // further attempts that may wait for a machine
  std::int32_t waiting = 0;                     // of those held: they wait for a machine
  bool leaves = false;                          // it has drained: it holds nothing of anybody, and never will again
};
struct HeartbeatAck {
  std::uint64_t sequence = 0;
  std::int64_t sent_mono_us = 0;
  std::int64_t wanting = 1;  // users of the dispatcher that want a place; absent: 1
};

// Changes of slots since the last report; kGone removes.
struct SlotReport {
  std::vector<Slot> slots;
};

// What waits at the dispatcher without a place, by profile: this executor's share of it, so that its pools grow before
// the work comes. Replaces what was said before; a profile that is not named has nothing waiting.
struct ProfileDemand {
  std::string profile;
  std::int64_t waiting = 0;  // invocations
  friend bool operator==(const ProfileDemand&, const ProfileDemand&) = default;
};
struct Demand {
  std::vector<ProfileDemand> profiles;
};

using Message = std::variant<DispatcherHello, ExecutorHello, Exec, Fence, Cancel, DoneAck, Nack, Done, FenceReport,
                             Heartbeat, HeartbeatAck, SlotReport, Demand, Drop, Challenge, Proof, FunctionDescription>;

// The type byte on the wire is the index in Message plus 1; the payload is a msgpack array of the fields in order. What
// is larger than a frame is refused (kExhausted), and `out` stays as it was. Whatever is made of valid requests and
// functions fits: lists travel in frames of kMaxListed entries, and texts have limits. Of an Exec's function these two
// know the number only: sessions are in schemas/link_session.h.
[[nodiscard]] Result<void> AppendLinkMessage(std::string& out, const Message& message);
Result<Message> DecodeLinkMessage(RawFrame raw);

}  // namespace hearth::link
