// The highest epoch of each partition, and who holds it. A lower epoch is refused for ever.
#pragma once

#include <cstdint>
#include <map>

#include "common/base/ids.h"
#include "schemas/record.h"

namespace hearth::executor {

enum class Admission : std::uint8_t {
  kFenced,   // a higher epoch was seen, or this epoch belongs to another dispatcher
  kCurrent,  // the epoch that is in force, from its owner
  kRaised,   // a new owner: from now on the old one is fenced
};

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
