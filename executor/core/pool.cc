// Targets follow what was asked for; refill goes to the emptiest pool first.
#include "executor/core/pool.h"

#include <algorithm>

#include "common/base/poisson.h"

namespace hearth::executor {
namespace {

constexpr std::int64_t kQuarterUs = 15 * 60 * kMicrosPerSecond;
constexpr std::int64_t kShortestQuarterUs = kQuarterUs / 3;  // less of one says nothing about it
constexpr std::int64_t kLongestQuarterUs = kQuarterUs * 2;   // nor does one in which nobody looked
constexpr double kWeightOfToday = 0.25;

}  // namespace

void PoolDemand::Advance(Time now) {
  const std::int64_t second = now.mono_us / kMicrosPerSecond;
  if (second_ < 0) second_ = second;
  if (second - second_ >= static_cast<std::int64_t>(kSeconds)) {
    by_second_.fill(0);
    for (auto& window : windows_) window.count = 0;
    second_ = second;
  }
  while (second_ < second) {
    ++second_;
    for (auto& window : windows_) {
      const auto gone = second_ - static_cast<std::int64_t>(window.seconds);
      if (gone >= 0) window.count -= by_second_[static_cast<std::size_t>(gone) % kSeconds];
    }
    by_second_[static_cast<std::size_t>(second_) % kSeconds] = 0;
  }
  const auto quarter = static_cast<std::size_t>(std::max<std::int64_t>(0, now.wall_us) / kQuarterUs) % kQuarters;
  if (!quarters_known_) {
    quarters_known_ = true;
    by_quarter_.fill(-1);
    quarter_ = quarter;
    quarter_since_us_ = now.mono_us;
  } else if (quarter != quarter_) {
    TurnTo(quarter, now.mono_us);
  }
}

void PoolDemand::TurnTo(std::size_t quarter, std::int64_t mono_us) {
  const auto spent_us = mono_us - quarter_since_us_;
  if (spent_us >= kShortestQuarterUs && spent_us <= kLongestQuarterUs) {
    const double rate = static_cast<double>(quarter_count_) * kMicrosPerSecond / static_cast<double>(spent_us);
    double& known = by_quarter_[quarter_];
    known = known < 0 ? rate : known + kWeightOfToday * (rate - known);
  }
  quarter_ = quarter;
  quarter_since_us_ = mono_us;
  quarter_count_ = 0;
}

void PoolDemand::Arrived(Time now) {
  Advance(now);
  ++by_second_[static_cast<std::size_t>(second_) % kSeconds];
  for (auto& window : windows_) ++window.count;
  ++quarter_count_;
}

void PoolDemand::Refilled(std::int64_t took_us) {
  refill_us_ = Average(refill_us_, took_us);
}

double PoolDemand::Rate(Time now) {
  Advance(now);
  double rate = 0;
  for (const auto& window : windows_) {
    rate = std::max(rate, static_cast<double>(window.count) / static_cast<double>(window.seconds));
  }
  // Whose refill would be over only in the next quarter has that one's demand to meet.
  const auto ahead = std::max<std::int64_t>(0, now.wall_us) + refill_us_;
  return std::max(rate, by_quarter_[static_cast<std::size_t>(ahead / kQuarterUs) % kQuarters]);
}

std::int32_t PoolDemand::Target(std::int32_t min, std::int32_t max, Time now) {
  const double expected = Rate(now) * static_cast<double>(refill_us_) / kMicrosPerSecond;
  const std::int64_t demand = PoissonQuantile(expected, kPoolPercentile, max) + std::min<std::int64_t>(backlog_, max);
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(demand, min, std::max(min, max)));
}

std::vector<std::int32_t> KeptMachines(const std::vector<PoolMinimum>& minimums, std::int32_t memory_mib) {
  std::vector<std::int32_t> kept;
  std::int32_t left_mib = memory_mib / kKeptShare;
  for (const PoolMinimum& minimum : minimums) {
    kept.push_back(std::min(minimum.machines, left_mib / minimum.machine_mib));
    left_mib -= kept.back() * minimum.machine_mib;
  }
  return kept;
}

std::vector<std::size_t> PlanRefill(std::vector<PoolView> pools, std::int32_t slots, std::int32_t free_mib) {
  std::vector<std::size_t> plan;
  while (slots > 0) {
    std::size_t best = pools.size();
    std::int32_t best_missing = 0;
    for (std::size_t i = 0; i < pools.size(); ++i) {
      const PoolView& pool = pools[i];
      const std::int32_t missing = pool.target - pool.ready - pool.starting;
      if (pool.startable <= 0 || pool.machine_mib > free_mib || missing <= best_missing) continue;
      best = i;
      best_missing = missing;
    }
    if (best == pools.size()) break;
    plan.push_back(best);
    ++pools[best].starting;
    --pools[best].startable;
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

std::int64_t StartLimitMs(std::int64_t first_ms, std::int32_t failures) {
  return first_ms * std::min(kMaxStartStretch, 1 << std::clamp(failures, 0, 16));
}

void Shortage::Update(std::int32_t memory_available_mib, std::int32_t cpu_busy_ppm) {
  memory_ = memory_available_mib < (memory_ ? kMemoryFineMib : kMemoryShortMib);
  cpu_ = cpu_busy_ppm > (cpu_ ? kCpuFinePpm : kCpuShortPpm);
}

}  // namespace hearth::executor
