// One function for each rung, in the order of the ladder.
#include "executor/core/choose.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace hearth::executor {
namespace {

// The machine with the least room that fits, so that others can drain; the oldest of equals.
const OwnMachine* Tightest(std::int32_t need_mib, const std::vector<OwnMachine>& own, bool holds_code) {
  const OwnMachine* best = nullptr;
  for (const OwnMachine& machine : own) {
    if (machine.holds_code != holds_code || machine.free_mib < need_mib) continue;
    if (best == nullptr || std::tie(machine.free_mib, machine.number) < std::tie(best->free_mib, best->number)) {
      best = &machine;
    }
  }
  return best;
}

// Fewest regrets: the machine whose last container to go is retired or has been idle longest.
std::optional<Choice> EvictContainers(std::int32_t need_mib, const std::vector<OwnMachine>& own) {
  std::optional<Choice> best;
  std::tuple<bool, std::int64_t, std::uint64_t> best_cost{true, std::numeric_limits<std::int64_t>::max(), 0};
  for (const OwnMachine& machine : own) {
    std::vector<IdleContainer> idle = machine.idle;
    std::sort(idle.begin(), idle.end(), [](const IdleContainer& a, const IdleContainer& b) {
      return std::tuple(!a.retired, a.idle_since_us, a.number) < std::tuple(!b.retired, b.idle_since_us, b.number);
    });
    std::int32_t room = machine.free_mib + machine.freeing_mib;
    std::vector<std::uint32_t> removed;
    for (const IdleContainer& container : idle) {
      room += container.memory_mib;
      removed.push_back(container.number);
      if (room < need_mib) continue;
      const std::tuple cost{!container.retired, container.idle_since_us, machine.number};
      if (!best || cost < best_cost) {
        best_cost = cost;
        best = Choice{Rung::kEvictContainers,
                      machine.number,
                      removed,
                      {},
                      container.retired ? "own_retired_container" : "own_longest_idle_container"};
      }
      break;
    }
  }
  return best;
}

std::optional<Choice> EvictMachines(const House& house) {
  Choice choice{Rung::kEvictMachines, 0, {}, {}, "longest_idle_instance"};
  std::int32_t room = house.free_mib + house.freeing_mib;
  for (const Spare& spare : house.spares) {
    room += spare.memory_mib;
    choice.machines.push_back(spare.number);
    if (room >= house.machine_mib) return choice;
  }
  return std::nullopt;
}

}  // namespace

Choice Choose(std::int32_t need_mib, const std::vector<OwnMachine>& own, const House& house) {
  if (const OwnMachine* at = Tightest(need_mib, own, true)) return {Rung::kCached, at->number, {}, {}, "code_cached"};
  if (const OwnMachine* at = Tightest(need_mib, own, false))
    return {Rung::kMachine, at->number, {}, {}, "own_instance"};
  for (const OwnMachine& machine : own) {
    if (machine.freeing_mib > 0 && machine.free_mib + machine.freeing_mib >= need_mib) {
      return {Rung::kAwaitRoom, machine.number, {}, {}, "own_memory_coming_free"};
    }
  }
  if (house.pool) return {Rung::kPool, *house.pool, {}, {}, "pool"};
  if (house.awaited_mib >= need_mib) return {Rung::kAwaitMachine, 0, {}, {}, "own_machine_starting"};
  // A shell answers before what the pool has started, which warms up first.
  const bool fits = house.free_mib >= house.machine_mib;
  if (fits && house.shells > 0 && house.may_activate) return {Rung::kRestore, 0, {}, {}, "shell"};
  if (house.starting > 0) return {Rung::kAwaitMachine, 0, {}, {}, "machine_starting"};
  if (fits && house.shell_coming) return {Rung::kAwaitShell, 0, {}, {}, "shell_coming"};
  if (fits && house.shells == 0 && house.may_start) return {Rung::kStart, 0, {}, {}, "memory_for_machine"};
  if (!fits && house.freeing_mib > 0 && house.free_mib + house.freeing_mib >= house.machine_mib) {
    return {Rung::kAwaitMemory, 0, {}, {}, "host_memory_coming_free"};
  }
  if (!fits) {
    if (auto choice = EvictContainers(need_mib, own)) return *choice;
    if (house.may_start || (house.shells > 0 && house.may_activate)) {
      if (auto choice = EvictMachines(house)) return *choice;
    }
  }
  return {Rung::kWait, 0, {}, {}, fits ? "starts_bounded" : "memory_full"};
}

std::string_view RungName(Rung rung) {
  switch (rung) {
    case Rung::kContainer: return "container";
    case Rung::kAwaitCheck: return "await_check";
    case Rung::kCached: return "cached";
    case Rung::kMachine: return "instance";
    case Rung::kAwaitRoom: return "await_room";
    case Rung::kPool: return "pool";
    case Rung::kAwaitMachine: return "await_machine";
    case Rung::kRestore: return "restore";
    case Rung::kAwaitShell: return "await_shell";
    case Rung::kStart: return "start";
    case Rung::kAwaitMemory: return "await_memory";
    case Rung::kEvictContainers: return "evict_containers";
    case Rung::kEvictMachines: return "evict_instances";
    case Rung::kWait: return "wait";
  }
  return "unknown";
}

}  // namespace hearth::executor
