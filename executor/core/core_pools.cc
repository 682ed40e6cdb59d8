// The pools: how much is held ahead of the requests, of what, and when it is given up.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::On(const ShellsChanged& event) {
  for (auto& profile : profiles) {
    if (profile.profile.name != event.profile) continue;
    profile.shells = std::clamp(event.ready, 0, kMaxPool);
    if (profile.shells > 0) profile.shells_seen_us = context_.now_us();
  }
  context_.AskToSchedule();
}

// One machine for each report: what it gives back shows in the next.
void Core::State::On(const HostPressure& event) {
  shortage.Update(event.memory_available_mib, event.cpu_busy_ppm);
  context_.AskToSchedule();
  if (!shortage.memory) return;
  if (machines_.index().freeing_mib() > 0) return;
  const auto spares = machines_.Spares(profiles.size(), 1);
  if (!spares.empty()) machines_.Drain(machines_.Get(spares.front().number), "memory is short");
}

void Core::State::On(const ImageChanged& event) {
  for (auto& profile : profiles) {
    if (profile.profile.name == event.profile) profile.image = event.image;
  }
  context_.AskToSchedule();
}

void Core::State::On(const PoolChanged& event) {
  for (auto& each : profiles) {
    Profile& profile = each.profile;
    if (profile.name != event.profile) continue;
    profile.pool_min = std::clamp(event.min, 0, kMaxPool);
    profile.pool_max = std::clamp(event.max, profile.pool_min, kMaxPool);
    profile.shells = std::clamp(event.shells, 0, kMaxPool);
  }
  context_.AskToSchedule();
}

void Core::State::OnDemand(LinkState& link, const link::Demand& demand) {
  link.backlog.clear();
  for (const auto& each : demand.profiles) {
    if (each.waiting > 0) link.backlog[each.profile] = each.waiting;
  }
  SumBacklog();
}

void Core::State::SumBacklog() {
  for (auto& profile : profiles) {
    std::int64_t backlog = 0;
    for (const auto& [id, link] : links) {
      const auto found = link.backlog.find(profile.profile.name);
      if (found != link.backlog.end()) backlog += found->second;
    }
    profile.demand.SetBacklog(backlog);
  }
  context_.AskToSchedule();
}

bool Core::State::IsOutdated(const Machine& machine) const {
  return machine.image() != profiles[machine.profile()].image;
}

// The profile's machines come from shells here: some waited lately.
bool Core::State::ShellsComeAndGo(const ProfileState& profile) const {
  return profile.shells_asked > 0 && context_.now_us() - profile.shells_seen_us < kShellsTrustMs * kMicrosPerMilli;
}

// Shells get what memory the machines leave, and nothing where the host is short of it.
void Core::State::KeepEnoughShells() {
  std::int32_t room = context_.draining() || shortage.memory ? 0 : machines_.FreeMib() / kShellMib;
  for (auto& profile : profiles) {
    const auto wanted = std::min(profile.profile.shells, room);
    room -= wanted;
    if (wanted != std::exchange(profile.shells_asked, wanted)) context_.Emit(KeepShells{profile.profile.name, wanted});
  }
}

PoolView Core::State::View(std::size_t index, std::int32_t target) {
  ProfileState& profile = profiles[index];
  PoolView view;
  view.target = shortage.cpu ? std::min(target, profile.profile.pool_min) : target;
  for (const auto number : machines_.index().Warm(index)) view.ready += IsOutdated(machines_.Get(number)) ? 0 : 1;
  view.starting = static_cast<std::int32_t>(machines_.index().Starting(index).size());
  view.machine_mib = profile.profile.memory_mib;
  if (context_.now_us() < profile.may_start_us) {
    view.startable = 0;
  } else if (profile.shells > 0 || ShellsComeAndGo(profile)) {
    view.startable = std::max(0, profile.shells - ShellsForRequests(profile.shells_asked));
    const bool held = view.startable == 0 && view.ready + view.starting < view.target;
    if (!held) {
      profile.held_since_us = 0;
    } else if (profile.held_since_us == 0) {
      profile.held_since_us = context_.now_us();
    } else if (context_.now_us() - profile.held_since_us > kRefillHeldMs * kMicrosPerMilli) {
      view.startable = 1;  // shells do not come back: what there is has to do
    }
  }
  return view;
}

// What is outdated goes as its replacement comes, or at once where there is no room for both; what was more than the
// target for a while goes one by one, the oldest first.
void Core::State::Shrink(std::size_t index, std::int32_t target) {
  ProfileState& profile = profiles[index];
  const auto& warm = machines_.index().Warm(index);
  const auto& starting = machines_.index().Starting(index);
  std::int32_t outdated = 0;
  std::uint64_t oldest_outdated = 0;
  for (const auto number : warm) {
    if (!IsOutdated(machines_.Get(number))) continue;
    if (outdated++ == 0) oldest_outdated = number;
  }
  const auto ready = static_cast<std::int32_t>(warm.size());
  const bool no_room =
      machines_.FreeMib() < profile.profile.memory_mib && machines_.index().freeing_mib() == 0 && starting.empty();
  if (outdated > 0 && (ready > target || no_room)) {
    return machines_.Drain(machines_.Get(oldest_outdated), "outdated");
  }
  if (ready + static_cast<std::int32_t>(starting.size()) <= target || ready == 0) {
    profile.surplus_since_us = 0;
  } else if (profile.surplus_since_us == 0) {
    profile.surplus_since_us = context_.now_us();
  } else if (context_.now_us() - profile.surplus_since_us > kSurplusMs * kMicrosPerMilli) {
    profile.surplus_since_us = context_.now_us();
    machines_.Drain(machines_.Get(*warm.begin()), "more than the target");
  }
}

void Core::State::Refill() {
  KeepEnoughShells();
  if (context_.draining()) return;
  std::vector<PoolView> pools;
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    auto& profile = profiles[i];
    const auto target = profile.demand.Target(profile.profile.pool_min, profile.profile.pool_max, context_.now());
    Shrink(i, target);
    pools.push_back(View(i, target));
  }
  if (starved || shortage.memory) return;
  const auto starting = machines_.index().starting();
  std::int32_t slots = context_.settings().concurrent_starts - starting;
  if (shortage.cpu) slots = std::min(slots, 1 - starting);
  for (const auto profile : PlanRefill(std::move(pools), slots, machines_.FreeMib())) Start(profile, UserId());
}

}  // namespace hearth::executor
