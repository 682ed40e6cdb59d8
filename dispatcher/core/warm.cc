#include "dispatcher/core/warm.h"

#include <algorithm>
#include <set>
#include <utility>

namespace hearth::dispatcher {

std::vector<link::Slot> Warm::Replace(const ExecutorId& executor, const std::vector<link::Slot>& slots) {
  std::vector<link::Slot> changes;
  std::set<std::pair<UserId, SlotKey>> present;
  for (const link::Slot& slot : slots) present.insert({slot.user, {slot.instance, slot.container}});
  for (const auto& [user, executors] : users_) {
    const auto mine = executors.find(executor);
    if (mine == executors.end()) continue;
    for (const auto& [key, slot] : mine->second) {
      if (present.contains({user, key})) continue;
      changes.push_back(slot);
      changes.back().state = link::SlotState::kGone;
    }
  }
  Drop(executor);
  for (const link::Slot& slot : slots) {
    Apply(executor, slot);
    changes.push_back(slot);
  }
  return changes;
}

void Warm::Apply(const ExecutorId& executor, const link::Slot& slot) {
  const SlotKey key{slot.instance, slot.container};
  if (slot.state != link::SlotState::kGone) {
    users_[slot.user][executor][key] = slot;
    return;
  }
  const auto user = users_.find(slot.user);
  if (user == users_.end()) return;
  const auto slots = user->second.find(executor);
  if (slots == user->second.end()) return;
  slots->second.erase(key);
  if (slots->second.empty()) user->second.erase(slots);
  if (user->second.empty()) users_.erase(user);
}

void Warm::Drop(const ExecutorId& executor) {
  for (auto user = users_.begin(); user != users_.end();) {
    user->second.erase(executor);
    user = user->second.empty() ? users_.erase(user) : std::next(user);
  }
}

Warmth Warm::Of(const UserId& user, const ExecutorId& executor, const FunctionName& function, std::int64_t version,
                std::int32_t memory_mib) const {
  Warmth warmth;
  const auto executors = users_.find(user);
  if (executors == users_.end()) return warmth;
  const auto slots = executors->second.find(executor);
  if (slots == executors->second.end()) return warmth;
  // An instance's own line (empty container) sorts before those of its containers.
  std::int32_t room_here = 0;
  for (const auto& [key, slot] : slots->second) {
    if (slot.container.empty()) {
      room_here = slot.memory_mib;
      warmth.instance_room_mib = std::max(warmth.instance_room_mib, room_here);
    } else if (slot.function == function && slot.version == version) {
      ++warmth.containers;
      if (room_here >= std::max(1, memory_mib)) warmth.code_cached = true;
    }
  }
  return warmth;
}

bool Warm::Has(const ExecutorId& executor, const link::Slot& slot) const {
  const auto executors = users_.find(slot.user);
  if (executors == users_.end()) return false;
  const auto slots = executors->second.find(executor);
  return slots != executors->second.end() && slots->second.contains({slot.instance, slot.container});
}

std::vector<std::pair<ExecutorId, link::Slot>> Warm::SlotsOf(const UserId& user) const {
  std::vector<std::pair<ExecutorId, link::Slot>> all;
  const auto executors = users_.find(user);
  if (executors == users_.end()) return all;
  for (const auto& [executor, slots] : executors->second) {
    for (const auto& [key, slot] : slots) all.emplace_back(executor, slot);
  }
  return all;
}

}  // namespace hearth::dispatcher
