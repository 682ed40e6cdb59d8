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
  bool (*passes)(const Candidate&);
};
constexpr std::array kFilters{
    Filter{"link_up", [](const Candidate& c) { return c.link_up; }},
    Filter{"healthy", [](const Candidate& c) { return !c.suspect; }},
    Filter{"not_draining", [](const Candidate& c) { return !c.draining; }},
    Filter{"profile", [](const Candidate& c) { return c.has_profile; }},
    Filter{"not_cooling", [](const Candidate& c) { return !c.cooling; }},
    Filter{"credit", [](const Candidate& c) { return c.free_credit > 0; }},
};

// Lower is better.
struct Rank {
  std::string_view name;
  std::uint64_t (*cost)(const Wanted&, const Candidate&);
};
constexpr std::array kRanks{
    Rank{"path",
         [](const Wanted& wanted, const Candidate& c) -> std::uint64_t {
           const StartPath path = ExpectedPath(wanted, c);
           return path == StartPath::kNone ? 255U : static_cast<std::uint64_t>(path);
         }},
    Rank{"rendezvous",
         [](const Wanted& wanted, const Candidate& c) { return ~RendezvousWeight(wanted.user, c.executor); }},
    Rank{"pack", [](const Wanted&, const Candidate& c) { return ~static_cast<std::uint64_t>(c.held); }},
};

}  // namespace

StartPath ExpectedPath(const Wanted& wanted, const Candidate& candidate) {
  if (candidate.idle_containers > 0) return StartPath::kContainer;
  const bool room = candidate.instance_room_mib >= std::max(1, wanted.memory_mib);
  if (room && candidate.code_cached) return StartPath::kCached;
  if (room) return StartPath::kInstance;
  if (candidate.pool_ready > 0) return StartPath::kPool;
  if (candidate.shells > 0) return StartPath::kRestore;
  if (candidate.can_start > 0) return StartPath::kBoot;
  return StartPath::kNone;
}

std::uint64_t RendezvousWeight(const UserId& user, const ExecutorId& executor) {
  const std::uint64_t seed = XXH3_64bits(user.value.data(), user.value.size());
  return XXH3_64bits_withSeed(executor.value.data(), executor.value.size(), seed);
}

Placement Place(const Wanted& wanted, const std::vector<Candidate>& candidates) {
  std::vector<const Candidate*> left;
  left.reserve(candidates.size());
  for (const Candidate& candidate : candidates) left.push_back(&candidate);
  if (left.empty()) return {std::nullopt, StartPath::kNone, "no_executor"};

  for (const Filter& filter : kFilters) {
    std::erase_if(left, [&filter](const Candidate* c) { return !filter.passes(*c); });
    if (left.empty()) return {std::nullopt, StartPath::kNone, filter.name};
  }

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
  return {chosen->executor, ExpectedPath(wanted, *chosen), decided};
}

}  // namespace hearth::dispatcher
