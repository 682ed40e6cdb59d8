#include "dispatcher/core/intake.h"

#include "dispatcher/core/partition.h"

namespace hearth::dispatcher {
namespace {

// A map has room for any pattern of so many offsets, and for one range of each 24, however far apart they are.
bool IsWide(const Ledger& ledger, std::int64_t offsets) {
  constexpr std::int64_t kOffsetsOfARange = 24;
  return ledger.window() > offsets && ledger.incomplete_ranges() > offsets / kOffsetsOfARange;
}

}  // namespace

void Intake::Begin(const PartitionId& partition, Context& context) {
  paused_ = context.draining();
  if (paused_) {
    context.Emit(PauseIntake{partition});
  } else {
    context.Emit(ResumeIntake{partition});
  }
}

void Intake::Stop(const PartitionId& partition, Context& context) {
  if (!paused_) context.Emit(PauseIntake{partition});
  paused_ = true;
}

void Intake::Update(const Partition& partition, Context& context) {
  if (context.draining()) return;
  const bool pause = partition.pages_fail() &&
                     IsWide(partition.records().ledger(), context.settings().wide_offsets / (paused_ ? 2 : 1));
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    context.Emit(PauseIntake{partition.id()});
  } else {
    context.Emit(ResumeIntake{partition.id()});
  }
}

}  // namespace hearth::dispatcher
