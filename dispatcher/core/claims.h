// Users whose records several dispatchers hold: of those dispatchers that see one idle container, one may count on it.
// Claims keeps what was asked and answered. A user whose records all come here is never asked about.
//
// It holds at any time:
// - claims are kept of shared users only;
// - a claim is of one idle period of a container: it says nothing of an earlier one or a later one;
// - what was granted is used once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "common/base/ids.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/events.h"
#include "dispatcher/core/warm.h"
#include "schemas/function.h"

namespace hearth::dispatcher {

constexpr std::int64_t kClaimWaitMs = 50;      // then the answer about a claim is not waited for any longer
constexpr std::int64_t kClaimVoidMs = 10'000;  // what was answered is forgotten, as in library.lua

class Claims {
 public:
  Claims(Context& context, const Warm& warm) : context_(context), warm_(warm) {}

  void Share(const UserId& user, bool shared);
  [[nodiscard]] bool IsShared(const UserId& user) const { return users_.contains(user); }

  // Idle containers of the version that are not known to be another dispatcher's, or used by us already. Nothing: the
  // user is not shared, and all idle ones are ours.
  [[nodiscard]] std::optional<std::int32_t> Claimable(const ExecutorId& executor, const Function& function) const;
  // True: a container is ours, or nobody said within the time allowed that it is not. False: the answer is on its way,
  // for as many containers as there are for `waiting` records of the function. The user is shared.
  [[nodiscard]] bool Take(const ExecutorId& executor, const Function& function, std::int64_t waiting);
  void Answer(const SlotClaimed& answer);
  // The slot has changed: where its idle period is over, so is the claim.
  void Forget(const ExecutorId& executor, const link::Slot& slot);

 private:
  struct Claim {
    enum class State : std::uint8_t { kAsked, kGranted, kRefused, kUsed };
    State state = State::kAsked;
    std::int64_t since_ms = 0;  // of the idle period
    std::int64_t asked_us = 0;
  };
  using ClaimsOfUser = std::map<std::pair<ExecutorId, ContainerId>, Claim>;

  // Of this idle period, and not so old that it may have come to nothing.
  [[nodiscard]] bool Speaks(const Claim& claim, const link::Slot& slot) const;

  Context& context_;
  const Warm& warm_;
  std::map<UserId, ClaimsOfUser> users_;  // that are shared
};

}  // namespace hearth::dispatcher
