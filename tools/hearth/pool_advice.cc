#include "tools/hearth/pool_advice.h"

#include <nlohmann/json.hpp>

#include "common/base/poisson.h"
#include "schemas/pool_settings.h"

namespace hearth::tool {
namespace {

constexpr double kProbability = 0.99;
constexpr double kSecondsPerHour = 3600;

}  // namespace

Result<std::vector<PoolStatus>> ParsePools(const std::string& executor, const std::string& json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  if (!parsed.is_array()) return Fail(Code::kInvalid, "executor " + executor + " does not say what its pools are");
  std::vector<PoolStatus> pools;
  for (const auto& row : parsed) {
    if (!row.is_object()) return Fail(Code::kInvalid, "executor " + executor + " does not say what its pools are");
    const auto number = [&](const char* name) {
      const auto found = row.find(name);
      return found != row.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
    };
    PoolStatus pool;
    pool.executor = executor;
    if (const auto name = row.find("profile"); name != row.end() && name->is_string()) pool.profile = *name;
    pool.machine_mib = number("machine_mib");
    pool.min = number("min");
    pool.max = number("max");
    pool.target = number("target");
    pool.ready = number("ready");
    pool.starting = number("starting");
    pool.assigned = number("assigned");
    pool.shells = number("shells");
    pool.shells_wanted = number("shells_wanted");
    pool.backlog = number("backlog");
    pool.arrivals_per_hour = number("arrivals_per_hour");
    pool.refill_ms = number("refill_ms");
    pool.restore_ms = number("restore_ms");
    pool.boot_ms = number("boot_ms");
    pools.push_back(std::move(pool));
  }
  return pools;
}

PoolAdvice Advise(const PoolStatus& pool, std::int64_t wish_ms) {
  PoolAdvice advice;
  advice.executor = pool.executor;
  advice.per_hour = static_cast<double>(pool.arrivals_per_hour);
  advice.assumed = pool.refill_ms <= 0;
  advice.refill_ms = advice.assumed ? kAssumedRefillMs : pool.refill_ms;
  advice.machines = MachinesForWait(advice.per_hour / kSecondsPerHour, static_cast<double>(advice.refill_ms),
                                    static_cast<double>(wish_ms), kProbability, kMaxPoolSetting);
  advice.memory_mib = advice.machines * pool.machine_mib;
  return advice;
}

}  // namespace hearth::tool
