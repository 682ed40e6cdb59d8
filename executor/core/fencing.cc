// Epochs only rise.
#include "executor/core/fencing.h"

#include <algorithm>

namespace hearth::executor {

Admission Fencing::Admit(const PartitionId& partition, std::int64_t epoch, const DispatcherId& dispatcher,
                         std::uint64_t link) {
  Ownership& owner = owners_[partition];
  if (epoch > std::max(kMaxEpoch, owner.epoch + kMaxEpochStep)) return Admission::kFenced;
  if (epoch < owner.epoch) return Admission::kFenced;
  if (epoch == owner.epoch) {
    if (owner.dispatcher != dispatcher) return Admission::kFenced;
    if (link > owner.link) owner.link = link;
    return Admission::kCurrent;
  }
  owner = Ownership{epoch, dispatcher, link};
  return Admission::kRaised;
}

const Ownership& Fencing::Of(const PartitionId& partition) const {
  const auto at = owners_.find(partition);
  return at == owners_.end() ? nobody_ : at->second;
}

}  // namespace hearth::executor
