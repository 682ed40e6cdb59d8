// What executors are told of the work that has no place yet, so that their pools grow before it comes to them.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {

// Invocations that wait for a place, by profile; of each user no more than the user could have placed at once.
std::vector<link::ProfileDemand> Core::State::MeasureDemand() const {
  std::map<std::string, std::int64_t> waiting;
  std::map<UserId, std::int64_t> room;
  turns_.Walk(kMaxDemandLines,
              [&](const UserId& user, const FunctionName& name, std::int64_t queued, std::int64_t user_room) {
                const Function* function = functions_.Find(user, name);
                if (function == nullptr) return;
                std::int64_t& left = room.try_emplace(user, user_room).first->second;
                const auto counted = std::min(queued, left);
                left -= counted;
                if (counted > 0) waiting[function->profile] += counted;
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
  const std::int64_t takers = executors_.takers();
  if (takers == 0) return;
  auto share = MeasureDemand();
  for (auto& each : share) each.waiting = (each.waiting + takers - 1) / takers;
  executors_.TellDemand(share);
}

}  // namespace hearth::dispatcher
