// Users, and what the directory in Redis knows of them.
#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

void Core::See(const UserId& id) {
  const auto [user, is_new] = turns_.See(id);
  if (is_new && !id.empty()) {
    context_.Emit(LoadUser{id});
    for (const auto& [executor, slot] : warm_.SlotsOf(id)) WriteDirectory(executor, slot);
  }
}

void Core::ForgetIdleUsers(std::size_t left) {
  turns_.Prune(left, [this](const UserId& user) { claims_.Share(user, false); });
}

void Core::On(const UserShared& event) {
  if (turns_.Find(event.user) == nullptr) return;
  claims_.Share(event.user, event.shared);
  turns_.Tell(Happening::kShared, event.user);
}

void Core::On(const SlotClaimed& event) {
  claims_.Answer(event);
  turns_.Tell(Happening::kClaimAnswered, event.user);
}

// Executors overrule the directory: what Redis tells of a connected one that does not have it is removed there. What
// another dispatcher wrote just now may not have reached us yet.
void Core::On(const UserLoaded& event) {
  for (const auto& [id, slot] : event.slots) {
    const Executor* executor = executors_.Find(id);
    if (executor == nullptr || !executor->connected() || warm_.Has(id, slot)) continue;
    if (context_.wall_ms() - slot.since_ms < kGhostMs) continue;
    link::Slot gone = slot;
    gone.user = event.user;
    gone.state = link::SlotState::kGone;
    WriteDirectory(id, gone);
  }
}

// Who has seen a user writes its lines. That a slot is gone is written by whoever is told: nobody may have the user
// when a machine is reclaimed, and what the directory then kept would stay.
void Core::WriteDirectory(const ExecutorId& executor, const link::Slot& slot) {
  if (slot.state == link::SlotState::kGone || turns_.Find(slot.user) != nullptr) {
    context_.Emit(DirectoryWrite{executor, slot});
  }
}

}  // namespace hearth::dispatcher
