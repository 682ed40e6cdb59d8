// Switches without a default: a new state does not compile until its moves are decided.
#include "executor/core/states.h"

namespace hearth::executor {

bool CanMove(InstanceState from, InstanceState to) {
  using enum InstanceState;
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
    case kBusy: return to == kIdle || to == kGone;
    case kGone: return false;
  }
  return false;
}

std::string_view StateName(InstanceState state) {
  switch (state) {
    case InstanceState::kCreating: return "creating";
    case InstanceState::kWarm: return "warm";
    case InstanceState::kAssigned: return "assigned";
    case InstanceState::kDraining: return "draining";
    case InstanceState::kSuspect: return "suspect";
    case InstanceState::kGone: return "gone";
  }
  return "unknown";
}

std::string_view StateName(ContainerState state) {
  switch (state) {
    case ContainerState::kCreating: return "creating";
    case ContainerState::kIdle: return "idle";
    case ContainerState::kBusy: return "busy";
    case ContainerState::kGone: return "gone";
  }
  return "unknown";
}

}  // namespace hearth::executor
