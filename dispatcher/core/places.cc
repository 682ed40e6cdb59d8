#include "dispatcher/core/places.h"

#include <algorithm>

#include "dispatcher/core/check.h"

namespace hearth::dispatcher {

Places::Kind Places::KindOf(const std::string& profile, Runtime runtime) {
  const auto [found, is_new] = numbers_.try_emplace({profile, runtime}, static_cast<Kind>(kinds_.size()));
  if (is_new) {
    kinds_.emplace_back();
    kinds_.back().profile = profile;
    kinds_.back().runtime = runtime;
  }
  return found->second;
}

void Places::Count(const Part& part, std::int32_t by) {
  executors_[static_cast<std::size_t>(part.standing)] += by;
  credit_ += by * part.credit;
  waiting_ += by * part.waiting;
  for (std::size_t i = 0; i < kRequestClasses; ++i) held_[i] += by * part.held[i];
  for (const Line& line : part.lines) {
    PerKind& kind = kinds_.at(line.kind);
    Sizes& sizes = kind.sizes.at(static_cast<std::size_t>(line.standing));
    const auto at = sizes.try_emplace(line.largest_mib, 0).first;
    at->second += by;
    Check(at->second >= 0, "an executor is taken out that was not counted", line.largest_mib);
    if (at->second == 0) sizes.erase(at);
    std::int32_t possible = 0;
    for (const Sizes& each : kind.sizes) possible = each.empty() ? possible : std::max(possible, each.rbegin()->first);
    if (std::exchange(kind.possible_mib, possible) != possible) ++version_;
  }
}

bool Places::IsOffered(Kind kind) const {
  return std::max({Largest(kind, Standing::kFree), Largest(kind, Standing::kFull), Largest(kind, Standing::kCooling)}) >
         0;
}

// The filters go from left to right, and each executor falls at one of them: the one at which the last falls decides.
std::string_view Places::WhyNot(Kind kind, std::int32_t memory_mib) const {
  if (Fits(kind, memory_mib)) return {};
  if (memory_mib <= Largest(kind, Standing::kFull)) return "credit";
  if (memory_mib <= Largest(kind, Standing::kCooling)) return "not_cooling";
  if (IsOffered(kind)) return "memory";
  for (const RuntimeRow& row : kRuntimes) {
    const auto other = numbers_.find({kinds_[kind].profile, row.runtime});
    if (other != numbers_.end() && IsOffered(other->second)) return "runtime";
  }
  const auto any = [&](Standing standing) { return executors_[static_cast<std::size_t>(standing)] > 0; };
  if (any(Standing::kFree) || any(Standing::kFull)) return "profile";
  if (any(Standing::kDraining)) return "not_draining";
  if (any(Standing::kSuspect)) return "healthy";
  return any(Standing::kLinkDown) ? "link_up" : "no_executor";
}

}  // namespace hearth::dispatcher
