// How many places one user may hold while others wait, and how many are kept free for whom. Pure functions.
//
// - *Credit* is what the executors that are connected and do not drain have told, less what other dispatchers hold
//   there: the places that this dispatcher may use or uses. Attempts that wait for a machine come on top, and are none
//   of it.
// - An attempt *takes long* if it is not expected to end within kShortMs, which nobody knows of a function of which no
//   run has ended yet. What does not take long is bound by neither share nor reserve: its place comes back at once.
// - A user *wants* a place while something of it is in the queue that some executor could take and that no cap of its
//   own holds back.
// - A *newcomer* is a user with nothing placed.
// - *Share*: while others want a place too, nobody gets a further one for an attempt that takes long beyond
//   credit / (users that want some + 1). One place everybody may hold.
// - *Reserve*: places that attempts that take long leave free, for the class `rt`, for the class `std`, and for
//   newcomers. They are places, not turns: however long batch runs take, they never hold all.
#pragma once

#include <array>
#include <cstdint>

#include "dispatcher/core/places.h"
#include "dispatcher/core/request_class.h"

namespace hearth::dispatcher {

constexpr std::int64_t kShortMs = 1000;

// Kept of the credit, each rounded down. Together they are at most half of it.
constexpr std::int64_t kNewcomersPart = 8;  // one eighth
constexpr std::int64_t kRealtimePart = 16;
constexpr std::int64_t kStandardPart = 16;

struct Reserve {
  std::int64_t newcomers = 0;
  std::int64_t realtime = 0;
  std::int64_t standard = 0;
  friend bool operator==(const Reserve&, const Reserve&) = default;
};
// `realtime`: whether anybody is granted that class.
Reserve ReserveOf(std::int64_t credit, bool realtime);

// The places beyond which a user gets no further one; `wanting` counts the user itself.
std::int64_t ShareOf(std::int64_t credit, std::int64_t wanting);

// Whether an attempt of that class that takes long leaves free what is kept for others. `held`: the places that such
// attempts hold, by class; what a class holds itself is no longer kept for it.
bool LeavesReserve(const Reserve& reserve, std::int64_t credit, const std::array<std::int64_t, kRequestClasses>& held,
                   RequestClass request_class, bool newcomer);

}  // namespace hearth::dispatcher
