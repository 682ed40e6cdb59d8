// The highest epoch of each partition, and who holds it. A lower epoch is refused for ever; one that is out of range
// is not taken for the highest.
#pragma once

#include <cstdint>
#include <map>

#include "common/base/ids.h"
#include "schemas/record.h"

namespace hearth::executor {

enum class Admission : std::uint8_t {
  kFenced,   // a higher epoch was seen, this epoch belongs to another dispatcher, or it is out of range
  kCurrent,  // the epoch that is in force, from its owner
  kRaised,   // a new owner: from now on the old one is fenced
};

// Each take-over adds 1. A claim of a larger epoch than these allow is no take-over: above it the next owner could find
// no epoch any more.
constexpr std::int64_t kMaxEpoch = 1LL << 40;
constexpr std::int64_t kMaxEpochStep = 1LL << 20;  // beyond kMaxEpoch, above the highest seen

struct Ownership {
  std::int64_t epoch = -1;
  DispatcherId dispatcher;
  std::uint64_t link = 0;  // the connection that spoke last for the owner
};

class Fencing {
 public:
  Admission Admit(const PartitionId& partition, std::int64_t epoch, const DispatcherId& dispatcher, std::uint64_t link);
  // Nothing was heard of the partition: epoch −1.
  [[nodiscard]] const Ownership& Of(const PartitionId& partition) const;

 private:
  Ownership nobody_;
  std::map<PartitionId, Ownership> owners_;
};

}  // namespace hearth::executor
