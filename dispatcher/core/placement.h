// On which executor an attempt should run: a list of named filters, then a list of named ranks, over plain data. The
// answer names the constraint that decided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "schemas/link.h"
#include "schemas/result.h"

namespace hearth::dispatcher {

// The last filter: further attempts that may wait for a machine. It alone depends on what the user has.
inline constexpr std::string_view kWaitingRoom = "waiting_room";

struct Wanted {
  UserId user;
  std::int32_t memory_mib = 0;
};

// One executor as seen for one wanted attempt. What earlier placements have promised away is already taken off.
struct Candidate {
  ExecutorId executor;
  bool link_up = false;
  bool suspect = false;
  bool draining = false;
  bool cooling = false;  // refused such an attempt a moment ago
  bool has_profile = false;
  bool has_runtime = true;       // false: its machines of the profile are known to lack the runtime
  std::int32_t largest_mib = 0;  // container that one of its machines can hold at all; 0: not known
  std::int32_t free_credit = 0;
  std::int32_t waiting_room = link::kAnyWaitingRoom;  // further attempts of the user that may wait for a machine
  std::int32_t idle_containers = 0;                   // of this function version, for the user
  bool code_cached = false;                           // a machine of the user holds the code, and has room
  std::int32_t machine_room_mib = 0;                  // largest room in a machine of the user; 0: no machine
  std::int32_t pool_ready = 0;
  std::int32_t shells = 0;
  std::int32_t can_start = 0;
  std::int32_t held = 0;  // attempts it holds
};

struct Placement {
  std::optional<ExecutorId> executor;
  StartPath expected = StartPath::kNone;  // kNone: it will have to make room, or have the attempt wait
  std::string_view constraint;            // the filter that left nobody, or the rank that decided
  std::int32_t fit = 0;                   // candidates that passed every filter
};

// What one candidate was worth, for the decision log.
struct ConsideredCandidate {
  ExecutorId executor;
  std::string_view failed;  // the first filter that it does not pass; empty: none
  StartPath path = StartPath::kNone;
  std::uint64_t rendezvous = 0;  // higher is preferred
  std::int32_t held = 0;
  std::int32_t free_credit = 0;
};

// Whether an attempt that takes the path waits for a machine first, or for room in one.
[[nodiscard]] constexpr bool WaitsForMachine(StartPath path) {
  return path == StartPath::kRestore || path == StartPath::kBoot || path == StartPath::kNone;
}

// The start path that an executor would take, by what is known of it.
StartPath ExpectedPath(const Wanted& wanted, const Candidate& candidate);

// The weight of an executor for a user: rendezvous hashing, so that a user's warmth stays together.
std::uint64_t RendezvousWeight(const UserId& user, const ExecutorId& executor);

// Pure; the order of `candidates` does not matter.
Placement Place(const Wanted& wanted, const std::vector<Candidate>& candidates);

// The same answer without a look at every executor where the user's own warmth decides: `own` are those executors that
// hold something of the user, and no other one can offer a path that needs it. `all` is called only where `own` offers
// none. (That the others exist and what they fail on is then not known: the rank that decided is "path".)
Placement PlaceWarmFirst(const Wanted& wanted, const std::vector<Candidate>& own, bool others,
                         const std::function<const std::vector<Candidate>&()>& all);

// At most `most` of them, the chosen one always among them; in the order given.
std::vector<ConsideredCandidate> Consider(const Wanted& wanted, const std::vector<Candidate>& candidates,
                                          const std::optional<ExecutorId>& chosen, std::size_t most);

}  // namespace hearth::dispatcher
