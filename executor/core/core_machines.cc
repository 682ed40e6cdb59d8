// Machines: lives, health, time-outs.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::On(const MachineReady& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine == nullptr || machine->state() != MachineState::kCreating) return;
  const auto index = machine->profile();
  if (event.hello.protocol != guest::kProtocolVersion) {
    Condemn(*machine, "the agent speaks another protocol");
    return StartFailed(index);
  }
  std::set<Runtime> proved;
  for (const auto& name : event.hello.runtimes) {
    if (auto runtime = ParseRuntime(name)) proved.insert(*runtime);
  }
  if (!std::ranges::includes(proved, context_.settings().runtimes)) {
    Condemn(*machine, "not all of its runtimes have started");
    return StartFailed(index);
  }
  pools_.Started(*machine, event.path, proved);
  machines_.TurnWarm(*machine, event.path, std::move(proved));
}

void Core::State::StartFailed(std::size_t index) {
  if (!pools_.StartFailed(index)) return;
  // Others may have what this host cannot make: whoever waits here is sent back.
  std::vector<AttemptKey> refused;
  for (const auto& [order, key] : waiting) {
    if (context_.settings().ProfileOf(attempts.at(key).exec.function) == index) refused.push_back(key);
  }
  for (const auto& key : refused) {
    const link::Exec& exec = attempts.at(key).exec;
    Reply(exec.ref.partition, link::Nack{exec.ref, link::NackReason::kNoCapacity});
    Unqueue(key, attempts.at(key));
    attempts.erase(key);
  }
}

void Core::State::On(const MachineFailed& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine == nullptr) return;
  if (machine->state() == MachineState::kWarm || machine->state() == MachineState::kAssigned) {
    return Condemn(*machine, event.reason);
  }
  const bool was_starting = machine->state() == MachineState::kCreating;
  const auto profile = machine->profile();
  Erase(*machine);
  if (was_starting) StartFailed(profile);
}

void Core::State::On(const MachineLost& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine == nullptr) return;
  const bool was_starting = machine->state() == MachineState::kCreating;
  Condemn(*machine, event.reason);
  if (was_starting) StartFailed(machine->profile());
}

void Core::State::On(const MachineDestroyed& event) {
  if (Machine* machine = machines_.Find(event.machine); machine != nullptr) Erase(*machine);
}

void Core::State::Erase(Machine& machine) {
  codes_.Forget(machine);
  machines_.Erase(machine);
}

void Core::State::Condemn(Machine& machine, const std::string& reason) {
  for (const auto& attempt : machines_.Condemn(machine, reason)) FailAttempt(attempt, reason);
}

void Core::State::On(const ShellsChanged& event) {
  pools_.SetShells(event);
}

void Core::State::On(const HostPressure& event) {
  pools_.SetPressure(event);
}

void Core::State::On(const ImageChanged& event) {
  pools_.SetImage(event);
}

void Core::State::On(const PoolChanged& event) {
  pools_.Resize(event);
}

void Core::State::On(const FunctionUpdated& event) {
  registry.Update(event.function);
  // Idle containers of retired versions go first: their room is worth more than their warmth.
  for (const auto number : machines_.index().AssignedTo(event.function->user)) {
    Machine& machine = machines_.Get(number);
    std::vector<std::uint32_t> retired;
    for (const auto& [container_number, container] : machine.containers()) {
      if (container.state() == ContainerState::kIdle && IsRetired(container.function())) {
        retired.push_back(container_number);
      }
    }
    for (const auto each : retired) machines_.Remove(machine, machine.Get(each), "retired");
  }
}

void Core::State::On(const FunctionRemoved& event) {
  registry.Remove(event.user, event.name);
}

void Core::State::On(const FunctionsCaughtUp&) {
  registry.CaughtUp();
}

void Core::State::On(const DrainRequested&) {
  context_.Drain();
}

void Core::State::RunDue() {
  while (const auto due = machines_.TakeDue()) {
    if (due->container == nullptr) {
      Expire(*due->machine);
    } else {
      Expire(*due->machine, *due->container);
    }
  }
}

void Core::State::Expire(Machine& machine) {
  switch (machine.state()) {
    case MachineState::kCreating:
      Condemn(machine, "no hello in the time allowed");
      return StartFailed(machine.profile());
    case MachineState::kWarm: return machines_.Drain(machine, "too old");
    case MachineState::kAssigned: return machines_.Drain(machine, "idle");
    case MachineState::kDraining:
    case MachineState::kSuspect:
    case MachineState::kGone: return;
  }
}

void Core::State::Expire(Machine& machine, Container& container) {
  switch (container.state()) {
    case ContainerState::kIdle: return machines_.Remove(machine, container, "idle");
    case ContainerState::kBusy: return Condemn(machine, "the agent did not end an attempt at its time-out");
    case ContainerState::kCreating: return Condemn(machine, "the agent did not make a container in the time allowed");
    case ContainerState::kGone: return Condemn(machine, "the agent did not remove a container in the time allowed");
  }
}

void Core::State::PingAll() {
  while (Machine* machine = machines_.NextToPing()) {
    if (machine->pings_missed() < kPingMisses) {
      machines_.Ping(*machine);
    } else {
      Condemn(*machine, "the agent does not answer pings");
    }
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
  context_.AskToSchedule();  // back-offs and targets move with time
}

}  // namespace hearth::executor
