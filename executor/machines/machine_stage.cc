// Switches without a default: a new stage does not compile until its moves are decided.
#include "executor/machines/machine_stage.h"

namespace hearth::executor {

bool CanMove(MachineStage from, MachineStage to) {
  using enum MachineStage;
  switch (from) {
    case kPreparing: return to == kCreating || to == kRemoving;
    case kCreating:
      return to == kWaitingShell || to == kGreeting || to == kWarmingUp || to == kReady || to == kRemoving;
    case kWaitingShell: return to == kFilling || to == kRemoving;
    case kFilling: return to == kGreeting || to == kWarmingUp || to == kReady || to == kRemoving;
    case kGreeting: return to == kWarmingUp || to == kReady || to == kRemoving;
    case kWarmingUp: return to == kReady || to == kRemoving;
    case kReady: return to == kRemoving;
    case kRemoving: return false;
  }
  return false;
}

std::string_view StageName(MachineStage stage) {
  switch (stage) {
    case MachineStage::kPreparing: return "preparing";
    case MachineStage::kCreating: return "creating";
    case MachineStage::kWaitingShell: return "waiting-shell";
    case MachineStage::kFilling: return "filling";
    case MachineStage::kGreeting: return "greeting";
    case MachineStage::kWarmingUp: return "warming-up";
    case MachineStage::kReady: return "ready";
    case MachineStage::kRemoving: return "removing";
  }
  return "unknown";
}

}  // namespace hearth::executor
