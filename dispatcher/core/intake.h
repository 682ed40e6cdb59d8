// Whether a partition is read. Reading pauses where what is complete has come apart in more pieces than a commit can
// tell of, and ledger pages cannot be written; it goes on when they can, or when half of that is gone.
#pragma once

#include <cstdint>

#include "dispatcher/core/context.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

class Partition;

class Intake {
 public:
  [[nodiscard]] bool paused() const { return paused_; }
  // A new ownership. The client may remember a pause of an earlier one.
  void Begin(const PartitionId& partition, Context& context);
  // The dispatcher drains: nothing is read any more.
  void Stop(const PartitionId& partition, Context& context);
  // Pauses or goes on as what is known now demands.
  void Update(const Partition& partition, Context& context);

 private:
  bool paused_ = false;
};

}  // namespace hearth::dispatcher
