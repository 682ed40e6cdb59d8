// The life of an invocation in the dispatcher: its stages, and one function that knows every legal move.
//
//   arrived ──▶ keyed, no_function, queued, backoff ◀──┐     these wait, and may follow each other
//      │                       │                       │
//      │                       ▼                       │
//      │                     placed ───────────────────┘     refused, failed or lost: it waits again
//      │                       │
//      └───────▶ producing ◀───┘                             its last records are written; from every stage before
//                 │  ▲  │
//                 │  │  └──▶ produce_backoff                 one of them failed, and is sent again later
//                 │  └──────────────┘
//                 ▼
//               gone                                         complete; or forgotten with its partition, from any stage
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hearth::dispatcher {

enum class Stage : std::uint8_t {
  kArrived,         // nothing was decided about it yet
  kKeyed,           // waits for its turn within its order key
  kNoFunction,      // waits for the registry
  kQueued,          // waits for a place, or for its partition to settle
  kBackoff,         // a try failed: waits for the next
  kPlaced,          // an executor has it
  kProducing,       // its last records are on their way
  kProduceBackoff,  // one of them failed
  kGone,            // complete, or forgotten
};
constexpr std::size_t kStages = 9;

[[nodiscard]] bool CanMove(Stage from, Stage to);
[[nodiscard]] std::string_view StageName(Stage stage);  // "arrived", "keyed", …

// It waits for a place, whatever keeps it from one.
[[nodiscard]] bool Waits(Stage stage);
// What it answers is decided.
[[nodiscard]] bool Produces(Stage stage);

}  // namespace hearth::dispatcher
