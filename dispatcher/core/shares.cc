#include "dispatcher/core/shares.h"

#include <algorithm>

namespace hearth::dispatcher {

Reserve ReserveOf(std::int64_t credit, bool realtime) {
  static_assert(2 * (kRealtimePart * kStandardPart + kNewcomersPart * (kRealtimePart + kStandardPart)) <=
                    kNewcomersPart * kRealtimePart * kStandardPart,
                "the reserves are at most half of the credit");
  return {credit / kNewcomersPart, realtime ? credit / kRealtimePart : 0, credit / kStandardPart};
}

std::int64_t ShareOf(std::int64_t credit, std::int64_t wanting) {
  if (wanting < 2) return INT64_MAX;
  return std::max<std::int64_t>(1, credit / (wanting + 1));
}

bool LeavesReserve(const Reserve& reserve, std::int64_t credit, const std::array<std::int64_t, kRequestClasses>& held,
                   RequestClass request_class, bool newcomer) {
  const auto of = [&](RequestClass each) { return held[static_cast<std::size_t>(each)]; };
  std::int64_t kept = newcomer ? 0 : reserve.newcomers;
  if (request_class != RequestClass::kRealtime) {
    kept += std::max<std::int64_t>(0, reserve.realtime - of(RequestClass::kRealtime));
  }
  if (request_class == RequestClass::kBatch) {
    kept += std::max<std::int64_t>(0, reserve.standard - of(RequestClass::kStandard));
  }
  const std::int64_t all = of(RequestClass::kRealtime) + of(RequestClass::kStandard) + of(RequestClass::kBatch);
  return all < std::max<std::int64_t>(1, credit - kept);
}

}  // namespace hearth::dispatcher
