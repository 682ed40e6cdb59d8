// What the owners in the core keep at any time, counted anew.
#pragma once

#include <algorithm>
#include <string>

#include "executor/core/attempts.h"
#include "executor/core/machines.h"

namespace hearth::executor {

// What Machines has to keep at any time. A change that was forgotten in the index makes the two unequal.
inline MachineIndex Recount(const Machines& machines, std::size_t profiles) {
  MachineIndex index(profiles);
  for (const auto& [number, machine] : machines.all()) index.Insert(machine);
  return index;
}

// Empty, or what is wrong with the machines and containers themselves.
inline std::string WhatIsWrong(const Machines& machines, const Settings& settings) {
  if (machines.index() != Recount(machines, settings.profiles.size())) return "the index is not that of the machines";
  for (const auto& [number, machine] : machines.all()) {
    const std::string name = machine.id().value;
    const bool assigned = machine.state() == MachineState::kAssigned;
    if (assigned == machine.user().empty() && machine.state() <= MachineState::kAssigned) {
      return name + " is assigned to nobody, or has a user and is not assigned";
    }
    if (!assigned && !machine.containers().empty()) return name + " has containers and is not assigned";
    std::int32_t taken_mib = 0;
    std::int32_t freeing_mib = 0;
    bool quiet = assigned;
    for (const auto& [container_number, container] : machine.containers()) {
      taken_mib += container.memory_mib();
      if (container.state() == ContainerState::kGone) freeing_mib += container.memory_mib();
      if (container.state() != ContainerState::kIdle) quiet = false;
      const bool has_attempt = container.attempt().has_value();
      if (container.state() == ContainerState::kBusy && !has_attempt) return name + " is busy with nothing";
      if (container.state() == ContainerState::kIdle && has_attempt) return name + " is idle with an attempt";
      if (container.state() == ContainerState::kChecking && has_attempt) return name + " is checked with an attempt";
      if (container.state() == ContainerState::kGone && has_attempt) return name + " is gone with an attempt";
    }
    const Profile& profile = settings.profiles[machine.profile()];
    if (assigned && machine.free_mib() + taken_mib != profile.memory_mib - profile.reserve_mib) {
      return name + " has lost memory, or has too much";
    }
    if (assigned && machine.freeing_mib() != freeing_mib) return name + " miscounts what comes free";
    if (machine.free_mib() < 0) return name + " is overbooked";
    if (quiet != (machine.quiet_us() >= 0)) return name + " is quiet and not noted as that, or noted and not quiet";
  }
  return "";
}

// The same for attempts, and for what attempts and machines say of each other.
inline std::string WhatIsWrong(const Attempts& attempts, const Machines& machines) {
  std::size_t waiting = 0;
  std::size_t with_container = 0;
  for (const auto& [key, attempt] : attempts.all()) {
    const std::string name = attempt.exec().id.value;
    const auto in = [&](const Attempts::Line& line) {
      return std::ranges::any_of(line, [&](const auto& one) { return one.second == &attempt; });
    };
    const auto version = VersionOf(attempt.function());
    const bool waits = attempt.phase() == AttemptPhase::kWaiting;
    if (attempt.phase() == AttemptPhase::kArrived) return name + " neither waits nor runs";
    if (attempt.key() != key) return name + " is not where it says";
    if (in(attempts.waiting()) != waits) return name + " waits and is not in line, or the other way round";
    if (in(attempts.WaitingFor(version)) != waits) return name + " is missing in the line of its function, or too much";
    if (in(attempts.PromisedFor(version)) != (attempt.phase() == AttemptPhase::kPromised)) {
      return name + " is missing among the promised of its function, or too much";
    }
    waiting += waits ? 1 : 0;
    if (!attempt.has_container()) continue;
    ++with_container;
    const auto& containers = machines.Get(attempt.machine()).containers();
    const auto container = containers.find(attempt.container());
    if (container == containers.end() || container->second.attempt() != key) return name + " has another's container";
    const bool runs = attempt.phase() == AttemptPhase::kRunning;
    if (runs != (container->second.state() == ContainerState::kBusy)) return name + " runs in what is not busy";
  }
  if (attempts.waiting().size() != waiting) return "attempts that are gone are still in line";
  for (const auto& [number, machine] : machines.all()) {
    for (const auto& [container_number, container] : machine.containers()) {
      if (container.attempt() && with_container-- == 0) return "containers have attempts that are gone";
    }
  }
  return "";
}

}  // namespace hearth::executor
