// The steps in which the way of a profile's machines is found (ways.h). One enumeration, and one function that knows
// every legal move. One profile is tried at a time.
//
//   kQueued ──▶ kDescribing ──▶ kLoading ──found────────────────────────▶ kTrying ──HELLO──▶ kInUse
//                                  │ none                                  ▲   │
//                                  ▼                                       │   │ what was found does not come up
//                               kMaking ──saved──▶ kKeeping ───────────────┘   │
//                                  ▲  └─busy host─┐                            │
//                                  └──────────────┴────────────────────────────┘
//
//   any of them ──the way is refused──▶ kDescribing, with the next way
//   kQueued, or any ──no way is left──▶ kInUse: machines are booted
//   kInUse ──it failed in use, or what was refused is tried again──▶ kQueued
#pragma once

#include <cstdint>
#include <string_view>

namespace hearth::executor {

enum class WayStep : std::uint8_t {
  kQueued,      // others are tried, or nothing is yet
  kDescribing,  // what a saved machine depends on here and now is asked for
  kLoading,     // what an earlier life of the executor has kept is looked for, and verified
  kMaking,      // a machine is booted and saved
  kKeeping,     // what was saved is sealed, and copied for the next life
  kTrying,      // a machine made from it has to say HELLO
  kInUse,       // the way is decided: the profile's machines come up by it
};
[[nodiscard]] bool CanMove(WayStep from, WayStep to);
[[nodiscard]] std::string_view StepName(WayStep step);  // "queued", "describing", …

}  // namespace hearth::executor
