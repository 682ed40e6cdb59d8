#include "dispatcher/core/warm.h"

#include <algorithm>
#include <set>
#include <utility>

namespace hearth::dispatcher {

std::vector<link::Slot> Warm::Replace(const ExecutorId& executor, const std::vector<link::Slot>& slots) {
  std::vector<link::Slot> changes;
  std::set<std::pair<UserId, SlotKey>> present;
  for (const link::Slot& slot : slots) present.insert({slot.user, {slot.machine, slot.container}});
  if (const auto users = users_of_.find(executor); users != users_of_.end()) {
    for (const UserId& user : users->second) {
      for (const auto& [key, slot] : users_.at(user).at(executor).slots) {
        if (present.contains({user, key})) continue;
        changes.push_back(slot);
        changes.back().state = link::SlotState::kGone;
      }
    }
  }
  Drop(executor);
  for (const link::Slot& slot : slots) {
    Apply(executor, slot);
    changes.push_back(slot);
  }
  return changes;
}

void Warm::Holding::Count(const link::Slot& slot, std::int32_t by) {
  if (slot.container.empty()) {
    if (by > 0) {
      rooms.insert(slot.memory_mib);
    } else {
      rooms.erase(rooms.find(slot.memory_mib));
    }
    return;
  }
  const Version version{slot.function, slot.version};
  Held& held = versions[version];
  held.containers += by;
  if ((held.in[slot.machine] += by) == 0) held.in.erase(slot.machine);
  if (held.containers == 0) versions.erase(version);
}

void Warm::Apply(const ExecutorId& executor, const link::Slot& slot) {
  const SlotKey key{slot.machine, slot.container};
  if (slot.state != link::SlotState::kGone) {
    Holding& holding = users_[slot.user][executor];
    users_of_[executor].insert(slot.user);
    const auto [found, is_new] = holding.slots.try_emplace(key, slot);
    if (!is_new) {
      holding.Count(found->second, -1);
      found->second = slot;
    }
    holding.Count(slot, 1);
    return;
  }
  const auto user = users_.find(slot.user);
  if (user == users_.end()) return;
  const auto holding = user->second.find(executor);
  if (holding == user->second.end()) return;
  if (const auto node = holding->second.slots.extract(key); !node.empty()) holding->second.Count(node.mapped(), -1);
  if (!holding->second.slots.empty()) return;
  user->second.erase(holding);
  users_of_[executor].erase(slot.user);
  if (user->second.empty()) users_.erase(user);
}

void Warm::Drop(const ExecutorId& executor) {
  const auto node = users_of_.extract(executor);
  if (node.empty()) return;
  for (const UserId& id : node.mapped()) {
    const auto user = users_.find(id);
    user->second.erase(executor);
    if (user->second.empty()) users_.erase(user);
  }
}

Warmth Warm::Of(const UserId& user, const ExecutorId& executor, const FunctionName& function, std::int64_t version,
                std::int32_t memory_mib) const {
  Warmth warmth;
  const auto executors = users_.find(user);
  if (executors == users_.end()) return warmth;
  const auto found = executors->second.find(executor);
  if (found == executors->second.end()) return warmth;
  const Holding& holding = found->second;
  if (!holding.rooms.empty()) warmth.machine_room_mib = *holding.rooms.rbegin();
  warmth.holds_machine = !holding.rooms.empty();
  const auto held = holding.versions.find({function, version});
  if (held == holding.versions.end()) return warmth;
  warmth.containers = held->second.containers;
  for (const auto& [machine, count] : held->second.in) {
    const auto line = holding.slots.find({machine, ContainerId{}});
    if (line != holding.slots.end() && line->second.memory_mib >= std::max(1, memory_mib)) warmth.code_cached = true;
  }
  return warmth;
}

bool Warm::Has(const ExecutorId& executor, const link::Slot& slot) const {
  const auto executors = users_.find(slot.user);
  if (executors == users_.end()) return false;
  const auto holding = executors->second.find(executor);
  return holding != executors->second.end() && holding->second.slots.contains({slot.machine, slot.container});
}

std::vector<link::Slot> Warm::IdleOf(const UserId& user, const ExecutorId& executor, const FunctionName& function,
                                     std::int64_t version) const {
  std::vector<link::Slot> idle;
  const auto executors = users_.find(user);
  if (executors == users_.end()) return idle;
  const auto holding = executors->second.find(executor);
  if (holding == executors->second.end()) return idle;
  for (const auto& [key, slot] : holding->second.slots) {
    const bool fits = !slot.container.empty() && slot.function == function && slot.version == version;
    if (fits && slot.state == link::SlotState::kIdle) idle.push_back(slot);
  }
  return idle;
}

std::vector<std::pair<ExecutorId, link::Slot>> Warm::SlotsOf(const UserId& user) const {
  std::vector<std::pair<ExecutorId, link::Slot>> all;
  const auto executors = users_.find(user);
  if (executors == users_.end()) return all;
  for (const auto& [executor, holding] : executors->second) {
    for (const auto& [key, slot] : holding.slots) all.emplace_back(executor, slot);
  }
  return all;
}

}  // namespace hearth::dispatcher
