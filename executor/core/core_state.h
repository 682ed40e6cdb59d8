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
#include "executor/core/core.h"
#include "executor/core/done_ring.h"
#include "executor/core/fencing.h"
#include "executor/core/pool.h"
#include "executor/core/registry.h"
#include "executor/core/states.h"
#include "executor/core/why.h"

namespace hearth::executor {

constexpr std::size_t kMaxCodeCacheBytes = 256U << 20;  // archives kept to be sent to further machines
constexpr std::int32_t kPingMisses = 3;
constexpr std::int32_t kMaxUnaskedFrames = 64;  // that an agent may send between two pings for nothing
constexpr std::int64_t kPublishRetryMs = 1000;
constexpr std::int64_t kSlowPublishMs = 250;  // a result that waits for its topic for longer holds no credit
constexpr std::int32_t kMaxLentCredit = 256;  // but so many such attempts at most are held beside the credit
constexpr std::int64_t kShellWaitMs = 1000;   // so long an attempt waits for a shell before a machine is booted for it
constexpr std::int64_t kShellsTrustMs = 30'000;  // shells that were there so lately will come again

// An attempt without its epoch: partition, generation of the ledger, offset, attempt. Re-tagging changes none of it.
using AttemptKey = std::tuple<PartitionId, std::int64_t, std::int64_t, std::int32_t>;
using FunctionVersion = std::tuple<UserId, FunctionName, std::int64_t>;

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

struct Container {
  std::uint32_t number = 0;
  ContainerState state = ContainerState::kCreating;
  FunctionVersion function;
  std::int32_t memory_mib = 0;
  std::int64_t idle_limit_us = 0;
  std::optional<AttemptKey> attempt;  // that it was made for, or that it runs
  std::int64_t idle_since_us = 0;
  std::uint64_t idle_order = 0;  // idle: its place in the line
  std::int64_t due_us = 0;       // its line in `due`. Idle: then it goes; else: then the agent counts as hung
  bool create_sent = false;
  std::int64_t changed_ms = 0;  // see ChangeMs
};

struct Machine {
  std::uint64_t number = 0;
  MachineId id;
  std::size_t profile = 0;
  MachineState state = MachineState::kCreating;
  StartPath path = StartPath::kBoot;
  std::string image;
  bool activates = false;  // creating: a shell is activated for a request
  UserId user;             // once assigned
  UserId meant_for;        // while not assigned: whose attempts it was started for
  std::set<Runtime> runtimes;
  std::int64_t since_us = 0;   // creating: the order to start; warm: ready; assigned: last without container
  std::int64_t due_us = 0;     // its line in `due`. Creating: no Hello; warm: too old; assigned, empty: idle
  std::int64_t ping_us = 0;    // its line in `pings`
  std::int64_t quiet_us = -1;  // its line in `quiet`: assigned, and every container idle; since when
  std::int32_t free_mib = 0;
  std::int32_t freeing_mib = 0;
  std::set<CodeHash> codes;    // of its user, sent to it
  std::set<CodeHash> sending;  // on the way to it
  std::map<std::uint32_t, Container> containers;
  std::int32_t not_idle = 0;  // of the containers
  std::uint32_t next_container = 1;
  std::uint64_t ping_sequence = 0;
  std::int32_t pings_missed = 0;
  std::int32_t unasked = 0;     // frames since the last ping
  std::int64_t changed_ms = 0;  // of its own line: see ChangeMs
};

struct LinkState {
  DispatcherId dispatcher;
  std::uint64_t heartbeat = 0;
  std::map<std::string, std::int64_t> backlog;  // by profile
};

struct Lease {
  std::int64_t renewed_us = 0;  // send time of the last acknowledged heartbeat
  bool over = false;            // and all of its attempts are dropped
  LinkId link = 0;              // the newest connection: what an older one still says is not obeyed
};

struct ProfileState {
  Profile profile;  // the pool's numbers as they were changed last
  PoolDemand demand;
  std::string image;
  std::set<Runtime> runtimes;  // as the last machine said; empty: none has said yet
  std::int32_t failures = 0;
  std::int64_t may_start_us = 0;
  std::int32_t shells = 0;                      // that wait
  std::int32_t shells_asked = 0;                // by the last KeepShells
  std::int64_t shells_seen_us = INT64_MIN / 2;  // when some waited last
  std::int64_t held_since_us = 0;               // refill leaves the shells to requests; 0: it does not
  std::int64_t surplus_since_us = 0;            // the pool is above its target; 0: it is not
  std::int64_t restore_us = 0, boot_us = 0;     // averages of starts for requests
  std::set<std::uint64_t> warm;                 // unassigned, meant for nobody
  std::set<std::uint64_t> starting;             // the same
  std::int32_t assigned = 0;
};

// What a user has of the machines.
struct Holding {
  std::set<std::uint64_t> assigned;
  std::set<std::uint64_t> coming;  // creating or warm, meant for the user
  std::int32_t starting = 0;       // of these
};

// The order in which the idle containers of a function version wait: the last used at the back.
using IdleLine = std::map<std::uint64_t, std::pair<std::uint64_t, std::uint32_t>>;

// Code is its user's: equal bytes of two users are two codes.
using UserCode = std::pair<UserId, CodeHash>;
struct CachedCode {
  std::shared_ptr<const std::string> bytes;  // null: being loaded
  std::uint64_t used = 0;
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
  [[nodiscard]] std::int32_t Credit() const { return settings.credit + lent_credit; }
  [[nodiscard]] std::int32_t SlowlyPublishing() const;
  void ReportSlots();
  [[nodiscard]] std::vector<link::ProfileCapacity> Capacities() const;
  [[nodiscard]] link::Slot SlotOf(const Machine& machine, const Container* container) const;
  // The time of a change that is reported. It never falls while the process lives, whatever becomes of the clock:
  // what is known of a slot is ordered by it.
  [[nodiscard]] std::int64_t ChangeMs();
  void NoteChange(Machine& machine);
  void NoteChange(Machine& machine, Container& container);
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
  void Assign(Machine& machine, const UserId& user);
  void CreateContainer(const AttemptKey& key, Attempt& attempt, Machine& machine, StartPath path);
  void SendCode(Machine& machine, const CodeHash& hash);
  void SendCreate(Machine& machine, Container& container);
  void Run(const AttemptKey& key, Attempt& attempt, Machine& machine, Container& container);
  void TurnIdle(Machine& machine, Container& container);
  void RemoveContainer(Machine& machine, Container& container, const std::string& reason);
  void On(const CodeLoaded& event);
  void On(const ArchiveSent& event);
  // The attempts that wait for the code, in this machine or in any.
  [[nodiscard]] std::vector<AttemptKey> AwaitingCode(const UserCode& code, const Machine* in) const;
  void CreateAwaiting(Machine& machine, const CodeHash& hash);
  [[nodiscard]] std::pair<Machine*, Container*> FindIdle(const FunctionVersion& function);
  [[nodiscard]] bool IsRetired(const FunctionVersion& function) const;
  void CountArrival(Attempt& attempt, std::size_t profile);
  [[nodiscard]] std::vector<OwnMachine> OwnMachines(const Attempt& attempt) const;
  [[nodiscard]] House DescribeHouse(const Attempt& attempt, std::size_t profile, std::int32_t awaited_mib) const;
  [[nodiscard]] std::vector<Spare> Spares(std::size_t for_profile, std::int32_t missing_mib) const;

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
  void Destroy(Machine& machine, MachineState to, const std::string& reason);
  void Start(std::size_t profile, const UserId& meant_for);
  void StartFailed(std::size_t profile);
  void Unclaim();  // what became ready for a user who needs it no more is the pool's
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

  // core_pools.cc
  void On(const ShellsChanged& event);
  void On(const HostPressure& event);
  void On(const ImageChanged& event);
  void On(const PoolChanged& event);
  void OnDemand(LinkState& link, const link::Demand& demand);
  void SumBacklog();
  void Refill();
  void KeepEnoughShells();
  void Shrink(ProfileState& profile, std::int32_t target);
  [[nodiscard]] PoolView View(ProfileState& profile, std::int32_t target);
  [[nodiscard]] bool IsOutdated(const Machine& machine) const;
  [[nodiscard]] bool ShellsComeAndGo(const ProfileState& profile) const;

  // core_index.cc: every change of what the indexes are made of goes through these.
  void Move(Machine& machine, MachineState to, const std::string& reason);
  void Move(Machine& machine, Container& container, ContainerState to, const std::string& reason);
  void MeanFor(Machine& machine, const UserId& user);
  void FreeContainer(Machine& machine, std::uint32_t number);
  void Erase(Machine& machine);
  void Index(const Machine& machine, int sign);
  void UpdateQuiet(Machine& machine);
  void SetDue(Machine& machine, std::int64_t at_us);
  void SetDue(Machine& machine, Container& container, std::int64_t at_us);
  void SetPing(Machine& machine, std::int64_t at_us);
  [[nodiscard]] Machine* Find(const MachineId& id);
  [[nodiscard]] std::size_t ProfileOf(const Function& function) const;  // its index; profiles.size() where unknown
  [[nodiscard]] const UserLimits& LimitsOf(const UserId& user) const;
  [[nodiscard]] std::int32_t FreeMib() const;  // for machines; shells give way to them

  template <class E>
  void Emit(E effect) {
    effects->push_back(std::move(effect));
  }

  Settings settings;
  std::vector<ProfileState> profiles;
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
  std::map<UserCode, std::set<AttemptKey>> awaiting_code;  // until all of it is on its way to their machines
  std::map<std::uint64_t, Machine> machines;
  std::map<MachineId, std::uint64_t> numbers;
  std::map<FunctionVersion, IdleLine> idle;
  std::map<UserId, Holding> holdings;
  std::set<std::tuple<std::int64_t, std::uint64_t, std::uint32_t>> due;  // when, machine, container (0: none)
  std::set<std::pair<std::int64_t, std::uint64_t>> pings;                // when, machine
  std::set<std::pair<std::int64_t, std::uint64_t>> quiet;                // since when, machine
  std::vector<std::uint64_t> just_ready;                                 // in this step, meant for a user
  std::int32_t starting = 0;                                             // machines: boots, and what refills the pools
  std::int32_t activating = 0;                                           // machines: shells for requests
  std::int32_t used_mib = 0;
  std::int32_t freeing_mib = 0;  // of that, of machines that are going
  bool starved = false;          // a request waits for a start: refill yields
  Shortage shortage;
  Registry registry;
  std::map<UserCode, CachedCode> codes;
  std::map<std::string, link::Slot> changed;  // by slot id, to be reported
  std::int64_t last_change_ms = 0;
  std::int32_t lent_credit = 0;  // as of the last heartbeat: for results that wait for their topic
  std::uint64_t next_order = 1;
  std::uint64_t next_token = 1;
  std::uint64_t next_machine = 1;
  std::uint64_t next_use = 1;
  std::uint64_t next_idle = 1;
  std::int64_t next_heartbeat_us = 0;
  std::uint64_t random;
  bool dirty = false;  // something came free or waits: schedule at the end of the step
  bool draining = false;
  bool drained = false;
  Time now;
  std::vector<Effect>* effects = nullptr;
};

AttemptKey KeyOf(const link::AttemptRef& ref);
FunctionVersion VersionOf(const Function& function);

}  // namespace hearth::executor
