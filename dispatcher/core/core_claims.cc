// Users whose records several dispatchers hold: of those that see one idle container, one may count on it. A user whose
// records all come here is never asked about.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {
namespace {

// Of this idle period, and not so old that it may have come to nothing.
bool Speaks(const Claim& claim, const link::Slot& slot, std::int64_t now_us) {
  return claim.since_ms == slot.since_ms && now_us - claim.asked_us <= kClaimVoidMs * kMicrosPerMilli;
}

}  // namespace

void Core::State::On(const UserShared& event) {
  const auto user = users.find(event.user);
  if (user == users.end()) return;
  user->second.shared = event.shared;
  if (!event.shared) user->second.claims.clear();
}

void Core::State::On(const SlotClaimed& event) {
  const auto user = users.find(event.user);
  if (user == users.end()) return;
  const auto claim = user->second.claims.find({event.executor, event.container});
  if (claim == user->second.claims.end() || claim->second.since_ms != event.since_ms) return;
  if (claim->second.state != Claim::State::kAsked) return;  // it was not waited for
  claim->second.state = event.granted ? Claim::State::kGranted : Claim::State::kRefused;
}

// Idle containers of the version that are not known to be another dispatcher's, or used by us already.
std::int32_t Core::State::Claimable(const User& user, const Executor& executor, const Function& function) const {
  std::int32_t count = 0;
  for (const link::Slot& slot : warm.IdleOf(function.user, executor.id, function.name, function.version)) {
    const auto claim = user.claims.find({executor.id, slot.container});
    const bool over = claim != user.claims.end() && Speaks(claim->second, slot, context_.now_us()) &&
                      (claim->second.state == Claim::State::kRefused || claim->second.state == Claim::State::kUsed);
    count += over ? 0 : 1;
  }
  return count;
}

// True: a container is ours, or nobody said within the time allowed that it is not. False: the answer is on its way.
bool Core::State::TakeClaim(const ExecutorId& executor, const Function& function) {
  auto& claims = users.at(function.user).claims;
  std::vector<link::Slot> idle = warm.IdleOf(function.user, executor, function.name, function.version);
  // The executor leases the one that was used last.
  std::sort(idle.begin(), idle.end(), [](const link::Slot& a, const link::Slot& b) { return a.since_ms > b.since_ms; });
  const link::Slot* unasked = nullptr;
  bool asked = false;
  for (const link::Slot& slot : idle) {
    const auto found = claims.find({executor, slot.container});
    if (found == claims.end() || !Speaks(found->second, slot, context_.now_us())) {
      if (unasked == nullptr) unasked = &slot;
      continue;
    }
    Claim& claim = found->second;
    const bool late = context_.now_us() - claim.asked_us >= kClaimWaitMs * kMicrosPerMilli;
    if (claim.state == Claim::State::kGranted || (claim.state == Claim::State::kAsked && late)) {
      claim.state = Claim::State::kUsed;
      return true;
    }
    asked = asked || claim.state == Claim::State::kAsked;
  }
  if (asked || unasked == nullptr) return false;
  claims[{executor, unasked->container}] = {Claim::State::kAsked, unasked->since_ms, context_.now_us()};
  context_.Emit(ClaimSlot{function.user, executor, unasked->container, unasked->since_ms});
  return false;
}

// The idle period is over.
void Core::State::ForgetClaim(const ExecutorId& executor, const link::Slot& slot) {
  const auto user = users.find(slot.user);
  if (user == users.end() || user->second.claims.empty()) return;
  const auto claim = user->second.claims.find({executor, slot.container});
  if (claim == user->second.claims.end()) return;
  const bool over = slot.state != link::SlotState::kIdle || slot.since_ms != claim->second.since_ms;
  if (over) user->second.claims.erase(claim);
}

}  // namespace hearth::dispatcher
