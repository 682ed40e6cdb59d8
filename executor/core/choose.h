// The ladder: where a waiting attempt gets its container from. Pure functions over plain data; the first rung that
// holds is taken, and `because` names the constraint that decided.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace hearth::executor {

enum class Rung : std::uint8_t {
  kContainer,        // an idle container of this function version: looked for before the ladder
  kAwaitCheck,       // one whose run has ended is being checked: looked for before the ladder, too
  kCached,           // a new container in an own machine that holds the code
  kMachine,          // a new container in an own machine, the code is sent first
  kAwaitRoom,        // memory in an own machine is being freed already
  kPool,             // a ready machine of the pool is assigned
  kAwaitMachine,     // a machine that starts already will serve it
  kRestore,          // a waiting shell is activated for it
  kAwaitShell,       // a shell is being made, which is sooner than a boot
  kStart,            // a machine is booted for it
  kAwaitMemory,      // memory of the host is being freed already
  kEvictContainers,  // idle containers of an own machine make room
  kEvictMachines,    // idle machines are destroyed to make room
  kWait,             // nothing of that: until something comes free or the attempt expires
};
[[nodiscard]] std::string_view RungName(Rung rung);

struct IdleContainer {
  std::uint32_t number = 0;
  std::int32_t memory_mib = 0;
  std::int64_t idle_since_us = 0;
  bool retired = false;  // of a function version that is not the latest known
};

// A machine of the same user, assigned and healthy, of the profile, with the runtime.
struct OwnMachine {
  std::uint64_t number = 0;
  std::int32_t free_mib = 0;
  std::int32_t freeing_mib = 0;  // comes free without further decision
  bool holds_code = false;
  std::vector<IdleContainer> idle;
};

// A whole machine that could be given up: nothing runs in it, nothing is promised in it.
struct Spare {
  std::uint64_t number = 0;
  std::int32_t memory_mib = 0;
};

struct House {
  std::optional<std::uint64_t> pool;  // the ready machine of the profile that was taken into the pool first
  std::int32_t awaited_mib = 0;       // room left in starting machines that are meant for this user already
  std::int32_t shells = 0;            // of the profile, that wait
  bool shell_coming = false;          // one is made, and is expected before a boot would be over
  std::int32_t starting = 0;          // starting machines of the profile that are meant for nobody yet
  bool may_activate = false;          // the bounds of activations and the back-off allow it
  bool may_start = false;             // the bounds of concurrent starts and the back-off allow it
  std::int32_t machine_mib = 0;       // what a machine of the profile takes
  std::int32_t free_mib = 0;          // of the host, for this user; below 0 where more is owed to the pools
  std::int32_t freeing_mib = 0;
  std::vector<Spare> spares;  // the cheapest first
};

struct Choice {
  Rung rung = Rung::kWait;
  std::uint64_t machine = 0;              // kCached, kMachine, kAwaitRoom, kPool, kEvictContainers
  std::vector<std::uint32_t> containers;  // kEvictContainers: to be removed, longest idle first, retired before others
  std::vector<std::uint64_t> machines;    // kEvictMachines
  std::string_view because;
};

// For an attempt that finds no idle container of its function: the rung above all of these.
[[nodiscard]] Choice Choose(std::int32_t need_mib, const std::vector<OwnMachine>& own, const House& house);

}  // namespace hearth::executor
