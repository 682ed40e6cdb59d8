#include "executor/core/credit.h"

#include <algorithm>
#include <numeric>

namespace hearth::executor {

std::vector<std::int32_t> DivideCredit(std::int32_t credit, const std::vector<DispatcherUse>& uses) {
  const auto wants = [](const DispatcherUse& use) { return use.wanting > 0; };
  const auto unwanting =
      static_cast<std::int32_t>(uses.size()) - static_cast<std::int32_t>(std::ranges::count_if(uses, wants));
  std::int64_t wanting = 0;
  for (const DispatcherUse& use : uses) wanting += std::max<std::int64_t>(0, use.wanting);
  const std::int32_t kept = unwanting == 0 ? 0 : std::max(1, credit / kUnwantedPart / unwanting);
  const std::int64_t divided = std::max<std::int64_t>(0, credit - std::int64_t{kept} * unwanting);

  std::vector<std::int32_t> taken;  // held or owed
  taken.reserve(uses.size());
  for (const DispatcherUse& use : uses) {
    const std::int64_t owed = wants(use) ? std::max<std::int64_t>(1, divided * use.wanting / wanting) : kept;
    taken.push_back(std::max(use.active, static_cast<std::int32_t>(owed)));
  }
  const std::int64_t all = std::accumulate(taken.begin(), taken.end(), std::int64_t{0});
  std::vector<std::int32_t> told;
  told.reserve(uses.size());
  for (const std::int32_t own : taken)
    told.push_back(static_cast<std::int32_t>(std::max<std::int64_t>(0, credit - (all - own))));
  return told;
}

}  // namespace hearth::executor
