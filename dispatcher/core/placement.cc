#include "dispatcher/core/placement.h"

#include <algorithm>
#include <array>
#include <string>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace hearth::dispatcher {
namespace {

struct Filter {
  std::string_view name;
  bool (*passes)(const Wanted&, const Candidate&);
};
constexpr std::array kFilters{
    Filter{"link_up", [](const Wanted&, const Candidate& c) { return c.link_up; }},
    Filter{"healthy", [](const Wanted&, const Candidate& c) { return !c.suspect; }},
    Filter{"not_draining", [](const Wanted&, const Candidate& c) { return !c.draining; }},
    Filter{"profile", [](const Wanted&, const Candidate& c) { return c.has_profile; }},
    Filter{"runtime", [](const Wanted&, const Candidate& c) { return c.has_runtime; }},
    // Memory that is taken now does not refuse: idle machines make room, or the attempt waits for what comes free.
    Filter{"memory",
           [](const Wanted& w, const Candidate& c) { return c.largest_mib == 0 || w.memory_mib <= c.largest_mib; }},
    Filter{"not_cooling", [](const Wanted&, const Candidate& c) { return !c.cooling; }},
    Filter{"credit", [](const Wanted&, const Candidate& c) { return c.free_credit > 0; }},
    Filter{kWaitingRoom, [](const Wanted& w,
                            const Candidate& c) { return c.waiting_room > 0 || !WaitsForMachine(ExpectedPath(w, c)); }},
};

bool Offers(const Candidate& candidate, StartPath path, const Wanted& wanted) {
  const bool room = candidate.machine_room_mib >= std::max(1, wanted.memory_mib);
  switch (path) {
    case StartPath::kNone: return true;
    case StartPath::kContainer: return candidate.idle_containers > 0;
    case StartPath::kCached: return room && candidate.code_cached;
    case StartPath::kMachine: return room;
    case StartPath::kPool: return candidate.pool_ready > 0;
    case StartPath::kRestore: return candidate.shells > 0;
    case StartPath::kBoot: return candidate.can_start > 0;
  }
  return false;
}

// Lower is better.
struct Rank {
  std::string_view name;
  std::uint64_t (*cost)(const Wanted&, const Candidate&);
};
constexpr std::array kRanks{
    Rank{"path",
         [](const Wanted& wanted, const Candidate& c) -> std::uint64_t { return RowOf(ExpectedPath(wanted, c)).rank; }},
    Rank{"rendezvous",
         [](const Wanted& wanted, const Candidate& c) { return ~RendezvousWeight(wanted.user, c.executor); }},
    Rank{"pack", [](const Wanted&, const Candidate& c) { return ~static_cast<std::uint64_t>(c.held); }},
};

}  // namespace

StartPath ExpectedPath(const Wanted& wanted, const Candidate& candidate) {
  StartPath best = StartPath::kNone;
  for (const StartPathRow& row : kStartPaths) {
    if (row.rank < RowOf(best).rank && Offers(candidate, row.path, wanted)) best = row.path;
  }
  return best;
}

std::uint64_t RendezvousWeight(const UserId& user, const ExecutorId& executor) {
  const std::uint64_t seed = XXH3_64bits(user.value.data(), user.value.size());
  return XXH3_64bits_withSeed(executor.value.data(), executor.value.size(), seed);
}

Placement Place(const Wanted& wanted, const std::vector<Candidate>& candidates) {
  std::vector<const Candidate*> left;
  left.reserve(candidates.size());
  for (const Candidate& candidate : candidates) left.push_back(&candidate);
  if (left.empty()) return {std::nullopt, StartPath::kNone, "no_executor", 0};

  for (const Filter& filter : kFilters) {
    std::erase_if(left, [&](const Candidate* c) { return !filter.passes(wanted, *c); });
    if (left.empty()) return {std::nullopt, StartPath::kNone, filter.name, 0};
  }

  const auto fit = static_cast<std::int32_t>(left.size());
  std::string_view decided = "only_one";
  for (const Rank& rank : kRanks) {
    if (left.size() == 1) break;
    std::uint64_t best = ~std::uint64_t{0};
    for (const Candidate* c : left) best = std::min(best, rank.cost(wanted, *c));
    const std::size_t before = left.size();
    std::erase_if(left, [&](const Candidate* c) { return rank.cost(wanted, *c) != best; });
    if (left.size() < before) decided = rank.name;
  }
  const Candidate* chosen = *std::min_element(
      left.begin(), left.end(), [](const Candidate* a, const Candidate* b) { return a->executor < b->executor; });
  if (left.size() > 1) decided = "id";
  return {chosen->executor, ExpectedPath(wanted, *chosen), decided, fit};
}

Placement PlaceWarmFirst(const Wanted& wanted, const std::vector<Candidate>& own, bool others,
                         const std::function<const std::vector<Candidate>&()>& all) {
  if (!own.empty()) {
    Placement placement = Place(wanted, own);
    if (placement.executor && RowOf(placement.expected).users_own) {
      if (others && placement.fit == 1) placement.constraint = "path";
      return placement;
    }
  }
  return Place(wanted, all());
}

std::vector<ConsideredCandidate> Consider(const Wanted& wanted, const std::vector<Candidate>& candidates,
                                          const std::optional<ExecutorId>& chosen, std::size_t most) {
  std::vector<ConsideredCandidate> considered;
  considered.reserve(std::min(most, candidates.size()));
  std::size_t room = most;
  bool owed = chosen.has_value();  // one place is kept for it
  for (const Candidate& c : candidates) {
    const bool is_chosen = chosen && c.executor == *chosen;
    if (!is_chosen && room <= (owed ? 1U : 0U)) continue;
    if (is_chosen) owed = false;
    const auto failed =
        std::find_if(kFilters.begin(), kFilters.end(), [&](const Filter& filter) { return !filter.passes(wanted, c); });
    considered.push_back({c.executor, failed == kFilters.end() ? std::string_view() : failed->name,
                          ExpectedPath(wanted, c), RendezvousWeight(wanted.user, c.executor), c.held, c.free_credit});
    if (--room == 0) break;
  }
  return considered;
}

}  // namespace hearth::dispatcher
