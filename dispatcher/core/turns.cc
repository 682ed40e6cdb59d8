#include "dispatcher/core/turns.h"

#include <algorithm>

#include "dispatcher/core/check.h"

namespace hearth::dispatcher {
namespace {

// Cost of one run in the fair queue: 128 MiB for 100 ms is 4.
std::int64_t CostOf(std::int32_t memory_mib, std::int64_t expected_ms) {
  return memory_mib * expected_ms / 3200;
}

}  // namespace

std::int32_t User::placed(const FunctionName& function) const {
  const auto use = functions_.find(function);
  return use == functions_.end() ? 0 : use->second.placed;
}

Turns::Seen Turns::See(const UserId& user) {
  const auto [found, is_new] = users_.try_emplace(user);
  return {found->second, is_new};
}

const User* Turns::Find(const UserId& user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? nullptr : &found->second;
}

void Turns::Prune() {
  std::erase_if(users_, [](const auto& one) { return one.second.waiting_ == 0 && one.second.placed_ == 0; });
}

void Turns::StopWaiting(const UserId& user) {
  const auto waiting = --users_[user].waiting_;
  Check(waiting >= 0, "a user has fewer than none waiting", waiting);
}

void Turns::Place(const UserId& user, const FunctionName& function) {
  User& one = users_[user];
  ++one.placed_;
  ++one.functions_[function].placed;
}

void Turns::GiveBack(const UserId& user, const FunctionName& function) {
  User& one = users_[user];
  const auto placed = std::min(--one.placed_, --one.functions_[function].placed);
  Check(placed >= 0, "a user has fewer than none placed", placed);
}

void Turns::Learn(const UserId& user, const FunctionName& function, std::int64_t took_ms) {
  User::Use& use = users_[user].functions_[function];
  use.expected_ms += (std::min<std::int64_t>(took_ms, kMaxTimeoutMs) - use.expected_ms) / 8;
}

void Turns::Enter(RequestClass request_class, const UserId& user, const FunctionName& function,
                  FairQueue::Ticket ticket, std::int32_t memory_mib) {
  const std::int64_t expected_ms = users_[user].functions_[function].expected_ms;
  queue_.Push(request_class, user, function, ticket, CostOf(memory_mib, expected_ms));
}

Turn Turns::Ask(const Function& function) const {
  const User* user = Find(function.user);
  if (user == nullptr) return Turn::kRun;
  return TakeTurn(
      {user->placed_, context_.settings().user_concurrency, user->placed(function.name), function.concurrency});
}

void Turns::Walk(
    std::size_t most,
    const std::function<void(const UserId&, const FunctionName&, std::int64_t, std::int64_t)>& tell) const {
  queue_.Walk(most, [&](const UserId& user, const FunctionName& function, std::int64_t queued) {
    const User* known = Find(user);
    const std::int64_t placed = known == nullptr ? 0 : known->placed_;
    tell(user, function, queued, std::max<std::int64_t>(0, context_.settings().user_concurrency - placed));
  });
}

}  // namespace hearth::dispatcher
