// What is found without a search: by user, by profile, by function, by time. Each change of a state goes through here,
// so that a step costs the same with ten machines and with a thousand.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

Instance* Core::State::Find(const InstanceId& id) {
  const auto found = numbers.find(id);
  return found == numbers.end() ? nullptr : &instances.at(found->second);
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

void Core::State::Index(const Instance& instance, int sign) {
  ProfileState& profile = profiles[instance.profile];
  const auto keep = [&](std::set<std::uint64_t>& set) {
    if (sign > 0) {
      set.insert(instance.number);
    } else {
      set.erase(instance.number);
    }
  };
  const auto hold = [&](const UserId& user, bool assigned, bool starts) {
    Holding& holding = holdings[user];
    keep(assigned ? holding.assigned : holding.coming);
    if (starts) holding.starting += sign;
    if (holding.assigned.empty() && holding.coming.empty()) holdings.erase(user);
  };
  switch (instance.state) {
    case InstanceState::kCreating:
      (instance.activates ? activating : starting) += sign;
      if (!instance.meant_for.empty()) return hold(instance.meant_for, false, true);
      return keep(profile.starting);
    case InstanceState::kWarm:
      if (!instance.meant_for.empty()) return hold(instance.meant_for, false, false);
      return keep(profile.warm);
    case InstanceState::kAssigned: profile.assigned += sign; return hold(instance.user, true, false);
    case InstanceState::kDraining:
    case InstanceState::kSuspect: freeing_mib += sign * profile.profile.memory_mib; return;
    case InstanceState::kGone: return;
  }
}

void Core::State::Move(Instance& instance, InstanceState to, const std::string& reason) {
  if (!CanMove(instance.state, to)) std::abort();  // a fault of ours; see states.cc
  Trace trace;
  trace.kind = Trace::Kind::kInstanceMoved;
  trace.user = to == InstanceState::kAssigned ? instance.meant_for : instance.user;
  trace.instance = instance.id;
  trace.from = StateName(instance.state);
  trace.to = StateName(to);
  trace.reason = reason;
  Index(instance, -1);
  if (to == InstanceState::kAssigned) {
    if (!instance.user.empty()) std::abort();  // a machine serves one user for its whole life
    instance.user = std::exchange(instance.meant_for, UserId());
  }
  instance.state = to;
  Index(instance, +1);
  Emit(std::move(trace));
  UpdateQuiet(instance);
  if (!instance.user.empty()) NoteChange(instance);
}

void Core::State::MeanFor(Instance& instance, const UserId& user) {
  Index(instance, -1);
  instance.meant_for = user;
  Index(instance, +1);
}

void Core::State::Move(Instance& instance, Container& container, ContainerState to, const std::string& reason) {
  if (!CanMove(container.state, to)) std::abort();
  if (container.state == ContainerState::kIdle) {
    const auto line = idle.find(container.function);
    line->second.erase(container.idle_order);
    if (line->second.empty()) idle.erase(line);
    ++instance.not_idle;
  }
  if (to == ContainerState::kIdle) {
    container.idle_order = next_idle++;
    idle[container.function].emplace(container.idle_order, std::pair(instance.number, container.number));
    --instance.not_idle;
  }
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
  UpdateQuiet(instance);
  NoteChange(instance, container);
  Emit(std::move(trace));
}

void Core::State::FreeContainer(Instance& instance, std::uint32_t number) {
  const auto found = instance.containers.find(number);
  if (found == instance.containers.end()) return;
  SetDue(instance, found->second, 0);
  instance.freeing_mib -= found->second.memory_mib;
  instance.free_mib += found->second.memory_mib;
  if (found->second.state != ContainerState::kIdle) --instance.not_idle;
  instance.containers.erase(found);
  UpdateQuiet(instance);
  if (instance.state == InstanceState::kAssigned) {
    if (instance.containers.empty()) {
      instance.since_us = now.mono_us;
      const auto own_ms = LimitsOf(instance.user).instance_idle_ms;
      SetDue(instance, now.mono_us + (own_ms > 0 ? own_ms : settings.instance_idle_ms) * kMicrosPerMilli);
    }
    NoteChange(instance);
  }
  dirty = true;
}

void Core::State::Erase(Instance& instance) {
  Index(instance, -1);
  SetDue(instance, 0);
  SetPing(instance, 0);
  for (auto& [number, container] : instance.containers) SetDue(instance, container, 0);
  if (instance.quiet_us >= 0) quiet.erase({instance.quiet_us, instance.number});
  used_mib -= profiles[instance.profile].profile.memory_mib;
  numbers.erase(instance.id);
  instances.erase(instance.number);
}

void Core::State::UpdateQuiet(Instance& instance) {
  const bool is_quiet = instance.state == InstanceState::kAssigned && instance.not_idle == 0;
  if (is_quiet == (instance.quiet_us >= 0)) return;
  if (is_quiet) {
    instance.quiet_us = now.mono_us;
    quiet.insert({instance.quiet_us, instance.number});
  } else {
    quiet.erase({instance.quiet_us, instance.number});
    instance.quiet_us = -1;
  }
}

void Core::State::SetDue(Instance& instance, std::int64_t at_us) {
  if (instance.due_us != 0) due.erase({instance.due_us, instance.number, 0});
  instance.due_us = at_us;
  if (at_us != 0) due.insert({at_us, instance.number, 0});
}

void Core::State::SetDue(Instance& instance, Container& container, std::int64_t at_us) {
  if (container.due_us != 0) due.erase({container.due_us, instance.number, container.number});
  container.due_us = at_us;
  if (at_us != 0) due.insert({at_us, instance.number, container.number});
}

void Core::State::SetPing(Instance& instance, std::int64_t at_us) {
  if (instance.ping_us != 0) pings.erase({instance.ping_us, instance.number});
  instance.ping_us = at_us;
  if (at_us != 0) pings.insert({at_us, instance.number});
}

}  // namespace hearth::executor
