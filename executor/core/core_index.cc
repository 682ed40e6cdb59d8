// What is found without a search: by user, by profile, by function, by time. Each change of a state goes through here,
// so that a step costs the same with ten machines and with a thousand.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

Machine* Core::State::Find(const MachineId& id) {
  const auto found = numbers.find(id);
  return found == numbers.end() ? nullptr : &machines.at(found->second);
}

std::size_t Core::State::ProfileOf(const Function& function) const {
  return static_cast<std::size_t>(
      std::find_if(profiles.begin(), profiles.end(),
                   [&](const ProfileState& each) { return each.profile.name == function.profile; }) -
      profiles.begin());
}

const UserLimits& Core::State::LimitsOf(const UserId& user) const {
  static const UserLimits none;
  const auto found = settings.users.find(user);
  return found == settings.users.end() ? none : found->second;
}

std::int32_t Core::State::FreeMib() const {
  return std::max(0, settings.memory_mib - used_mib);
}

void Core::State::Index(const Machine& machine, int sign) {
  ProfileState& profile = profiles[machine.profile];
  const auto keep = [&](std::set<std::uint64_t>& set) {
    if (sign > 0) {
      set.insert(machine.number);
    } else {
      set.erase(machine.number);
    }
  };
  const auto hold = [&](const UserId& user, bool assigned, bool starts) {
    Holding& holding = holdings[user];
    keep(assigned ? holding.assigned : holding.coming);
    if (starts) holding.starting += sign;
    if (holding.assigned.empty() && holding.coming.empty()) holdings.erase(user);
  };
  switch (machine.state) {
    case MachineState::kCreating:
      (machine.activates ? activating : starting) += sign;
      if (!machine.meant_for.empty()) return hold(machine.meant_for, false, true);
      return keep(profile.starting);
    case MachineState::kWarm:
      if (!machine.meant_for.empty()) return hold(machine.meant_for, false, false);
      return keep(profile.warm);
    case MachineState::kAssigned: profile.assigned += sign; return hold(machine.user, true, false);
    case MachineState::kDraining:
    case MachineState::kSuspect: freeing_mib += sign * profile.profile.memory_mib; return;
    case MachineState::kGone: return;
  }
}

void Core::State::Move(Machine& machine, MachineState to, const std::string& reason) {
  if (!CanMove(machine.state, to)) std::abort();  // a fault of ours; see states.cc
  Trace trace;
  trace.kind = Trace::Kind::kMachineMoved;
  trace.user = to == MachineState::kAssigned ? machine.meant_for : machine.user;
  trace.machine = machine.id;
  trace.from = StateName(machine.state);
  trace.to = StateName(to);
  trace.reason = reason;
  Index(machine, -1);
  if (to == MachineState::kAssigned) {
    if (!machine.user.empty()) std::abort();  // a machine serves one user for its whole life
    machine.user = std::exchange(machine.meant_for, UserId());
  }
  machine.state = to;
  Index(machine, +1);
  Emit(std::move(trace));
  UpdateQuiet(machine);
  if (!machine.user.empty()) NoteChange(machine);
}

void Core::State::MeanFor(Machine& machine, const UserId& user) {
  Index(machine, -1);
  machine.meant_for = user;
  Index(machine, +1);
}

void Core::State::Move(Machine& machine, Container& container, ContainerState to, const std::string& reason) {
  if (!CanMove(container.state, to)) std::abort();
  if (container.state == ContainerState::kIdle) {
    const auto line = idle.find(container.function);
    line->second.erase(container.idle_order);
    if (line->second.empty()) idle.erase(line);
    ++machine.not_idle;
  }
  if (to == ContainerState::kIdle) {
    container.idle_order = next_idle++;
    idle[container.function].emplace(container.idle_order, std::pair(machine.number, container.number));
    --machine.not_idle;
  }
  Trace trace;
  trace.kind = Trace::Kind::kContainerMoved;
  trace.user = machine.user;
  trace.function = std::get<1>(container.function);
  trace.machine = machine.id;
  trace.container = ContainerId(machine.id.value + "/" + std::to_string(container.number));
  trace.from = StateName(container.state);
  trace.to = StateName(to);
  trace.reason = reason;
  container.state = to;
  UpdateQuiet(machine);
  NoteChange(machine, container);
  Emit(std::move(trace));
}

void Core::State::FreeContainer(Machine& machine, std::uint32_t number) {
  const auto found = machine.containers.find(number);
  if (found == machine.containers.end()) return;
  SetDue(machine, found->second, 0);
  machine.freeing_mib -= found->second.memory_mib;
  machine.free_mib += found->second.memory_mib;
  if (found->second.state != ContainerState::kIdle) --machine.not_idle;
  machine.containers.erase(found);
  UpdateQuiet(machine);
  if (machine.state == MachineState::kAssigned) {
    if (machine.containers.empty()) {
      machine.since_us = now.mono_us;
      const auto own_ms = LimitsOf(machine.user).machine_idle_ms;
      SetDue(machine, now.mono_us + (own_ms > 0 ? own_ms : settings.machine_idle_ms) * kMicrosPerMilli);
    }
    NoteChange(machine);
  }
  dirty = true;
}

void Core::State::Erase(Machine& machine) {
  Index(machine, -1);
  SetDue(machine, 0);
  SetPing(machine, 0);
  for (auto& [number, container] : machine.containers) SetDue(machine, container, 0);
  if (machine.quiet_us >= 0) quiet.erase({machine.quiet_us, machine.number});
  used_mib -= profiles[machine.profile].profile.memory_mib;
  numbers.erase(machine.id);
  machines.erase(machine.number);
}

void Core::State::UpdateQuiet(Machine& machine) {
  const bool is_quiet = machine.state == MachineState::kAssigned && machine.not_idle == 0;
  if (is_quiet == (machine.quiet_us >= 0)) return;
  if (is_quiet) {
    machine.quiet_us = now.mono_us;
    quiet.insert({machine.quiet_us, machine.number});
  } else {
    quiet.erase({machine.quiet_us, machine.number});
    machine.quiet_us = -1;
  }
}

void Core::State::SetDue(Machine& machine, std::int64_t at_us) {
  if (machine.due_us != 0) due.erase({machine.due_us, machine.number, 0});
  machine.due_us = at_us;
  if (at_us != 0) due.insert({at_us, machine.number, 0});
}

void Core::State::SetDue(Machine& machine, Container& container, std::int64_t at_us) {
  if (container.due_us != 0) due.erase({container.due_us, machine.number, container.number});
  container.due_us = at_us;
  if (at_us != 0) due.insert({at_us, machine.number, container.number});
}

void Core::State::SetPing(Machine& machine, std::int64_t at_us) {
  if (machine.ping_us != 0) pings.erase({machine.ping_us, machine.number});
  machine.ping_us = at_us;
  if (at_us != 0) pings.insert({at_us, machine.number});
}

}  // namespace hearth::executor
