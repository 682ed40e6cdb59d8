// What the pools decide: which machines and shells are started, and which machines are given up.
#include <algorithm>
#include <utility>

#include "executor/core/pools.h"

namespace hearth::executor {

void Pools::Start(std::size_t profile, const UserId& meant_for) {
  Pool& pool = pools_[profile];
  const bool activates = pool.shells > 0 && !meant_for.empty();
  const auto limit_ms = StartLimitMs(context_.settings().start_timeout_ms, pool.failures);
  const Machine& machine = machines_.Add(profile, meant_for, pool.image, activates, limit_ms);
  pool.shells = std::max(0, pool.shells - 1);  // the machine takes one where one waits
  pool.held_since_us = 0;
  context_.Emit(StartMachine{machine.id(), pool.profile.name, meant_for.empty()});
}

void Pools::Refill(bool starved) {
  KeepEnoughShells();
  if (context_.draining()) return;
  std::vector<PoolView> views;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    const Profile& profile = pools_[i].profile;
    const auto target = pools_[i].demand.Target(profile.pool_min, profile.pool_max, context_.now());
    Shrink(i, target);
    views.push_back(View(i, target));
  }
  if (starved || shortage_.memory()) return;
  const auto starting = machines_.index().starting();
  std::int32_t slots = context_.settings().concurrent_starts - starting;
  if (shortage_.cpu()) slots = std::min(slots, 1 - starting);
  for (const auto profile : PlanRefill(std::move(views), slots, machines_.FreeMib())) Start(profile, UserId());
}

// Shells get what memory the machines leave, and nothing where the host is short of it.
void Pools::KeepEnoughShells() {
  std::int32_t room = context_.draining() || shortage_.memory() ? 0 : machines_.FreeMib() / kShellMib;
  for (Pool& pool : pools_) {
    const auto wanted = std::min(pool.profile.shells, room);
    room -= wanted;
    if (wanted != std::exchange(pool.shells_asked, wanted)) context_.Emit(KeepShells{pool.profile.name, wanted});
  }
}

// What is outdated goes as its replacement comes, or at once where there is no room for both. What was more than the
// target for a while goes one by one, the oldest first.
void Pools::Shrink(std::size_t profile, std::int32_t target) {
  Pool& pool = pools_[profile];
  const auto& warm = machines_.index().Warm(profile);
  const auto& starting = machines_.index().Starting(profile);
  const auto outdated = std::ranges::find_if(warm, [&](auto number) { return IsOutdated(machines_.Get(number)); });
  const auto ready = static_cast<std::int32_t>(warm.size());
  const bool no_room =
      machines_.FreeMib() < pool.profile.memory_mib && machines_.index().freeing_mib() == 0 && starting.empty();
  if (outdated != warm.end() && (ready > target || no_room)) {
    return machines_.Drain(machines_.Get(*outdated), "outdated");
  }
  if (ready + static_cast<std::int32_t>(starting.size()) <= target || ready == 0) {
    pool.surplus_since_us = 0;
  } else if (pool.surplus_since_us == 0) {
    pool.surplus_since_us = context_.now_us();
  } else if (context_.now_us() - pool.surplus_since_us > kSurplusMs * kMicrosPerMilli) {
    pool.surplus_since_us = context_.now_us();
    machines_.Drain(machines_.Get(*warm.begin()), "more than the target");
  }
}

PoolView Pools::View(std::size_t profile, std::int32_t target) {
  Pool& pool = pools_[profile];
  const MachineIndex& index = machines_.index();
  PoolView view;
  view.target = shortage_.cpu() ? std::min(target, pool.profile.pool_min) : target;
  for (const auto number : index.Warm(profile)) view.ready += IsOutdated(machines_.Get(number)) ? 0 : 1;
  view.starting = static_cast<std::int32_t>(index.Starting(profile).size());
  view.machine_mib = pool.profile.memory_mib;
  if (context_.now_us() < pool.may_start_us) {
    view.startable = 0;
  } else if (pool.shells > 0 || ShellsComeAndGo(pool)) {
    view.startable = std::max(0, pool.shells - ShellsForRequests(pool.shells_asked));
    const bool held = view.startable == 0 && view.ready + view.starting < view.target;
    if (!held) {
      pool.held_since_us = 0;
    } else if (pool.held_since_us == 0) {
      pool.held_since_us = context_.now_us();
    } else if (context_.now_us() - pool.held_since_us > kRefillHeldMs * kMicrosPerMilli) {
      view.startable = 1;  // shells do not come back: what there is has to do
    }
  }
  return view;
}

bool Pools::IsOutdated(const Machine& machine) const {
  return machine.image() != pools_[machine.profile()].image;
}

bool Pools::ShellsComeAndGo(const Pool& pool) const {
  return pool.shells_asked > 0 && context_.now_us() - pool.shells_seen_us < kShellsTrustMs * kMicrosPerMilli;
}

}  // namespace hearth::executor
