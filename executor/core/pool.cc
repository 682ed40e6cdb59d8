// Targets follow what was taken; refill goes to the emptiest pool first.
#include "executor/core/pool.h"

#include <algorithm>

namespace hearth::executor {
namespace {
constexpr std::size_t kMaxRememberedTakes = 4096;
}

void PoolDemand::Taken(std::int64_t now_us) {
  taken_us_.push_back(now_us);
  if (taken_us_.size() > kMaxRememberedTakes) taken_us_.pop_front();
}

void PoolDemand::Started(std::int64_t took_us) {
  start_us_ = start_us_ == 0 ? took_us : (start_us_ * 7 + took_us) / 8;
}

std::int32_t PoolDemand::Target(std::int64_t now_us) {
  while (!taken_us_.empty() && taken_us_.front() < now_us - kDemandWindowMs * 1000) taken_us_.pop_front();
  const auto taken = static_cast<std::int64_t>(taken_us_.size());
  const std::int64_t expected = (taken * 2 * start_us_ + kDemandWindowMs * 1000 - 1) / (kDemandWindowMs * 1000);
  return static_cast<std::int32_t>(std::min<std::int64_t>(max_, min_ + expected));
}

std::vector<std::size_t> PlanRefill(std::vector<PoolView> pools, std::int32_t slots, std::int32_t free_mib) {
  std::vector<std::size_t> plan;
  while (slots > 0) {
    std::size_t best = pools.size();
    std::int32_t best_missing = 0;
    for (std::size_t i = 0; i < pools.size(); ++i) {
      const PoolView& pool = pools[i];
      const std::int32_t missing = pool.target - pool.ready - pool.starting;
      if (!pool.may_start || pool.machine_mib > free_mib || missing <= best_missing) continue;
      best = i;
      best_missing = missing;
    }
    if (best == pools.size()) break;
    plan.push_back(best);
    ++pools[best].starting;
    free_mib -= pools[best].machine_mib;
    --slots;
  }
  return plan;
}

std::int64_t StartBackoffMs(std::int32_t failures) {
  if (failures <= 0) return 0;
  const std::int64_t wait = kStartBackoffMinMs << std::min(failures - 1, 16);
  return std::min(wait, kStartBackoffMaxMs);
}

}  // namespace hearth::executor
