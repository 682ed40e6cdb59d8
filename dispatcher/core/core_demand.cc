// What executors are told of the work that has no place yet, so that their pools grow before it comes to them.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {

// Invocations that wait for a place, by profile; of each user no more than the user could have placed at once.
std::vector<link::ProfileDemand> Core::State::MeasureDemand() const {
  std::map<std::string, std::int64_t> waiting;
  std::map<UserId, std::int64_t> room;
  queue.Walk(kMaxDemandLines, [&](const UserId& user, const FunctionName& name, std::int64_t count) {
    const auto owner = functions.find(user);
    if (owner == functions.end()) return;
    const auto function = owner->second.find(name);
    if (function == owner->second.end()) return;
    const auto known = users.find(user);
    const std::int64_t placed_now = known == users.end() ? 0 : known->second.placed;
    auto& left = room.try_emplace(user, std::max<std::int64_t>(0, context_.settings().user_concurrency - placed_now))
                     .first->second;
    const auto counted = std::min(count, left);
    left -= counted;
    if (counted > 0) waiting[function->second->profile] += counted;
  });
  std::vector<link::ProfileDemand> demand;
  for (const auto& [profile, count] : waiting) {
    if (demand.size() < kMaxDemandProfiles) demand.push_back({profile, count});
  }
  return demand;
}

// Each executor gets its share, and only what differs from what it was told last.
void Core::State::TellDemand() {
  if (context_.now_us() < demand_due_us) return;
  demand_due_us = context_.After(kDemandIntervalMs);
  const auto takes_work = [](const auto& one) { return one.second.connected && !one.second.draining; };
  const auto sharers = std::count_if(executors.begin(), executors.end(), takes_work);
  if (sharers == 0) return;
  auto share = MeasureDemand();
  for (auto& each : share) each.waiting = (each.waiting + sharers - 1) / sharers;
  for (auto& [id, executor] : executors) {
    if (!executor.connected) continue;
    const auto mine = executor.draining ? std::vector<link::ProfileDemand>{} : share;
    if (executor.demand_told == mine) continue;
    executor.demand_told = mine;
    context_.Emit(SendToExecutor{id, link::Demand{mine}});
  }
}

}  // namespace hearth::dispatcher
