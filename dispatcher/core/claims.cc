#include "dispatcher/core/claims.h"

#include <algorithm>
#include <vector>

namespace hearth::dispatcher {

bool Claims::Speaks(const Claim& claim, const link::Slot& slot) const {
  return claim.since_ms == slot.since_ms && context_.now_us() - claim.asked_us <= kClaimVoidMs * kMicrosPerMilli;
}

void Claims::Share(const UserId& user, bool shared) {
  if (shared) {
    users_.try_emplace(user);
  } else {
    users_.erase(user);
  }
}

std::optional<std::int32_t> Claims::Claimable(const ExecutorId& executor, const Function& function) const {
  const auto user = users_.find(function.user);
  if (user == users_.end()) return std::nullopt;
  std::int32_t count = 0;
  for (const link::Slot& slot : warm_.IdleOf(function.user, executor, function.name, function.version)) {
    const auto claim = user->second.find({executor, slot.container});
    const bool over = claim != user->second.end() && Speaks(claim->second, slot) &&
                      (claim->second.state == Claim::State::kRefused || claim->second.state == Claim::State::kUsed);
    count += over ? 0 : 1;
  }
  return count;
}

bool Claims::Take(const ExecutorId& executor, const Function& function, std::int64_t waiting) {
  auto& claims = users_.at(function.user);
  std::vector<link::Slot> idle = warm_.IdleOf(function.user, executor, function.name, function.version);
  // The executor leases the one that was used last.
  std::sort(idle.begin(), idle.end(), [](const link::Slot& a, const link::Slot& b) { return a.since_ms > b.since_ms; });
  std::vector<const link::Slot*> unasked;
  for (const link::Slot& slot : idle) {
    const auto found = claims.find({executor, slot.container});
    if (found == claims.end() || !Speaks(found->second, slot)) {
      unasked.push_back(&slot);
      continue;
    }
    Claim& claim = found->second;
    const bool late = context_.now_us() - claim.asked_us >= kClaimWaitMs * kMicrosPerMilli;
    if (claim.state == Claim::State::kGranted || (claim.state == Claim::State::kAsked && late)) {
      claim.state = Claim::State::kUsed;
      return true;
    }
    if (claim.state == Claim::State::kAsked) --waiting;
  }
  for (const link::Slot* slot : unasked) {
    if (waiting-- <= 0) break;
    claims[{executor, slot->container}] = {Claim::State::kAsked, slot->since_ms, context_.now_us()};
    context_.Emit(ClaimSlot{function.user, executor, slot->container, slot->since_ms});
  }
  return false;
}

void Claims::Answer(const SlotClaimed& answer) {
  const auto user = users_.find(answer.user);
  if (user == users_.end()) return;
  const auto claim = user->second.find({answer.executor, answer.container});
  if (claim == user->second.end() || claim->second.since_ms != answer.since_ms) return;
  if (claim->second.state != Claim::State::kAsked) return;  // it was not waited for
  claim->second.state = answer.granted ? Claim::State::kGranted : Claim::State::kRefused;
}

void Claims::Forget(const ExecutorId& executor, const link::Slot& slot) {
  const auto user = users_.find(slot.user);
  if (user == users_.end()) return;
  const auto claim = user->second.find({executor, slot.container});
  if (claim == user->second.end()) return;
  const bool over = slot.state != link::SlotState::kIdle || slot.since_ms != claim->second.since_ms;
  if (over) user->second.erase(claim);
}

}  // namespace hearth::dispatcher
