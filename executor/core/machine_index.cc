// Each entry has one place where it comes and goes.
#include "executor/core/machine_index.h"

namespace hearth::executor {
namespace {

template <class Set, class Value>
void Keep(Set& set, const Value& value, int sign) {
  if (sign > 0) {
    set.insert(value);
  } else {
    set.erase(value);
  }
}

}  // namespace

void MachineIndex::Insert(const Machine& machine) {
  numbers_[machine.id()] = machine.number();
  used_mib_ += machine.memory_mib();
  Enter(machine);
  MoveDue({machine.number(), 0}, 0, machine.due_us());
  MovePing(machine.number(), 0, machine.ping_us());
  MoveQuiet(machine, -1, machine.quiet_us());
  for (const auto& [number, container] : machine.containers()) {
    MoveDue({machine.number(), number}, 0, container.look_us());
    if (container.state() == ContainerState::kIdle) Enter(machine, container);
    if (container.state() == ContainerState::kChecking) EnterCheck(container);
  }
}

void MachineIndex::Erase(const Machine& machine) {
  for (const auto& [number, container] : machine.containers()) {
    MoveDue({machine.number(), number}, container.look_us(), 0);
    if (container.state() == ContainerState::kIdle) Leave(container);
    if (container.state() == ContainerState::kChecking) LeaveCheck(container);
  }
  MoveQuiet(machine, machine.quiet_us(), -1);
  MovePing(machine.number(), machine.ping_us(), 0);
  MoveDue({machine.number(), 0}, machine.due_us(), 0);
  Leave(machine);
  used_mib_ -= machine.memory_mib();
  numbers_.erase(machine.id());
}

void MachineIndex::Count(const Machine& machine, int sign) {
  ProfileLines& profile = profiles_[machine.profile()];
  switch (machine.state()) {
    case MachineState::kCreating:
      (machine.activates() ? activating_ : starting_) += sign;
      if (!machine.meant_for().empty()) return CountFor(machine.meant_for(), machine, sign);
      return Keep(profile.starting, machine.number(), sign);
    case MachineState::kWarm:
      if (!machine.meant_for().empty()) return CountFor(machine.meant_for(), machine, sign);
      return Keep(profile.warm, machine.number(), sign);
    case MachineState::kAssigned: profile.assigned += sign; return CountFor(machine.user(), machine, sign);
    case MachineState::kDraining:
    case MachineState::kSuspect: freeing_mib_ += sign * machine.memory_mib(); return;
    case MachineState::kGone: return;
  }
}

void MachineIndex::CountFor(const UserId& user, const Machine& machine, int sign) {
  Holding& holding = holdings_[user];
  const bool had_several = holding.several();
  Keep(machine.state() == MachineState::kAssigned ? holding.assigned : holding.coming, machine.number(), sign);
  if (machine.state() == MachineState::kCreating) holding.starting += sign;
  if (holding.several() != had_several) {
    for (const auto& quiet : holding.quiet) Keep(quiet_of_several_, quiet, had_several ? -1 : +1);
  }
  if (holding.assigned.empty() && holding.coming.empty()) holdings_.erase(user);
}

void MachineIndex::Enter(const Machine& machine, const Container& container) {
  lines_[container.function()].idle.emplace(container.idle_order(), Place{machine.number(), container.number()});
}

void MachineIndex::Leave(const Container& container) {
  const auto line = lines_.find(container.function());
  line->second.idle.erase(container.idle_order());
  EraseIfEmpty(line);
}

void MachineIndex::LeaveCheck(const Container& container) {
  const auto line = lines_.find(container.function());
  --line->second.checking;
  EraseIfEmpty(line);
}

void MachineIndex::EraseIfEmpty(Lines::iterator line) {
  if (line->second.idle.empty() && line->second.checking == 0) lines_.erase(line);
}

void MachineIndex::MoveDue(Place place, std::int64_t from_us, std::int64_t to_us) {
  if (from_us != 0) due_.erase({from_us, place});
  if (to_us != 0) due_.insert({to_us, place});
}

void MachineIndex::MovePing(std::uint64_t machine, std::int64_t from_us, std::int64_t to_us) {
  if (from_us != 0) pings_.erase({from_us, machine});
  if (to_us != 0) pings_.insert({to_us, machine});
}

// A machine that is not assigned any more has left its user's holding already, and the last one has taken that along.
void MachineIndex::MoveQuiet(const Machine& machine, std::int64_t from_us, std::int64_t to_us) {
  const auto holding = holdings_.find(machine.user());
  const bool held = holding != holdings_.end();
  const auto keep = [&](std::int64_t since_us, int sign) {
    const std::pair quiet(since_us, machine.number());
    Keep(quiet_, quiet, sign);
    if (held) Keep(holding->second.quiet, quiet, sign);
    if (sign < 0 || (held && holding->second.several())) Keep(quiet_of_several_, quiet, sign);
  };
  if (from_us >= 0) keep(from_us, -1);
  if (to_us >= 0) keep(to_us, +1);
}

std::uint64_t MachineIndex::NumberOf(const MachineId& id) const {
  const auto found = numbers_.find(id);
  return found == numbers_.end() ? 0 : found->second;
}

std::optional<MachineIndex::Place> MachineIndex::LastIdle(const FunctionVersion& function) const {
  const auto found = lines_.find(function);
  if (found == lines_.end() || found->second.idle.empty()) return std::nullopt;
  return found->second.idle.rbegin()->second;
}

std::int32_t MachineIndex::Checking(const FunctionVersion& function) const {
  const auto found = lines_.find(function);
  return found == lines_.end() ? 0 : found->second.checking;
}

const MachineIndex::Holding& MachineIndex::HoldingOf(const UserId& user) const {
  static const Holding none;
  const auto found = holdings_.find(user);
  return found == holdings_.end() ? none : found->second;
}

std::size_t MachineIndex::size() const {
  std::size_t containers = 0;
  for (const auto& [function, line] : lines_) containers += line.idle.size() + static_cast<std::size_t>(line.checking);
  return numbers_.size() + due_.size() + pings_.size() + quiet_.size() + quiet_of_several_.size() + holdings_.size() +
         containers;
}

}  // namespace hearth::executor
