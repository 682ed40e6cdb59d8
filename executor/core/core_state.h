// What the executor's core knows, and the steps that its events are made of. Private to executor/core.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "executor/core/choose.h"
#include "executor/core/code_cache.h"
#include "executor/core/context.h"
#include "executor/core/core.h"
#include "executor/core/done_ring.h"
#include "executor/core/fencing.h"
#include "executor/core/keys.h"
#include "executor/core/machines.h"
#include "executor/core/pools.h"
#include "executor/core/registry.h"
#include "executor/core/states.h"
#include "executor/core/why.h"

namespace hearth::executor {

constexpr std::int64_t kPublishRetryMs = 1000;
constexpr std::int64_t kSlowPublishMs = 250;  // a result that waits for its topic for longer holds no credit
constexpr std::int32_t kMaxLentCredit = 256;  // but so many such attempts at most are held beside the credit
enum class Phase : std::uint8_t { kArrived, kWaiting, kPromised, kRunning, kPublishing };

struct Attempt {
  link::Exec exec;  // ref.epoch is the epoch in force
  Phase phase = Phase::kArrived;
  std::uint64_t order = 0;      // of arrival
  std::int64_t expires_us = 0;  // on the monotonic clock; 0: never
  std::uint64_t machine = 0;    // kPromised, kRunning
  std::uint32_t container = 0;
  bool counted = false;  // as a request for a machine
  StartPath path = StartPath::kNone;
  Why why;
  Time run_sent;
  link::Done done;                       // kPublishing: what is reported once the record is durable
  OutRecord record;                      // kPublishing: kept for another try
  std::int64_t publishing_since_us = 0;  // kPublishing
  bool to_undeliverable = false;
  bool shrunk = false;  // its output was left out, because no topic takes it
};

struct LinkState {
  DispatcherId dispatcher;
  std::uint64_t heartbeat = 0;
};

struct Lease {
  std::int64_t renewed_us = 0;  // send time of the last acknowledged heartbeat
  bool over = false;            // and all of its attempts are dropped
  LinkId link = 0;              // the newest connection: what an older one still says is not obeyed
};

struct Core::State {
  explicit State(Settings given);

  // core_links.cc
  void On(const DispatcherConnected& event);
  void On(const DispatcherDisconnected& event);
  void On(const DispatcherMessage& event);
  using Refusal = std::pair<link::NackReason, const char*>;  // and why, for people
  [[nodiscard]] std::optional<Refusal> RefusalOf(const link::Exec& exec, const DispatcherId& dispatcher) const;
  [[nodiscard]] bool MayReplyTo(const link::Exec& exec) const;
  void RefuseReply(LinkId link, const link::Exec& exec);
  void OnExec(LinkId link, const link::Exec& exec);
  void OnFence(LinkId link, const link::Fence& fence);
  void OnCancel(const link::Cancel& cancel);
  void OnDrop(const link::Drop& drop);
  void OnDoneAck(const DispatcherId& dispatcher, const link::AttemptRef& ref);
  [[nodiscard]] bool LeaseHolds(const DispatcherId& dispatcher) const;
  void Reply(const PartitionId& partition, link::Message message);  // to the owner, where it is connected
  void Heartbeats();
  // Attempts that may be held now. A result whose topic is not there occupies nobody's place.
  [[nodiscard]] std::int32_t Credit() const { return context_.settings().credit + lent_credit; }
  [[nodiscard]] std::int32_t SlowlyPublishing() const;
  void ReportSlots();
  [[nodiscard]] link::ExecutorHello Hello() const;

  // core_attempts.cc
  void On(const PublishFinished& event);
  void OnEnded(Machine& machine, std::uint32_t number, const guest::Ended& ended);
  void PublishResult(const AttemptKey& key, Attempt& attempt, const InvocationResult& result);
  void Finish(const AttemptKey& key, link::Done done);  // forgets the attempt and tells its owner
  void FailAttempt(const AttemptKey& key, const std::string& reason);
  void HandOver(const AttemptKey& key);  // its record to Kafka, if the lease still holds
  void GiveUpPublishing(const AttemptKey& key);
  void PublishAgain();
  void DropOrphans();
  void DropOrphansOf(const DispatcherId& dispatcher);
  void Orphan(const AttemptKey& key);                     // ends it and owes its owner the news
  void LetGo(const AttemptKey& key, const char* reason);  // ends it and frees its container
  void ExpireWaiting();
  void Queue(const AttemptKey& key, Attempt& attempt);
  // Takes it out of the lines of those that wait, or that were promised a container.
  void Unqueue(const AttemptKey& key, const Attempt& attempt);
  [[nodiscard]] link::Done DoneOf(const Attempt& attempt) const;
  void Note(Trace::Kind kind, const Attempt& attempt, Status status, std::string reason);  // of no machine

  // core_schedule.cc
  void Schedule();
  void Place(const AttemptKey& key, Attempt& attempt, std::size_t profile, std::int32_t& awaited_mib);
  void CreateContainer(const AttemptKey& key, Attempt& attempt, Machine& machine, StartPath path);
  void Run(const AttemptKey& key, Attempt& attempt, Machine& machine, Container& container);
  // A container that came free: runs the oldest attempt that can use it, else it stays idle.
  void Serve(Machine& machine, Container& container);
  void On(const CodeLoaded& event);
  void On(const ArchiveSent& event);
  void Create(Machine& machine, const std::vector<AttemptKey>& promised);
  [[nodiscard]] bool IsRetired(const FunctionVersion& function) const;
  void CountArrival(Attempt& attempt, std::size_t profile);
  [[nodiscard]] std::vector<OwnMachine> OwnMachines(const Attempt& attempt) const;
  [[nodiscard]] House DescribeHouse(const Attempt& attempt, std::size_t profile, std::int32_t awaited_mib) const;

  // core_machines.cc
  void On(const MachineReady& event);
  void On(const MachineFailed& event);
  void On(const MachineLost& event);
  void On(const MachineDestroyed& event);
  void On(const FunctionUpdated& event);
  void On(const FunctionRemoved& event);
  void On(const FunctionsCaughtUp& event);
  void On(const DrainRequested& event);
  void On(const Tick& event);
  void Condemn(Machine& machine, const std::string& reason);
  void Erase(Machine& machine);
  void StartFailed(std::size_t profile);
  void RunDue();
  void Expire(Machine& machine);
  void Expire(Machine& machine, Container& container);
  void PingAll();

  // core_guest.cc
  void On(const GuestMessage& event);
  void OnGuest(Machine& machine, std::uint32_t stream, const guest::Message& message);
  void OnCreated(Machine& machine, Container& container, const guest::Created& created);
  void OnGone(Machine& machine, Container& container, const std::string& reason);
  void Unasked(Machine& machine);

  void On(const ShellsChanged& event);
  void On(const HostPressure& event);
  void On(const ImageChanged& event);
  void On(const PoolChanged& event);

  Context context_;
  Machines machines_;
  CodeCache codes_;
  Pools pools_;
  std::map<LinkId, LinkState> links;
  std::map<DispatcherId, Lease> leases;
  Fencing fencing;
  DoneRing ring;
  std::map<AttemptKey, Attempt> attempts;
  std::map<std::uint64_t, AttemptKey> waiting;                                  // by order of arrival
  std::map<FunctionVersion, std::map<std::uint64_t, AttemptKey>> waiting_for;   // the same
  std::map<FunctionVersion, std::map<std::uint64_t, AttemptKey>> promised_for;  // those with a container in the making
  std::set<std::pair<std::int64_t, std::uint64_t>> expiring;  // of those that wait: when, order of arrival
  std::map<std::uint64_t, AttemptKey> publishing;             // by token
  std::set<std::pair<std::int64_t, AttemptKey>> publish_again;
  bool starved = false;  // a request waits for a start: refill yields
  Registry registry;
  std::int32_t lent_credit = 0;  // as of the last heartbeat: for results that wait for their topic
  std::uint64_t next_order = 1;
  std::uint64_t next_token = 1;
  std::int64_t next_heartbeat_us = 0;
  bool drained = false;
};

}  // namespace hearth::executor
