#include "tools/hearth/pool_advice.h"

#include "common/base/poisson.h"
#include "schemas/pool_settings.h"

namespace hearth::tool {
namespace {

constexpr double kProbability = 0.99;
constexpr double kSecondsPerHour = 3600;

}  // namespace

PoolAdvice Advise(const PoolStatus& pool, std::int64_t wish_ms) {
  PoolAdvice advice;
  advice.executor = pool.executor.value;
  advice.per_hour = static_cast<double>(pool.arrivals_per_hour);
  advice.assumed = pool.refill_ms <= 0;
  advice.refill_ms = advice.assumed ? kAssumedRefillMs : pool.refill_ms;
  advice.machines = MachinesForWait(advice.per_hour / kSecondsPerHour, static_cast<double>(advice.refill_ms),
                                    static_cast<double>(wish_ms), kProbability, kMaxPoolSetting);
  advice.memory_mib = advice.machines * pool.machine_mib;
  return advice;
}

}  // namespace hearth::tool
