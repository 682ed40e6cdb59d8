// The pools: how much is held ahead of the requests, of what, and when it is given up.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

void Core::State::On(const ShellsChanged& event) {
  for (auto& profile : profiles) {
    if (profile.profile.name != event.profile) continue;
    profile.shells = std::clamp(event.ready, 0, kMaxPool);
    if (profile.shells > 0) profile.shells_seen_us = now.mono_us;
  }
  dirty = true;
}

// One machine for each report: what it gives back shows in the next.
void Core::State::On(const HostPressure& event) {
  shortage.Update(event.memory_available_mib, event.cpu_busy_ppm);
  dirty = true;
  if (!shortage.memory) return;
  if (freeing_mib > 0) return;
  const auto spares = Spares(profiles.size(), 1);
  if (!spares.empty()) Destroy(machines.at(spares.front().number), MachineState::kDraining, "memory is short");
}

void Core::State::On(const ImageChanged& event) {
  for (auto& profile : profiles) {
    if (profile.profile.name == event.profile) profile.image = event.image;
  }
  dirty = true;
}

void Core::State::On(const PoolChanged& event) {
  for (auto& each : profiles) {
    Profile& profile = each.profile;
    if (profile.name != event.profile) continue;
    profile.pool_min = std::clamp(event.min, 0, kMaxPool);
    profile.pool_max = std::clamp(event.max, profile.pool_min, kMaxPool);
    profile.shells = std::clamp(event.shells, 0, kMaxPool);
  }
  dirty = true;
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
  dirty = true;
}

bool Core::State::IsOutdated(const Machine& machine) const {
  return machine.image != profiles[machine.profile].image;
}

// The profile's machines come from shells here: some waited lately.
bool Core::State::ShellsComeAndGo(const ProfileState& profile) const {
  return profile.shells_asked > 0 && now.mono_us - profile.shells_seen_us < kShellsTrustMs * kMicrosPerMilli;
}

// Shells get what memory the machines leave, and nothing where the host is short of it.
void Core::State::KeepEnoughShells() {
  std::int32_t room = draining || shortage.memory ? 0 : FreeMib() / kShellMib;
  for (auto& profile : profiles) {
    const auto wanted = std::min(profile.profile.shells, room);
    room -= wanted;
    if (wanted != std::exchange(profile.shells_asked, wanted)) Emit(KeepShells{profile.profile.name, wanted});
  }
}

PoolView Core::State::View(ProfileState& profile, std::int32_t target) {
  PoolView view;
  view.target = shortage.cpu ? std::min(target, profile.profile.pool_min) : target;
  for (const auto number : profile.warm) view.ready += IsOutdated(machines.at(number)) ? 0 : 1;
  view.starting = static_cast<std::int32_t>(profile.starting.size());
  view.machine_mib = profile.profile.memory_mib;
  if (now.mono_us < profile.may_start_us) {
    view.startable = 0;
  } else if (profile.shells > 0 || ShellsComeAndGo(profile)) {
    view.startable = std::max(0, profile.shells - ShellsForRequests(profile.shells_asked));
    const bool held = view.startable == 0 && view.ready + view.starting < view.target;
    if (!held) {
      profile.held_since_us = 0;
    } else if (profile.held_since_us == 0) {
      profile.held_since_us = now.mono_us;
    } else if (now.mono_us - profile.held_since_us > kRefillHeldMs * kMicrosPerMilli) {
      view.startable = 1;  // shells do not come back: what there is has to do
    }
  }
  return view;
}

// What is outdated goes as its replacement comes, or at once where there is no room for both; what was more than the
// target for a while goes one by one, the oldest first.
void Core::State::Shrink(ProfileState& profile, std::int32_t target) {
  std::int32_t outdated = 0;
  std::uint64_t oldest_outdated = 0;
  for (const auto number : profile.warm) {
    if (!IsOutdated(machines.at(number))) continue;
    if (outdated++ == 0) oldest_outdated = number;
  }
  const auto ready = static_cast<std::int32_t>(profile.warm.size());
  const bool no_room = FreeMib() < profile.profile.memory_mib && freeing_mib == 0 && profile.starting.empty();
  if (outdated > 0 && (ready > target || no_room)) {
    return Destroy(machines.at(oldest_outdated), MachineState::kDraining, "outdated");
  }
  if (ready + static_cast<std::int32_t>(profile.starting.size()) <= target || ready == 0) {
    profile.surplus_since_us = 0;
  } else if (profile.surplus_since_us == 0) {
    profile.surplus_since_us = now.mono_us;
  } else if (now.mono_us - profile.surplus_since_us > kSurplusMs * kMicrosPerMilli) {
    profile.surplus_since_us = now.mono_us;
    Destroy(machines.at(*profile.warm.begin()), MachineState::kDraining, "more than the target");
  }
}

void Core::State::Refill() {
  KeepEnoughShells();
  if (draining) return;
  std::vector<PoolView> pools;
  for (auto& profile : profiles) {
    const auto target = profile.demand.Target(profile.profile.pool_min, profile.profile.pool_max, now);
    Shrink(profile, target);
    pools.push_back(View(profile, target));
  }
  if (starved || shortage.memory) return;
  std::int32_t slots = settings.concurrent_starts - starting;
  if (shortage.cpu) slots = std::min(slots, 1 - starting);
  for (const auto profile : PlanRefill(std::move(pools), slots, FreeMib())) Start(profile, UserId());
}

}  // namespace hearth::executor
