// Machines: lives, health, time-outs.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::Start(std::size_t index, const UserId& meant_for) {
  ProfileState& profile = profiles[index];
  Machine made;
  made.number = next_machine++;
  made.id = MachineId(settings.id.value + "-" + settings.incarnation.substr(0, 8) + "-" + std::to_string(made.number));
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
  Machine& machine = machines.emplace(made.number, std::move(made)).first->second;
  Index(machine, +1);
  SetDue(machine, now.mono_us + StartLimitMs(settings.start_timeout_ms, profile.failures) * kMicrosPerMilli);
}

void Core::State::On(const MachineReady& event) {
  Machine* machine = Find(event.machine);
  if (machine == nullptr || machine->state != MachineState::kCreating) return;
  auto& profile = profiles[machine->profile];
  if (event.hello.protocol != guest::kProtocolVersion) {
    Destroy(*machine, MachineState::kSuspect, "the agent speaks another protocol");
    return StartFailed(machine->profile);
  }
  std::set<Runtime> proved;
  for (const auto& name : event.hello.runtimes) {
    if (auto runtime = ParseRuntime(name)) proved.insert(*runtime);
  }
  if (!std::ranges::includes(proved, settings.runtimes)) {
    Destroy(*machine, MachineState::kSuspect, "not all of its runtimes have started");
    return StartFailed(machine->profile);
  }
  profile.failures = 0;
  profile.may_start_us = 0;
  const auto took_us = now.mono_us - machine->since_us;
  machine->path = event.path;
  if (machine->meant_for.empty()) {
    profile.demand.Refilled(took_us);
  } else {
    auto& average_us = event.path == StartPath::kRestore ? profile.restore_us : profile.boot_us;
    average_us = Average(average_us, took_us);
    just_ready.push_back(machine->number);
  }
  machine->runtimes = std::move(proved);
  profile.runtimes = machine->runtimes;
  Move(*machine, MachineState::kWarm, "hello");
  machine->since_us = now.mono_us;
  random = random * 6364136223846793005ULL + 1442695040888963407ULL;  // jitter, so that they do not all retire at once
  const auto age_us = kPoolAgeMs * kMicrosPerMilli;
  SetDue(*machine, now.mono_us + age_us * 9 / 10 +
                       static_cast<std::int64_t>((random >> 33U) % static_cast<std::uint64_t>(age_us / 5)));
  SetPing(*machine, now.mono_us + settings.ping_interval_ms * kMicrosPerMilli);
  dirty = true;
}

void Core::State::Unclaim() {
  for (const auto number : std::exchange(just_ready, {})) {
    const auto found = machines.find(number);
    if (found == machines.end() || found->second.state != MachineState::kWarm) continue;
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
  Machine* machine = Find(event.machine);
  if (machine == nullptr) return;
  const bool was_starting = machine->state == MachineState::kCreating;
  const auto profile = machine->profile;
  if (!was_starting && machine->state != MachineState::kSuspect && machine->state != MachineState::kDraining) {
    return Condemn(*machine, event.reason);
  }
  Erase(*machine);
  if (was_starting) StartFailed(profile);
  dirty = true;
}

void Core::State::On(const MachineLost& event) {
  Machine* machine = Find(event.machine);
  if (machine == nullptr) return;
  const bool was_starting = machine->state == MachineState::kCreating;
  const auto profile = machine->profile;
  Condemn(*machine, event.reason);
  if (was_starting) StartFailed(profile);
}

void Core::State::On(const MachineDestroyed& event) {
  Machine* machine = Find(event.machine);
  if (machine == nullptr) return;
  Erase(*machine);
  dirty = true;
}

void Core::State::Condemn(Machine& machine, const std::string& reason) {
  Destroy(machine, MachineState::kSuspect, reason);
}

void Core::State::Destroy(Machine& machine, MachineState to, const std::string& reason) {
  if (machine.state == MachineState::kSuspect || machine.state == MachineState::kDraining) return;
  // A machine that was never assigned is not drained: there is nothing in it.
  Move(machine, CanMove(machine.state, to) ? to : MachineState::kSuspect, reason);
  SetDue(machine, 0);
  SetPing(machine, 0);
  std::vector<AttemptKey> failed;
  for (auto& [number, container] : machine.containers) {
    if (container.attempt) failed.push_back(*container.attempt);
    container.attempt.reset();
    SetDue(machine, container, 0);
    if (container.state != ContainerState::kGone) Move(machine, container, ContainerState::kGone, reason);
  }
  machine.containers.clear();
  machine.not_idle = 0;
  Emit(DestroyMachine{machine.id, reason});
  for (const auto& key : failed) FailAttempt(key, reason);
  dirty = true;
}

void Core::State::On(const FunctionUpdated& event) {
  registry.Update(event.function);
  // Idle containers of retired versions go first: their room is worth more than their warmth.
  const auto holding = holdings.find(event.function->user);
  if (holding == holdings.end()) return;
  for (const auto number : holding->second.assigned) {
    Machine& machine = machines.at(number);
    std::vector<std::uint32_t> retired;
    for (const auto& [container_number, container] : machine.containers) {
      if (container.state == ContainerState::kIdle && IsRetired(container.function))
        retired.push_back(container_number);
    }
    for (const auto each : retired) RemoveContainer(machine, machine.containers.at(each), "retired");
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
    Machine& machine = machines.at(number);
    if (container_number == 0) {
      SetDue(machine, 0);
      Expire(machine);
    } else {
      Container& container = machine.containers.at(container_number);
      SetDue(machine, container, 0);
      Expire(machine, container);
    }
  }
}

void Core::State::Expire(Machine& machine) {
  switch (machine.state) {
    case MachineState::kCreating: {
      const auto profile = machine.profile;
      Condemn(machine, "no hello in the time allowed");
      return StartFailed(profile);
    }
    case MachineState::kWarm: return Destroy(machine, MachineState::kDraining, "too old");
    case MachineState::kAssigned: return Destroy(machine, MachineState::kDraining, "idle");
    case MachineState::kDraining:
    case MachineState::kSuspect:
    case MachineState::kGone: return;
  }
}

void Core::State::Expire(Machine& machine, Container& container) {
  switch (container.state) {
    case ContainerState::kIdle: return RemoveContainer(machine, container, "idle");
    case ContainerState::kBusy: return Condemn(machine, "the agent did not end an attempt at its time-out");
    case ContainerState::kCreating: return Condemn(machine, "the agent did not make a container in the time allowed");
    case ContainerState::kGone: return Condemn(machine, "the agent did not remove a container in the time allowed");
  }
}

void Core::State::PingAll() {
  while (!pings.empty() && pings.begin()->first <= now.mono_us) {
    Machine& machine = machines.at(pings.begin()->second);
    if (machine.pings_missed >= kPingMisses) {
      Condemn(machine, "the agent does not answer pings");
      continue;
    }
    SetPing(machine, now.mono_us + settings.ping_interval_ms * kMicrosPerMilli);
    ++machine.pings_missed;
    machine.unasked = 0;
    Emit(SendToGuest{machine.id, {0, guest::Ping{++machine.ping_sequence}}});
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
