// Switches without a default: a new stage does not compile until its moves are decided.
#include "dispatcher/core/stages.h"

namespace hearth::dispatcher {

bool CanMove(Stage from, Stage to) {
  using enum Stage;
  switch (from) {
    case kArrived:
    case kKeyed:
    case kNoFunction:
    case kQueued:
    case kBackoff: return to != kArrived && to != kProduceBackoff;
    case kPlaced: return to == kKeyed || to == kQueued || to == kBackoff || to == kProducing || to == kGone;
    case kProducing: return to == kProducing || to == kProduceBackoff || to == kGone;
    case kProduceBackoff: return to == kProducing || to == kGone;
    case kGone: return false;
  }
  return false;
}

bool Waits(Stage stage) {
  using enum Stage;
  switch (stage) {
    case kArrived:
    case kKeyed:
    case kNoFunction:
    case kQueued:
    case kBackoff: return true;
    case kPlaced:
    case kProducing:
    case kProduceBackoff:
    case kGone: return false;
  }
  return false;
}

bool Produces(Stage stage) {
  return stage == Stage::kProducing || stage == Stage::kProduceBackoff;
}

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kArrived: return "arrived";
    case Stage::kKeyed: return "keyed";
    case Stage::kNoFunction: return "no_function";
    case Stage::kQueued: return "queued";
    case Stage::kBackoff: return "backoff";
    case Stage::kPlaced: return "placed";
    case Stage::kProducing: return "producing";
    case Stage::kProduceBackoff: return "produce_backoff";
    case Stage::kGone: return "gone";
  }
  return "unknown";
}

}  // namespace hearth::dispatcher
