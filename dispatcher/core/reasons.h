// Why what waits is not offered, and what has to happen before it is: one table. A lane that cannot be placed sleeps
// under its reason, costs nothing meanwhile, and is looked at again only after one of the events in its row.
//
// That a record waits for its order key, its function or its partition is no reason here: such a record is in no lane
// yet (stages.h).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "schemas/table.h"

namespace hearth::dispatcher {

enum class Reason : std::uint8_t {
  kUserCap,      // the user has as many placed as one user may
  kFunctionCap,  // so many of the function are placed as it allows
  kShare,        // others wait, and the user holds its share; of attempts that take long
  kReserve,      // what is left is kept for others; of attempts that take long
  kClaim,        // whether an idle container may be counted on is being asked for
  kRefused,      // an executor has just refused an attempt of the user, which would have waited for a machine there
  kMachine,      // nothing of the user's own is free, and no executor takes on one more that waits for a machine
  kPlace,        // no executor takes one of that kind and size now; the filter says why (places.h)
};

enum class Happening : std::uint8_t {
  kGivenBack,        // an attempt of the user is placed no more
  kDeployed,         // the function was deployed or removed
  kLearnt,           // how long a run of the function took
  kClaimAnswered,    // about a container of the user
  kSlotsTold,        // a container of the user has changed
  kShared,           // whether other dispatchers hold records of the user too
  kPauseOver,        // by time: what was waited for has not come
  kFewerWant,        // a user has nothing more to place
  kExecutorChanged,  // what one can take: its credit, standing or profiles, an attempt less; by time too, when it
                     // cooled
};
constexpr std::size_t kHappenings = 9;

constexpr std::uint32_t Bit(Happening happening) {
  return std::uint32_t{1} << static_cast<std::uint32_t>(happening);
}
template <class... All>
constexpr std::uint32_t AnyOf(All... all) {
  return (Bit(all) | ...);
}

struct ReasonRow {
  Reason reason;
  std::string_view name;  // as `hearth why` tells it
  std::uint32_t ended_by;
};

inline constexpr std::array kReasons = {
    ReasonRow{Reason::kUserCap, "user_cap", AnyOf(Happening::kGivenBack)},
    ReasonRow{Reason::kFunctionCap, "function_cap", AnyOf(Happening::kGivenBack, Happening::kDeployed)},
    ReasonRow{Reason::kShare, "share",
              AnyOf(Happening::kGivenBack, Happening::kLearnt, Happening::kFewerWant, Happening::kExecutorChanged)},
    ReasonRow{Reason::kReserve, "reserve", AnyOf(Happening::kLearnt, Happening::kExecutorChanged)},
    ReasonRow{Reason::kClaim, "claim",
              AnyOf(Happening::kClaimAnswered, Happening::kSlotsTold, Happening::kShared, Happening::kPauseOver,
                    Happening::kDeployed)},
    ReasonRow{Reason::kRefused, "no_machine",
              AnyOf(Happening::kSlotsTold, Happening::kExecutorChanged, Happening::kPauseOver, Happening::kDeployed)},
    ReasonRow{Reason::kMachine, "waiting_room",
              AnyOf(Happening::kGivenBack, Happening::kSlotsTold, Happening::kExecutorChanged, Happening::kDeployed)},
    ReasonRow{Reason::kPlace, "", AnyOf(Happening::kExecutorChanged, Happening::kDeployed)},
};

constexpr bool Ends(Happening happening, Reason reason) {
  return (kReasons.at(static_cast<std::size_t>(reason)).ended_by & Bit(happening)) != 0;
}

// Every reason has a row in its place and ends some time, and nothing happens for nothing.
constexpr bool ReasonsAreComplete() {
  std::uint32_t all = 0;
  for (const ReasonRow& row : kReasons) {
    if (row.ended_by == 0) return false;
    all |= row.ended_by;
  }
  return RowsInOrder(kReasons, &ReasonRow::reason) && all == (std::uint32_t{1} << kHappenings) - 1 &&
         kReasons.size() == static_cast<std::size_t>(Reason::kPlace) + 1 &&
         static_cast<std::size_t>(Happening::kExecutorChanged) + 1 == kHappenings;
}
static_assert(ReasonsAreComplete());

}  // namespace hearth::dispatcher
