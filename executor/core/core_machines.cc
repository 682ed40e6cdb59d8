// Machines that come up, fail, are lost, or have not done in time what they should have.
#include <algorithm>
#include <set>

#include "executor/core/core.h"

namespace hearth::executor {

void Core::On(const MachineReady& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine == nullptr || machine->state() != MachineState::kCreating) return;
  if (event.hello.protocol != guest::kProtocolVersion) {
    Condemn(*machine, "the agent speaks another protocol");
    return StartFailed(machine->profile());
  }
  std::set<Runtime> proved;
  for (const auto& name : event.hello.runtimes) {
    if (auto runtime = ParseRuntime(name)) proved.insert(*runtime);
  }
  if (!std::ranges::includes(proved, context_.settings().runtimes)) {
    Condemn(*machine, "not all of its runtimes have started");
    return StartFailed(machine->profile());
  }
  pools_.Started(*machine, event.path, proved);
  machines_.TurnWarm(*machine, event.path, std::move(proved));
}

void Core::On(const MachineFailed& event) {
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

void Core::On(const MachineLost& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine == nullptr) return;
  const bool was_starting = machine->state() == MachineState::kCreating;
  Condemn(*machine, event.reason);
  if (was_starting) StartFailed(machine->profile());
}

void Core::On(const MachineDestroyed& event) {
  if (Machine* machine = machines_.Find(event.machine); machine != nullptr) Erase(*machine);
}

// The attempts in the machine end with it.
void Core::Condemn(Machine& machine, const std::string& reason) {
  for (const auto& attempt : machines_.Condemn(machine, reason)) attempts_.Fail(attempt, reason);
}

void Core::Erase(Machine& machine) {
  codes_.Forget(machine);
  machines_.Erase(machine);
}

// Where starts fail again and again, other executors may have what this host cannot make: whoever waits here for a
// machine of the profile is sent back.
void Core::StartFailed(std::size_t profile) {
  if (!pools_.StartFailed(profile)) return;
  std::vector<Attempt*> refused;
  for (const auto& [order, attempt] : attempts_.waiting()) {
    if (context_.settings().ProfileOf(attempt->function()) == profile) refused.push_back(attempt);
  }
  for (Attempt* attempt : refused) attempts_.Refuse(*attempt, link::NackReason::kNoCapacity);
}

void Core::PingAgents() {
  while (Machine* machine = machines_.NextToPing()) {
    if (machine->pings_missed() < kPingMisses) {
      machines_.Ping(*machine);
    } else {
      Condemn(*machine, "the agent does not answer pings");
    }
  }
}

void Core::RunDue() {
  while (const auto due = machines_.TakeDue()) {
    if (due->container == nullptr) {
      Expire(*due->machine);
    } else {
      Expire(*due->machine, *due->container);
    }
  }
}

void Core::Expire(Machine& machine) {
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

void Core::Expire(Machine& machine, Container& container) {
  switch (container.state()) {
    case ContainerState::kIdle: return machines_.Remove(machine, container, "idle");
    case ContainerState::kBusy: return Condemn(machine, "the agent did not end an attempt at its time-out");
    case ContainerState::kChecking: return Condemn(machine, "the agent did not check a container in the time allowed");
    case ContainerState::kCreating: return Condemn(machine, "the agent did not make a container in the time allowed");
    case ContainerState::kGone: return Condemn(machine, "the agent did not remove a container in the time allowed");
  }
}

}  // namespace hearth::executor
