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

void Pools::Refill(Starved starved) {
  KeepEnoughShells();
  if (context_.draining()) return;
  const auto kept = Kept();
  std::vector<PoolView> views;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    const Profile& profile = pools_[i].profile;
    const auto target = pools_[i].demand.Target(profile.pool_min, profile.pool_max, context_.now());
    Shrink(i, target);
    views.push_back(View(i, starved == Starved::kHolder ? std::min(target, kept[i]) : target));
  }
  if (shortage_.memory()) return;
  Reclaim(kept);
  if (starved == Starved::kNewcomer) return;
  const auto starting = machines_.index().starting();
  std::int32_t slots = context_.settings().concurrent_starts - starting;
  if (shortage_.cpu()) slots = std::min(slots, 1 - starting);
  for (const auto profile : PlanRefill(std::move(views), slots, machines_.FreeMib())) Start(profile, UserId());
}

std::vector<std::int32_t> Pools::Kept() const {
  std::vector<PoolMinimum> minimums;
  minimums.reserve(pools_.size());
  for (const Pool& pool : pools_) minimums.push_back({pool.profile.pool_min, pool.profile.memory_mib});
  return KeptMachines(minimums, context_.settings().memory_mib);
}

std::int32_t Pools::Lacks(std::size_t profile, std::int32_t kept) const {
  const MachineIndex& index = machines_.index();
  const auto there = index.Warm(profile).size() + index.Starting(profile).size();
  return std::max(0, kept - static_cast<std::int32_t>(there));
}

std::int32_t Pools::OwedMib() const {
  const auto kept = Kept();
  std::int32_t owed_mib = 0;
  for (std::size_t i = 0; i < pools_.size(); ++i) owed_mib += Lacks(i, kept[i]) * pools_[i].profile.memory_mib;
  return owed_mib;
}

bool Pools::MaySpare(std::size_t profile) const {
  const MachineIndex& index = machines_.index();
  const auto there = static_cast<std::int32_t>(index.Warm(profile).size() + index.Starting(profile).size());
  const std::int32_t owed_mib = OwedMib() + (there > Kept()[profile] ? 0 : pools_[profile].profile.memory_mib);
  return machines_.FreeMib() + index.freeing_mib() >= owed_mib;
}

SpareQuery Pools::SparesFor(std::size_t profile, bool holds, std::int32_t missing_mib) const {
  SpareQuery query{.missing_mib = missing_mib, .keep = Kept()};
  query.keep[profile] = kMaxPool;  // who could take one of the profile itself has done so
  if (holds) {
    query.several_idle_ms = kSeveralIdleMs;
    query.only_idle_ms = kOnlyIdleMs;
  } else {
    query.keep_at_last.assign(pools_.size(), 0);
    query.keep_at_last[profile] = kMaxPool;
  }
  return query;
}

// Makes room for what pools lack of what they keep, ahead of those who will ask for it. What is only idle for a moment
// is not taken: a house that is too small for all who use it leaves them their machines.
void Pools::Reclaim(const std::vector<std::int32_t>& kept) {
  std::int32_t room_mib = machines_.FreeMib() + machines_.index().freeing_mib();
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    if (context_.now_us() < pools_[i].may_start_us) continue;  // nothing of it is started for the time being
    const std::int32_t machine_mib = pools_[i].profile.memory_mib;
    for (auto lacks = Lacks(i, kept[i]); lacks > 0; --lacks) {
      if (room_mib < machine_mib) {
        const auto spares = machines_.Spares({.missing_mib = machine_mib - room_mib,
                                              .keep = kept,
                                              .several_idle_ms = kSeveralIdleMs,
                                              .only_idle_ms = kOnlyIdleMs});
        std::int32_t given_mib = 0;
        for (const Spare& spare : spares) given_mib += spare.memory_mib;
        if (room_mib + given_mib < machine_mib) return;  // the next profile's would be made of what this one waits for
        for (const Spare& spare : spares) machines_.Drain(machines_.Get(spare.number), "kept for the pool");
        room_mib += given_mib;
      }
      room_mib -= machine_mib;
    }
  }
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
