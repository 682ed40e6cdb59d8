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
#include "executor/core/states.h"
#include "executor/core/why.h"

namespace hearth::executor {

constexpr std::size_t kMaxCodeCacheBytes = 256U << 20;  // archives kept to be sent to further instances
constexpr std::size_t kMaxReportedDone = 6000;          // of one FenceReport, so that it fits into a frame
constexpr std::int32_t kPingMisses = 3;
constexpr std::int64_t kPublishRetryMs = 1000;
constexpr std::int64_t kShellWaitMs = 1000;  // so long an attempt waits for a shell before a machine is booted for it
constexpr std::int64_t kShellsTrustMs = 30'000;  // shells that were there so lately will come again

// An attempt without its epoch: what re-tagging does not change.
using AttemptKey = std::tuple<PartitionId, std::int64_t, std::int32_t>;
using FunctionVersion = std::tuple<UserId, FunctionName, std::int64_t>;

enum class Phase : std::uint8_t { kWaiting, kPromised, kRunning, kPublishing };

struct Attempt {
  link::Exec exec;  // ref.epoch is the epoch in force
  Phase phase = Phase::kWaiting;
  std::uint64_t order = 0;  // of arrival
  std::int64_t since_us = 0;
  std::uint64_t instance = 0;  // kPromised, kRunning
  std::uint32_t container = 0;
  StartPath path = StartPath::kNone;
  Why why;
  Time run_sent;
  link::Done done;   // kPublishing: what is reported once the record is durable
  OutRecord record;  // kPublishing: kept for another try
  bool to_undeliverable = false;
  std::int64_t publish_again_us = 0;  // 0: a publish is under way
};

struct Container {
  std::uint32_t number = 0;
  ContainerState state = ContainerState::kCreating;
  FunctionVersion function;
  std::int32_t memory_mib = 0;
  std::optional<AttemptKey> attempt;  // that it was made for, or that it runs
  std::int64_t idle_since_us = 0;
  std::int64_t condemn_us = 0;  // busy: no Ended until then means that the agent hangs
  bool create_sent = false;
};

struct Instance {
  std::uint64_t number = 0;
  InstanceId id;
  std::size_t profile = 0;
  InstanceState state = InstanceState::kCreating;
  StartPath path = StartPath::kBoot;
  bool activates = false;  // creating: a shell is activated for a request
  UserId user;             // once assigned
  UserId meant_for;        // while not assigned: whose attempts it was started for
  std::set<Runtime> runtimes;
  std::int64_t since_us = 0;   // creating: the order to start; warm: ready; assigned: last without container
  std::int64_t retire_us = 0;  // warm: too old from then on
  std::int32_t free_mib = 0;
  std::int32_t freeing_mib = 0;
  std::set<CodeHash> codes;  // sent to it
  std::map<std::uint32_t, Container> containers;
  std::uint32_t next_container = 1;
  std::uint64_t ping_sequence = 0;
  std::int32_t pings_missed = 0;
  std::int64_t next_ping_us = 0;
};

struct LinkState {
  DispatcherId dispatcher;
  std::uint64_t heartbeat = 0;
};

struct ProfileState {
  Profile profile;
  PoolDemand demand;
  std::int32_t failures = 0;
  std::int64_t may_start_us = 0;
  std::int32_t shells = 0;                      // that wait
  std::int32_t shells_asked = 0;                // by the last KeepShells
  std::int64_t shells_seen_us = INT64_MIN / 2;  // when some waited last
};

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
  void OnExec(LinkId link, const link::Exec& exec);
  void OnFence(LinkId link, const link::Fence& fence);
  void OnCancel(const link::Cancel& cancel);
  void Reply(const PartitionId& partition, link::Message message);  // to the owner, where it is connected
  void Heartbeats();
  void ReportSlots();
  [[nodiscard]] std::vector<link::ProfileCapacity> Capacities() const;
  [[nodiscard]] link::Slot SlotOf(const Instance& instance, const Container* container) const;
  [[nodiscard]] link::ExecutorHello Hello() const;

  // core_attempts.cc
  void On(const PublishFinished& event);
  void OnEnded(Instance& instance, std::uint32_t number, const guest::Ended& ended);
  void PublishResult(const AttemptKey& key, Attempt& attempt, const InvocationResult& result);
  void Finish(const AttemptKey& key, link::Done done);  // forgets the attempt and tells its owner
  void FailAttempt(const AttemptKey& key, const std::string& reason);
  void PublishAgain();
  void DropOrphans();
  void ExpireWaiting();
  [[nodiscard]] link::Done DoneOf(const Attempt& attempt) const;

  // core_schedule.cc
  void Schedule();
  bool Place(const AttemptKey& key, Attempt& attempt, std::map<UserId, std::int32_t>& awaited);
  void Assign(Instance& instance, const UserId& user);
  void CreateContainer(const AttemptKey& key, Attempt& attempt, Instance& instance, StartPath path);
  void SendCode(Instance& instance, const CodeHash& hash);
  void SendCreate(Instance& instance, Container& container);
  void Run(const AttemptKey& key, Attempt& attempt, Instance& instance, Container& container);
  void TurnIdle(Instance& instance, Container& container);
  void RemoveContainer(Instance& instance, Container& container, const std::string& reason);
  void On(const CodeLoaded& event);
  [[nodiscard]] std::pair<Instance*, Container*> FindIdle(const FunctionVersion& function);
  [[nodiscard]] bool IsRetired(const FunctionVersion& function) const;
  [[nodiscard]] std::vector<OwnInstance> OwnInstances(const Attempt& attempt) const;
  [[nodiscard]] House DescribeHouse(const Attempt& attempt, std::int32_t awaited_mib) const;

  // core_machines.cc
  void On(const MachineReady& event);
  void On(const MachineFailed& event);
  void On(const MachineLost& event);
  void On(const MachineDestroyed& event);
  void On(const ShellsChanged& event);
  void On(const GuestMessage& event);
  void On(const FunctionUpdated& event);
  void On(const FunctionRemoved& event);
  void On(const DrainRequested& event);
  void On(const Tick& event);
  void OnGuest(Instance& instance, std::uint32_t stream, const guest::Message& message);
  void Condemn(Instance& instance, const std::string& reason);
  void Destroy(Instance& instance, InstanceState to, const std::string& reason);
  void Start(std::size_t profile, const UserId& meant_for);
  [[nodiscard]] std::int32_t StartingFor(const UserId& user) const;
  void Refill();
  void StartFailed(std::size_t profile);
  void ReapIdle();
  void PingAll();
  void Move(Instance& instance, InstanceState to, const std::string& reason);
  void Move(Instance& instance, Container& container, ContainerState to, const std::string& reason);
  void FreeContainer(Instance& instance, std::uint32_t number);
  [[nodiscard]] Instance* Find(const InstanceId& id);
  [[nodiscard]] std::int32_t FreeMib() const;
  [[nodiscard]] std::int32_t Starting() const;
  [[nodiscard]] std::int32_t Activating() const;

  template <class E>
  void Emit(E effect) {
    effects->push_back(std::move(effect));
  }

  Settings settings;
  std::vector<ProfileState> profiles;
  std::map<LinkId, LinkState> links;
  std::map<DispatcherId, std::int64_t> renewed_us;  // send time of the last acknowledged heartbeat
  Fencing fencing;
  DoneRing ring;
  std::map<AttemptKey, Attempt> attempts;
  std::map<std::uint64_t, AttemptKey> waiting;     // by order of arrival
  std::map<std::uint64_t, AttemptKey> publishing;  // by token
  std::map<std::uint64_t, Instance> instances;
  std::map<InstanceId, std::uint64_t> numbers;
  std::map<FunctionVersion, std::vector<std::pair<std::uint64_t, std::uint32_t>>> idle;  // last used at the back
  std::map<std::pair<UserId, FunctionName>, std::int64_t> latest;  // version; removed: the largest
  std::map<CodeHash, CachedCode> codes;
  std::map<std::string, link::Slot> changed;  // by slot id, to be reported
  std::uint64_t next_order = 1;
  std::uint64_t next_token = 1;
  std::uint64_t next_instance = 1;
  std::uint64_t next_use = 1;
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
