// What the core holds in memory, and the handlers of its events. Split over core_*.cc by group of events; only core.cc
// is seen from outside. Nothing here iterates over an unordered container to decide anything.
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

#include "executor/core/choose.h"
#include "executor/core/core.h"
#include "executor/core/done_ring.h"
#include "executor/core/fencing.h"
#include "executor/core/pool.h"
#include "executor/core/states.h"

namespace hearth::executor {

constexpr std::int32_t kMissedPings = 3;
constexpr std::size_t kMaxFenceReportEntries = 4000;  // further ones go ahead of the report as single Done
constexpr std::int64_t kPublishBackoffMinMs = 100;    // of hearth.undeliverable, doubling
constexpr std::int64_t kPublishBackoffMaxMs = 10'000;

struct Attempt;
struct Instance;
struct FunctionVersion;

struct Container {
  std::uint32_t number = 0;  // the stream on the guest link
  ContainerId id;
  Instance* instance = nullptr;
  FunctionVersion* function = nullptr;  // nullptr once gone
  ContainerState state = ContainerState::kCreating;
  StartPath path = StartPath::kInstance;  // of its first run
  bool used = false;
  bool create_sent = false;
  std::int32_t memory_mib = 0;
  std::int64_t created_us = 0;  // monotonic, as all below
  std::int64_t idle_since_us = 0;
  std::uint64_t idle_order = 0;  // key in FunctionVersion::idle
  std::int64_t gone_us = 0;
  std::int64_t since_wall_us = 0;
  Attempt* attempt = nullptr;  // while busy
};

// A version of a function that has containers or waiting attempts here.
struct FunctionVersion {
  std::shared_ptr<const Function> function;
  std::map<std::uint64_t, Container*> idle;   // by the order in which they fell idle; the last is the warmest
  std::map<std::uint64_t, Attempt*> waiting;  // by arrival
  std::int32_t creating = 0;
  std::int32_t containers = 0;  // not gone
};

struct FunctionLine {
  std::int64_t latest = 0;
  std::map<std::int64_t, FunctionVersion> versions;
};

struct Instance {
  std::uint64_t number = 0;
  InstanceId id;
  std::size_t profile = 0;
  InstanceState state = InstanceState::kCreating;
  StartPath ready_path = StartPath::kBoot;
  UserId user;
  StartPath taken_path = StartPath::kPool;  // pool, or how it was made where an attempt waited for it
  bool configured = false;
  std::vector<std::string> runtimes;
  std::int32_t room_mib = 0;     // for containers, in all
  std::int32_t used_mib = 0;     // by containers that exist, gone ones until confirmed
  std::int32_t freeing_mib = 0;  // of these, by gone ones
  std::uint32_t last_container = 0;
  std::map<std::uint32_t, Container> containers;
  std::int32_t live = 0;           // containers not gone
  std::int32_t idle = 0;           // of these, idle
  std::map<CodeHash, bool> codes;  // true: stored; false: asked for or under way
  std::deque<CodeHash> to_send;
  CodeHash sending;
  std::int64_t created_us = 0;
  std::int64_t ready_us = 0;
  std::int64_t max_age_us = 0;
  std::int64_t last_used_us = 0;
  std::int64_t empty_since_us = 0;
  std::int64_t since_wall_us = 0;
  std::int64_t next_ping_us = 0;
  std::uint64_t ping_sequence = 0;
  std::int32_t unanswered = 0;
};

enum class AttemptState : std::uint8_t { kWaiting, kRunning, kPublishing, kRetryPublish };

struct Attempt {
  std::uint64_t number = 0;
  link::Exec exec;  // payload moved away when it runs
  AttemptState state = AttemptState::kWaiting;
  FunctionVersion* function = nullptr;  // while waiting
  Container* container = nullptr;       // while running
  StartPath path = StartPath::kNone;
  std::int64_t run_sent_us = 0;
  std::int64_t run_sent_wall_us = 0;
  std::int64_t deadline_us = 0;  // of the run, grace included
  std::string output_content_type;
  InvocationResult result;  // from the end of the run
  OutRecord record;         // what is being published
  bool undeliverable = false;
  std::int32_t publish_failures = 0;
  std::int64_t retry_us = 0;
};

struct DispatcherLink {
  DispatcherId dispatcher;
  std::int64_t lease_until_us = 0;
  std::int64_t next_heartbeat_us = 0;
  std::uint64_t sequence = 0;
};

// What is known of a partition beside its owner.
struct PartitionWork {
  std::map<std::pair<std::int64_t, std::int32_t>, Attempt*> held;  // by offset and attempt
  std::int64_t lease_until_us = 0;  // as the owner's last connection left it; a live connection's own counts instead
};

struct CodeLoading {
  std::shared_ptr<const std::string> bytes;
  std::set<std::uint64_t> wanted_by;  // instances
};

struct ProfileState {
  Profile profile;
  PoolDemand demand;
  std::set<std::uint64_t> ready;  // unassigned instances, oldest first
  std::set<std::uint64_t> starting;
  std::int32_t failures = 0;                         // in a row
  std::int64_t start_after_us = 0;                   // back-off
  std::optional<std::vector<std::string>> runtimes;  // known from the first machine on
};

class Engine {
 public:
  explicit Engine(Settings settings);
  void Step(const Event& event, Time now, std::vector<Effect>& effects);
  [[nodiscard]] Gauges ReadGauges() const;
  [[nodiscard]] link::ExecutorHello MakeHello() const;

 private:
  // core_dispatcher.cc
  void On(const DispatcherConnected& event);
  void On(const DispatcherDisconnected& event);
  void On(const DispatcherMessage& event);
  void OnExec(LinkId link, const DispatcherLink& from, const link::Exec& exec);
  void OnFence(LinkId link, const DispatcherLink& from, const link::Fence& fence);
  void OnCancel(const link::Cancel& cancel);
  void Nack(LinkId link, const link::Exec& exec, link::NackReason reason, std::string_view detail);
  void Retag(const PartitionId& partition, std::int64_t epoch);
  [[nodiscard]] std::int64_t LeaseUntil(const PartitionId& partition) const;

  // core_place.cc
  void Place();
  void PlaceOne(Attempt& attempt, struct PlacePass& pass);
  void Refill();
  void Lease(Attempt& attempt, Container& container);
  void NewContainer(FunctionVersion& function, Instance& instance, StartPath path);
  void Assign(Instance& instance, const UserId& user, StartPath path);
  Instance& Start(std::size_t profile);
  void ContinueContainers(Instance& instance);
  void ContainerFree(Container& container);
  [[nodiscard]] std::vector<OwnInstance> OwnInstances(const Function& function, const PlacePass& pass) const;
  [[nodiscard]] std::vector<Spare> Spares(std::size_t profile) const;
  [[nodiscard]] std::int32_t MemoryFree() const;
  [[nodiscard]] std::int32_t StartsUnderWay() const;

  // core_machine.cc
  void On(const MachineReady& event);
  void On(const MachineFailed& event);
  void On(const MachineLost& event);
  void On(const MachineDestroyed& event);
  void StartFailed(Instance& instance, const std::string& reason);
  void Condemn(Instance& instance, const std::string& reason);
  void Retire(Instance& instance, const std::string& reason);
  void DropContainers(Instance& instance, const std::string& reason);
  void Erase(Instance& instance);
  void Move(Instance& instance, InstanceState to, const std::string& reason);
  void Move(Container& container, ContainerState to, const std::string& reason);
  void RemoveContainer(Container& container, const std::string& reason);
  Instance* Find(const InstanceId& id);

  // core_guest.cc
  void On(const GuestMessage& event);
  void On(const CodeLoaded& event);
  void OnCodeStored(Instance& instance, const guest::CodeStored& stored);
  void OnCreated(Instance& instance, Container& container, const guest::Created& created);
  void OnContainerGone(Instance& instance, Container& container, const guest::ContainerGone& gone);
  void OnEnded(Instance& instance, Container& container, const guest::Ended& ended);
  void CodeUnavailable(Instance& instance, const CodeHash& hash, const std::string& reason);
  void SendNextCode(Instance& instance);
  [[nodiscard]] std::string Violation(const Container& container, const guest::Ended& ended) const;
  void ToGuest(const Instance& instance, std::uint32_t stream, guest::Message message);

  // core_finish.cc
  void On(const PublishFinished& event);
  void TakeEnded(Attempt& attempt, const Container& container, const guest::Ended& ended);
  void PublishResult(Attempt& attempt);
  void SendRecord(Attempt& attempt);
  void Finish(Attempt& attempt, link::Outcome outcome, std::string_view error_type = {}, std::string_view message = {});
  void Orphan(Attempt& attempt);
  [[nodiscard]] bool MayPublish(const Attempt& attempt) const;
  void DetachFromQueue(Attempt& attempt);

  // core_time.cc
  void On(const FunctionUpdated& event);
  void On(const FunctionRemoved& event);
  void On(const DrainRequested& event);
  void On(const Tick& event);
  void CheckLeases();
  void CheckAttempts();
  void CheckInstances();
  void SendHeartbeats();
  void ContinueDrain();

  // core_report.cc
  void MarkSlot(const Container& container);
  void MarkSlot(const Instance& instance);
  [[nodiscard]] static link::Slot SlotOf(const Container& container);
  [[nodiscard]] static link::Slot SlotOf(const Instance& instance);
  void FlushSlots();
  [[nodiscard]] std::vector<link::ProfileCapacity> Capacities() const;

  // core.cc
  FunctionVersion& Version(const Function& function);
  [[nodiscard]] bool IsRetired(const FunctionVersion& version) const;
  void Forget(FunctionVersion& version);
  [[nodiscard]] std::optional<std::size_t> ProfileIndex(std::string_view name) const;
  [[nodiscard]] std::uint64_t Random();
  Trace TraceOf(Trace::Kind kind, const Attempt& attempt) const;
  template <class E>
  void Emit(E effect) {
    effects_->emplace_back(std::move(effect));
  }

  Settings settings_;
  Time now_;                                // of the step under way
  std::vector<Effect>* effects_ = nullptr;  // of the step under way

  std::vector<ProfileState> profiles_;  // in the order of the settings
  std::map<std::uint64_t, Instance> instances_;
  std::unordered_map<InstanceId, std::uint64_t> instance_numbers_;
  std::map<UserId, std::set<std::uint64_t>> user_instances_;
  std::map<std::pair<UserId, FunctionName>, FunctionLine> functions_;
  std::map<CodeHash, CodeLoading> loading_;

  std::map<std::uint64_t, Attempt> attempts_;
  std::map<std::uint64_t, Attempt*> waiting_;     // by arrival, over all functions
  std::map<std::uint64_t, Attempt*> publishing_;  // by token
  std::map<PartitionId, PartitionWork> partitions_;
  Fencing fencing_;
  DoneRing done_;
  std::map<LinkId, DispatcherLink> links_;

  std::map<std::pair<std::uint64_t, std::uint32_t>, link::Slot> slots_changed_;  // container 0: the instance
  bool slots_urgent_ = false;
  bool place_needed_ = false;
  bool draining_ = false;
  bool drained_ = false;
  std::int32_t memory_used_mib_ = 0;     // by instances until destroyed
  std::int32_t memory_freeing_mib_ = 0;  // of that, by instances on their way out
  std::uint64_t next_instance_ = 1;
  std::uint64_t next_attempt_ = 1;
  std::uint64_t next_token_ = 1;
  std::uint64_t next_idle_ = 1;
  std::uint64_t random_ = 0;
};

}  // namespace hearth::executor
