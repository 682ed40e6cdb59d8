// Switches without a default: a new state does not compile until its moves are decided.
#include "executor/core/states.h"

namespace hearth::executor {

bool CanMove(MachineState from, MachineState to) {
  using enum MachineState;
  switch (from) {
    case kCreating: return to == kWarm || to == kDraining || to == kSuspect || to == kGone;
    case kWarm: return to == kAssigned || to == kDraining || to == kSuspect;
    case kAssigned: return to == kDraining || to == kSuspect;
    case kDraining: return to == kSuspect || to == kGone;
    case kSuspect: return to == kGone;
    case kGone: return false;
  }
  return false;
}

bool CanMove(ContainerState from, ContainerState to) {
  using enum ContainerState;
  switch (from) {
    case kCreating: return to == kIdle || to == kGone;
    case kIdle: return to == kBusy || to == kGone;
    case kBusy: return to == kChecking || to == kGone;
    case kChecking: return to == kIdle || to == kGone;
    case kGone: return false;
  }
  return false;
}

bool CanMove(AttemptPhase from, AttemptPhase to) {
  using enum AttemptPhase;
  switch (from) {
    case kArrived: return to == kWaiting || to == kRunning;
    case kWaiting: return to == kPromised || to == kRunning || to == kPublishing || to == kEnded;
    case kPromised: return to == kRunning || to == kPublishing || to == kEnded;
    case kRunning: return to == kPublishing || to == kEnded;
    case kPublishing: return to == kEnded;
    case kEnded: return false;
  }
  return false;
}

std::string_view StateName(MachineState state) {
  switch (state) {
    case MachineState::kCreating: return "creating";
    case MachineState::kWarm: return "warm";
    case MachineState::kAssigned: return "assigned";
    case MachineState::kDraining: return "draining";
    case MachineState::kSuspect: return "suspect";
    case MachineState::kGone: return "gone";
  }
  return "unknown";
}

std::string_view StateName(ContainerState state) {
  switch (state) {
    case ContainerState::kCreating: return "creating";
    case ContainerState::kIdle: return "idle";
    case ContainerState::kBusy: return "busy";
    case ContainerState::kChecking: return "checking";
    case ContainerState::kGone: return "gone";
  }
  return "unknown";
}

}  // namespace hearth::executor
