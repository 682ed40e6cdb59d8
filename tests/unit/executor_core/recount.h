// The index over machines, made anew from the machines themselves.
#pragma once

#include <string>

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

}  // namespace hearth::executor
