// Switches without a default: a new step does not compile until its moves are decided.
#include "executor/machines/way_step.h"

namespace hearth::executor {

bool CanMove(WayStep from, WayStep to) {
  using enum WayStep;
  const bool next_way = to == kDescribing || to == kInUse;
  switch (from) {
    case kQueued: return next_way;
    case kDescribing: return to == kLoading || next_way;
    case kLoading: return to == kMaking || to == kTrying;
    case kMaking: return to == kMaking || to == kKeeping || next_way;
    case kKeeping: return to == kTrying || next_way;
    case kTrying: return to == kMaking || next_way;
    case kInUse: return to == kQueued;
  }
  return false;
}

std::string_view StepName(WayStep step) {
  switch (step) {
    case WayStep::kQueued: return "queued";
    case WayStep::kDescribing: return "describing";
    case WayStep::kLoading: return "loading";
    case WayStep::kMaking: return "making";
    case WayStep::kKeeping: return "keeping";
    case WayStep::kTrying: return "trying";
    case WayStep::kInUse: return "in use";
  }
  return "unknown";
}

}  // namespace hearth::executor
