#include "schemas/pool_status.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "schemas/json_text.h"

namespace hearth {
namespace {

constexpr std::array<std::pair<const char*, std::int64_t PoolStatus::*>, 14> kNumbers{{
    {"machine_mib", &PoolStatus::machine_mib},
    {"min", &PoolStatus::min},
    {"max", &PoolStatus::max},
    {"target", &PoolStatus::target},
    {"ready", &PoolStatus::ready},
    {"starting", &PoolStatus::starting},
    {"assigned", &PoolStatus::assigned},
    {"shells", &PoolStatus::shells},
    {"shells_wanted", &PoolStatus::shells_wanted},
    {"backlog", &PoolStatus::backlog},
    {"arrivals_per_hour", &PoolStatus::arrivals_per_hour},
    {"refill_ms", &PoolStatus::refill_ms},
    {"restore_ms", &PoolStatus::restore_ms},
    {"boot_ms", &PoolStatus::boot_ms},
}};

}  // namespace

std::string EncodePools(const std::vector<PoolStatus>& pools, int indent) {
  auto rows = nlohmann::json::array();
  for (const auto& pool : pools) {
    nlohmann::json row = {{"executor", pool.executor.value}, {"profile", pool.profile}};
    for (const auto& [name, member] : kNumbers) row[name] = pool.*member;
    rows.push_back(std::move(row));
  }
  return rows.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<std::vector<PoolStatus>> DecodePools(std::string_view json, const ExecutorId& executor) {
  const auto rows = fields::ParseJsonValue(json).value_or(nullptr);
  const auto no_list = Fail(Code::kInvalid, "executor " + executor.value + " does not say what its pools are");
  if (!rows.is_array()) return no_list;
  std::vector<PoolStatus> pools;
  for (const auto& row : rows) {
    if (!row.is_object()) return no_list;
    PoolStatus pool;
    pool.executor = executor;
    if (const auto name = row.find("profile"); name != row.end() && name->is_string()) pool.profile = *name;
    for (const auto& [name, member] : kNumbers) {
      const auto found = row.find(name);
      if (found != row.end() && found->is_number_integer()) pool.*member = found->get<std::int64_t>();
    }
    pools.push_back(std::move(pool));
  }
  return pools;
}

}  // namespace hearth
