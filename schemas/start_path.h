// How an invocation came to its container. The table is the only place that lists the paths: numbers on the wire, names
// in replies and metrics, and the order in which the dispatcher prefers them derive from it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "schemas/table.h"

namespace hearth {

// The value is the number on the wire. A new path takes the next number, wherever it ranks.
enum class StartPath : std::uint8_t {
  kNone = 0,
  kContainer = 1,
  kCached = 2,
  kMachine = 3,
  kPool = 4,
  kRestore = 5,
  kBoot = 6,
};

struct StartPathRow {
  StartPath path;
  std::string_view name;
  std::uint8_t rank;  // the lowest is preferred; gaps leave room for a path between two others
  bool users_own;     // only an executor that already has a machine of the user can offer it
};

inline constexpr std::array kStartPaths = {
    StartPathRow{StartPath::kNone, "none", 255, false},          // nothing is warm: room has to be made, or it waits
    StartPathRow{StartPath::kContainer, "container", 10, true},  // an idle container of the function version
    StartPathRow{StartPath::kCached, "cached", 20, true},        // a new container, its code is in the machine
    StartPathRow{StartPath::kMachine, "instance", 30, true},     // a new container in a machine of the user
    StartPathRow{StartPath::kPool, "pool", 40, false},           // a machine of the pool
    StartPathRow{StartPath::kRestore, "restore", 50, false},     // a machine restored from a template
    StartPathRow{StartPath::kBoot, "boot", 60, false},           // a machine booted for it
};
static_assert(RowsInOrder(kStartPaths, &StartPathRow::path));

constexpr const StartPathRow& RowOf(StartPath path) {
  return kStartPaths.at(static_cast<std::size_t>(path));
}
constexpr std::uint8_t EnumSize(StartPath) {
  return static_cast<std::uint8_t>(kStartPaths.size());
}
constexpr std::string_view StartPathName(StartPath path) {
  return RowOf(path).name;
}
Result<StartPath> ParseStartPath(std::string_view name);

}  // namespace hearth
