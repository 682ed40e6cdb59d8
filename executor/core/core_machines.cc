// Machines and what their agents say: lives, health, pools, time-outs.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

Instance* Core::State::Find(const InstanceId& id) {
  const auto found = numbers.find(id);
  return found == numbers.end() ? nullptr : &instances.at(found->second);
}

std::int32_t Core::State::FreeMib() const {
  std::int32_t used = 0;
  for (const auto& [number, instance] : instances) used += profiles[instance.profile].profile.memory_mib;
  return std::max(0, settings.memory_mib - used);
}

std::int32_t Core::State::Starting() const {
  return static_cast<std::int32_t>(std::count_if(instances.begin(), instances.end(), [](const auto& each) {
    return each.second.state == InstanceState::kCreating;
  }));
}

void Core::State::Move(Instance& instance, InstanceState to, const std::string& reason) {
  if (!CanMove(instance.state, to)) std::abort();  // a fault of ours; see states.cc
  Trace trace;
  trace.kind = Trace::Kind::kInstanceMoved;
  trace.user = instance.user;
  trace.instance = instance.id;
  trace.from = StateName(instance.state);
  trace.to = StateName(to);
  trace.reason = reason;
  Emit(std::move(trace));
  instance.state = to;
  if (!instance.user.empty()) changed.insert_or_assign(instance.id.value, SlotOf(instance, nullptr));
}

void Core::State::Move(Instance& instance, Container& container, ContainerState to, const std::string& reason) {
  if (!CanMove(container.state, to)) std::abort();
  auto& line = idle[container.function];
  if (container.state == ContainerState::kIdle) std::erase(line, std::pair(instance.number, container.number));
  if (to == ContainerState::kIdle) line.emplace_back(instance.number, container.number);
  if (line.empty()) idle.erase(container.function);
  Trace trace;
  trace.kind = Trace::Kind::kContainerMoved;
  trace.user = instance.user;
  trace.function = std::get<1>(container.function);
  trace.instance = instance.id;
  trace.container = ContainerId(instance.id.value + "/" + std::to_string(container.number));
  trace.from = StateName(container.state);
  trace.to = StateName(to);
  trace.reason = reason;
  container.state = to;
  changed.insert_or_assign(trace.container.value, SlotOf(instance, &container));
  Emit(std::move(trace));
}

void Core::State::FreeContainer(Instance& instance, std::uint32_t number) {
  const auto found = instance.containers.find(number);
  if (found == instance.containers.end()) return;
  instance.freeing_mib -= found->second.memory_mib;
  instance.free_mib += found->second.memory_mib;
  instance.containers.erase(found);
  if (instance.containers.empty()) instance.since_us = now.mono_us;
  if (instance.state == InstanceState::kAssigned)
    changed.insert_or_assign(instance.id.value, SlotOf(instance, nullptr));
  dirty = true;
}

void Core::State::Start(std::size_t profile, const UserId& meant_for) {
  Instance instance;
  instance.number = next_instance++;
  instance.id =
      InstanceId(settings.id.value + "-" + settings.incarnation.substr(0, 8) + "-" + std::to_string(instance.number));
  instance.profile = profile;
  instance.meant_for = meant_for;
  instance.since_us = now.mono_us;
  instance.free_mib = profiles[profile].profile.memory_mib - profiles[profile].profile.reserve_mib;
  numbers[instance.id] = instance.number;
  Emit(StartMachine{instance.id, profiles[profile].profile.name, meant_for.empty()});
  instances.emplace(instance.number, std::move(instance));
}

void Core::State::Refill() {
  for (auto& profile : profiles) {
    const auto wanted = draining ? 0 : profile.profile.shells;
    if (wanted != std::exchange(profile.shells_asked, wanted)) Emit(KeepShells{profile.profile.name, wanted});
  }
  if (draining) return;
  std::vector<PoolView> pools;
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    auto& profile = profiles[i];
    PoolView view{profile.demand.Target(now.mono_us), 0, 0, profile.profile.memory_mib,
                  now.mono_us >= profile.may_start_us};
    for (const auto& [number, instance] : instances) {
      if (instance.profile != i || !instance.meant_for.empty()) continue;
      if (instance.state == InstanceState::kWarm) ++view.ready;
      if (instance.state == InstanceState::kCreating) ++view.starting;
    }
    pools.push_back(view);
  }
  for (const auto profile : PlanRefill(std::move(pools), settings.concurrent_starts - Starting(), FreeMib())) {
    Start(profile, UserId());
  }
}

void Core::State::On(const MachineReady& event) {
  Instance* instance = Find(event.instance);
  if (instance == nullptr || instance->state != InstanceState::kCreating) return;
  auto& profile = profiles[instance->profile];
  if (event.hello.protocol != guest::kProtocolVersion) {
    Destroy(*instance, InstanceState::kSuspect, "the agent speaks another protocol");
    return StartFailed(instance->profile);
  }
  std::set<Runtime> proved;
  for (const auto& name : event.hello.runtimes) {
    if (auto runtime = ParseRuntime(name)) proved.insert(*runtime);
  }
  if (!std::ranges::includes(proved, settings.runtimes)) {
    Destroy(*instance, InstanceState::kSuspect, "not all of its runtimes have started");
    return StartFailed(instance->profile);
  }
  profile.failures = 0;
  profile.may_start_us = 0;
  profile.demand.Started(now.mono_us - instance->since_us);
  instance->path = event.path;
  instance->runtimes = std::move(proved);
  Move(*instance, InstanceState::kWarm, "hello");
  instance->since_us = now.mono_us;
  random = random * 6364136223846793005ULL + 1442695040888963407ULL;  // jitter, so that they do not all retire at once
  const auto age_us = kPoolAgeMs * kMicrosPerMilli;
  instance->retire_us = now.mono_us + age_us * 9 / 10 +
                        static_cast<std::int64_t>((random >> 33U) % static_cast<std::uint64_t>(age_us / 5));
  instance->next_ping_us = now.mono_us + settings.ping_interval_ms * kMicrosPerMilli;
  dirty = true;
}

void Core::State::StartFailed(std::size_t index) {
  auto& profile = profiles[index];
  ++profile.failures;
  profile.may_start_us = now.mono_us + StartBackoffMs(profile.failures) * kMicrosPerMilli;
  dirty = true;
  if (profile.failures < kStartFailuresGiveUp) return;
  // Others may have what this host cannot make: whoever waits here is sent back.
  std::vector<AttemptKey> refused;
  for (const auto& [order, key] : waiting) {
    if (attempts.at(key).exec.function.profile == profile.profile.name) refused.push_back(key);
  }
  for (const auto& key : refused) {
    const link::Exec& exec = attempts.at(key).exec;
    Reply(exec.ref.partition, link::Nack{exec.ref, link::NackReason::kNoCapacity});
    waiting.erase(attempts.at(key).order);
    attempts.erase(key);
  }
}

void Core::State::On(const MachineFailed& event) {
  Instance* instance = Find(event.instance);
  if (instance == nullptr) return;
  const bool was_starting = instance->state == InstanceState::kCreating;
  const auto profile = instance->profile;
  if (!was_starting && instance->state != InstanceState::kSuspect && instance->state != InstanceState::kDraining) {
    return Condemn(*instance, event.reason);
  }
  instances.erase(instance->number);
  numbers.erase(event.instance);
  if (was_starting) StartFailed(profile);
  dirty = true;
}

void Core::State::On(const MachineLost& event) {
  Instance* instance = Find(event.instance);
  if (instance == nullptr) return;
  const bool was_starting = instance->state == InstanceState::kCreating;
  const auto profile = instance->profile;
  Condemn(*instance, event.reason);
  if (was_starting) StartFailed(profile);
}

void Core::State::On(const MachineDestroyed& event) {
  Instance* instance = Find(event.instance);
  if (instance == nullptr) return;
  instances.erase(instance->number);
  numbers.erase(event.instance);
  dirty = true;
}

void Core::State::On(const ShellsChanged& event) {
  for (auto& profile : profiles) {
    if (profile.profile.name == event.profile) profile.shells = event.ready;
  }
  dirty = true;
}

void Core::State::Condemn(Instance& instance, const std::string& reason) {
  Destroy(instance, InstanceState::kSuspect, reason);
}

void Core::State::Destroy(Instance& instance, InstanceState to, const std::string& reason) {
  if (instance.state == InstanceState::kSuspect || instance.state == InstanceState::kDraining) return;
  // A machine that was never assigned is not drained: there is nothing in it.
  Move(instance, CanMove(instance.state, to) ? to : InstanceState::kSuspect, reason);
  std::vector<AttemptKey> failed;
  for (auto& [number, container] : instance.containers) {
    if (container.attempt) failed.push_back(*container.attempt);
    container.attempt.reset();
    if (container.state != ContainerState::kGone) Move(instance, container, ContainerState::kGone, reason);
  }
  instance.containers.clear();
  Emit(DestroyMachine{instance.id, reason});
  for (const auto& key : failed) FailAttempt(key, reason);
  dirty = true;
}

void Core::State::On(const GuestMessage& event) {
  Instance* instance = Find(event.instance);
  if (instance == nullptr) return;
  if (instance->state != InstanceState::kWarm && instance->state != InstanceState::kAssigned) return;
  OnGuest(*instance, event.frame.stream, event.frame.message);
}

void Core::State::OnGuest(Instance& instance, std::uint32_t stream, const guest::Message& message) {
  if (const auto* pong = std::get_if<guest::Pong>(&message)) {
    if (pong->sequence == instance.ping_sequence) instance.pings_missed = 0;
    return;
  }
  if (instance.state != InstanceState::kAssigned) return Condemn(instance, "the agent spoke before it was configured");
  if (std::holds_alternative<guest::Configured>(message)) return;
  if (const auto* stored = std::get_if<guest::CodeStored>(&message)) {
    if (!stored->error.empty()) instance.codes.erase(stored->hash);  // Created tells those who wait for it
    return;
  }
  const auto found = instance.containers.find(stream);
  if (const auto* ended = std::get_if<guest::Ended>(&message)) return OnEnded(instance, stream, *ended);
  if (const auto* created = std::get_if<guest::Created>(&message)) {
    if (found == instance.containers.end()) return Condemn(instance, "created what nobody asked for");
    Container& container = found->second;
    if (container.state == ContainerState::kGone) return;  // crossed a Remove
    if (container.state != ContainerState::kCreating || !container.create_sent)
      return Condemn(instance, "created twice");
    const auto promised = std::exchange(container.attempt, std::nullopt);
    if (!created->error.empty()) {
      Move(instance, container, ContainerState::kGone, created->error);
      instance.freeing_mib += container.memory_mib;
      FreeContainer(instance, stream);
      if (promised) FailAttempt(*promised, "container: " + created->error);
      return;
    }
    if (!promised) return TurnIdle(instance, container);
    Move(instance, container, ContainerState::kIdle, "created");
    return Run(*promised, attempts.at(*promised), instance, container);
  }
  if (const auto* gone = std::get_if<guest::ContainerGone>(&message)) {
    if (found == instance.containers.end()) return;
    Container& container = found->second;
    const auto lost = std::exchange(container.attempt, std::nullopt);
    if (container.state != ContainerState::kGone) {
      Move(instance, container, ContainerState::kGone, gone->reason);
      instance.freeing_mib += container.memory_mib;
    }
    FreeContainer(instance, stream);
    if (lost) FailAttempt(*lost, "container: " + gone->reason);
    return;
  }
  Condemn(instance, "the agent sent what only an executor sends");
}

void Core::State::On(const FunctionUpdated& event) {
  auto& version = latest[{event.function->user, event.function->name}];
  version = event.function->version;
  // Idle containers of retired versions go first: their room is worth more than their warmth.
  for (auto& [number, instance] : instances) {
    if (instance.state != InstanceState::kAssigned || instance.user != event.function->user) continue;
    std::vector<std::uint32_t> retired;
    for (const auto& [container_number, container] : instance.containers) {
      if (container.state == ContainerState::kIdle && IsRetired(container.function))
        retired.push_back(container_number);
    }
    for (const auto each : retired) RemoveContainer(instance, instance.containers.at(each), "retired");
  }
}

void Core::State::On(const FunctionRemoved& event) {
  latest[{event.user, event.name}] = INT64_MAX;
}

void Core::State::On(const DrainRequested&) {
  draining = true;
}

void Core::State::ReapIdle() {
  std::vector<std::uint64_t> finished;
  for (auto& [number, instance] : instances) {
    if (instance.state == InstanceState::kCreating &&
        now.mono_us - instance.since_us > settings.start_timeout_ms * kMicrosPerMilli) {
      finished.push_back(number);
    }
    if (instance.state == InstanceState::kWarm && now.mono_us >= instance.retire_us) finished.push_back(number);
    if (instance.state != InstanceState::kAssigned) continue;
    if (instance.containers.empty() && now.mono_us - instance.since_us > settings.instance_idle_ms * kMicrosPerMilli) {
      finished.push_back(number);
      continue;
    }
    std::vector<std::uint32_t> idle_ones;
    for (const auto& [container_number, container] : instance.containers) {
      if (container.state == ContainerState::kBusy && now.mono_us >= container.condemn_us) {
        finished.push_back(number);
        break;
      }
      if (container.state != ContainerState::kIdle) continue;
      if (now.mono_us - container.idle_since_us > settings.container_idle_ms * kMicrosPerMilli)
        idle_ones.push_back(container_number);
    }
    for (const auto each : idle_ones) RemoveContainer(instance, instance.containers.at(each), "idle");
  }
  for (const auto number : finished) {
    Instance& instance = instances.at(number);
    switch (instance.state) {
      case InstanceState::kCreating: {
        const auto profile = instance.profile;
        Condemn(instance, "no hello in the time allowed");
        StartFailed(profile);
        break;
      }
      case InstanceState::kWarm: Destroy(instance, InstanceState::kDraining, "too old"); break;
      default:
        if (instance.containers.empty()) {
          Destroy(instance, InstanceState::kDraining, "idle");
        } else {
          Condemn(instance, "the agent did not end an attempt at its time-out");
        }
    }
  }
}

void Core::State::PingAll() {
  std::vector<std::uint64_t> silent;
  for (auto& [number, instance] : instances) {
    if (instance.state != InstanceState::kWarm && instance.state != InstanceState::kAssigned) continue;
    if (now.mono_us < instance.next_ping_us) continue;
    instance.next_ping_us = now.mono_us + settings.ping_interval_ms * kMicrosPerMilli;
    if (instance.pings_missed >= kPingMisses) {
      silent.push_back(number);
      continue;
    }
    ++instance.pings_missed;
    Emit(SendToGuest{instance.id, {0, guest::Ping{++instance.ping_sequence}}});
  }
  for (const auto number : silent) Condemn(instances.at(number), "the agent does not answer pings");
}

void Core::State::On(const Tick&) {
  Heartbeats();
  DropOrphans();
  ExpireWaiting();
  PublishAgain();
  PingAll();
  ReapIdle();
  ReportSlots();
  dirty = true;  // back-offs and targets move with time
}

}  // namespace hearth::executor
