// Machines: lives, health, time-outs.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::Start(std::size_t index, const UserId& meant_for) {
  ProfileState& profile = profiles[index];
  Instance made;
  made.number = next_instance++;
  made.id = InstanceId(settings.id.value + "-" + settings.incarnation.substr(0, 8) + "-" + std::to_string(made.number));
  made.profile = index;
  made.image = profile.image;
  made.meant_for = meant_for;
  made.since_us = now.mono_us;
  made.activates = profile.shells > 0 && !meant_for.empty();
  made.free_mib = profile.profile.memory_mib - profile.profile.reserve_mib;
  profile.shells = std::max(0, profile.shells - 1);  // the machine takes one where one waits
  profile.held_since_us = 0;
  used_mib += profile.profile.memory_mib;
  numbers[made.id] = made.number;
  Emit(StartMachine{made.id, profile.profile.name, meant_for.empty()});
  Instance& instance = instances.emplace(made.number, std::move(made)).first->second;
  Index(instance, +1);
  SetDue(instance, now.mono_us + StartLimitMs(settings.start_timeout_ms, profile.failures) * kMicrosPerMilli);
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
  const auto took_us = now.mono_us - instance->since_us;
  instance->path = event.path;
  if (instance->meant_for.empty()) {
    profile.demand.Refilled(took_us);
  } else {
    auto& average_us = event.path == StartPath::kRestore ? profile.restore_us : profile.boot_us;
    average_us = Average(average_us, took_us);
    just_ready.push_back(instance->number);
  }
  instance->runtimes = std::move(proved);
  profile.runtimes = instance->runtimes;
  Move(*instance, InstanceState::kWarm, "hello");
  instance->since_us = now.mono_us;
  random = random * 6364136223846793005ULL + 1442695040888963407ULL;  // jitter, so that they do not all retire at once
  const auto age_us = kPoolAgeMs * kMicrosPerMilli;
  SetDue(*instance, now.mono_us + age_us * 9 / 10 +
                        static_cast<std::int64_t>((random >> 33U) % static_cast<std::uint64_t>(age_us / 5)));
  SetPing(*instance, now.mono_us + settings.ping_interval_ms * kMicrosPerMilli);
  dirty = true;
}

void Core::State::Unclaim() {
  for (const auto number : std::exchange(just_ready, {})) {
    const auto found = instances.find(number);
    if (found == instances.end() || found->second.state != InstanceState::kWarm) continue;
    MeanFor(found->second, UserId());
  }
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
    Unqueue(key, attempts.at(key));
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
  Erase(*instance);
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
  Erase(*instance);
  dirty = true;
}

void Core::State::Condemn(Instance& instance, const std::string& reason) {
  Destroy(instance, InstanceState::kSuspect, reason);
}

void Core::State::Destroy(Instance& instance, InstanceState to, const std::string& reason) {
  if (instance.state == InstanceState::kSuspect || instance.state == InstanceState::kDraining) return;
  // A machine that was never assigned is not drained: there is nothing in it.
  Move(instance, CanMove(instance.state, to) ? to : InstanceState::kSuspect, reason);
  SetDue(instance, 0);
  SetPing(instance, 0);
  std::vector<AttemptKey> failed;
  for (auto& [number, container] : instance.containers) {
    if (container.attempt) failed.push_back(*container.attempt);
    container.attempt.reset();
    SetDue(instance, container, 0);
    if (container.state != ContainerState::kGone) Move(instance, container, ContainerState::kGone, reason);
  }
  instance.containers.clear();
  instance.not_idle = 0;
  Emit(DestroyMachine{instance.id, reason});
  for (const auto& key : failed) FailAttempt(key, reason);
  dirty = true;
}

void Core::State::On(const FunctionUpdated& event) {
  registry.Update(event.function);
  // Idle containers of retired versions go first: their room is worth more than their warmth.
  const auto holding = holdings.find(event.function->user);
  if (holding == holdings.end()) return;
  for (const auto number : holding->second.assigned) {
    Instance& instance = instances.at(number);
    std::vector<std::uint32_t> retired;
    for (const auto& [container_number, container] : instance.containers) {
      if (container.state == ContainerState::kIdle && IsRetired(container.function))
        retired.push_back(container_number);
    }
    for (const auto each : retired) RemoveContainer(instance, instance.containers.at(each), "retired");
  }
}

void Core::State::On(const FunctionRemoved& event) {
  registry.Remove(event.user, event.name);
}

void Core::State::On(const FunctionsCaughtUp&) {
  registry.CaughtUp();
}

void Core::State::On(const DrainRequested&) {
  draining = true;
}

void Core::State::RunDue() {
  while (!due.empty() && std::get<0>(*due.begin()) <= now.mono_us) {
    const auto [at_us, number, container_number] = *due.begin();
    Instance& instance = instances.at(number);
    if (container_number == 0) {
      SetDue(instance, 0);
      Expire(instance);
    } else {
      Container& container = instance.containers.at(container_number);
      SetDue(instance, container, 0);
      Expire(instance, container);
    }
  }
}

void Core::State::Expire(Instance& instance) {
  switch (instance.state) {
    case InstanceState::kCreating: {
      const auto profile = instance.profile;
      Condemn(instance, "no hello in the time allowed");
      return StartFailed(profile);
    }
    case InstanceState::kWarm: return Destroy(instance, InstanceState::kDraining, "too old");
    case InstanceState::kAssigned: return Destroy(instance, InstanceState::kDraining, "idle");
    case InstanceState::kDraining:
    case InstanceState::kSuspect:
    case InstanceState::kGone: return;
  }
}

void Core::State::Expire(Instance& instance, Container& container) {
  switch (container.state) {
    case ContainerState::kIdle: return RemoveContainer(instance, container, "idle");
    case ContainerState::kBusy: return Condemn(instance, "the agent did not end an attempt at its time-out");
    case ContainerState::kCreating: return Condemn(instance, "the agent did not make a container in the time allowed");
    case ContainerState::kGone: return Condemn(instance, "the agent did not remove a container in the time allowed");
  }
}

void Core::State::PingAll() {
  while (!pings.empty() && pings.begin()->first <= now.mono_us) {
    Instance& instance = instances.at(pings.begin()->second);
    if (instance.pings_missed >= kPingMisses) {
      Condemn(instance, "the agent does not answer pings");
      continue;
    }
    SetPing(instance, now.mono_us + settings.ping_interval_ms * kMicrosPerMilli);
    ++instance.pings_missed;
    instance.unasked = 0;
    Emit(SendToGuest{instance.id, {0, guest::Ping{++instance.ping_sequence}}});
  }
}

void Core::State::On(const Tick&) {
  Heartbeats();
  DropOrphans();
  ExpireWaiting();
  PublishAgain();
  PingAll();
  RunDue();
  ReportSlots();
  dirty = true;  // back-offs and targets move with time
}

}  // namespace hearth::executor
