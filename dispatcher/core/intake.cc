#include "dispatcher/core/intake.h"

namespace hearth::dispatcher {

void Intake::Begin(const PartitionId& partition, Context& context) {
  paused_ = context.draining();
  if (paused_) {
    context.Emit(PauseIntake{partition});
  } else {
    context.Emit(ResumeIntake{partition});
  }
}

void Intake::Stop(const PartitionId& partition, Context& context) {
  if (!paused_) context.Emit(PauseIntake{partition});
  paused_ = true;
}

void Intake::NoteWaiting(const UserId& user, std::int64_t waiting, const Context& context) {
  if (waiting > context.settings().user_queue_limit) flooding_.insert(user);
}

bool Intake::IsFull(const PartitionRecords& records, std::int64_t share) const {
  const bool wide = records.ledger().window() > kMaxWindowOffsets / share &&
                    records.ledger().incomplete() > kMaxScatteredIncomplete / share;
  return wide || records.bytes() > kMaxHeldBytes / share;
}

void Intake::Update(const PartitionId& partition, const PartitionRecords& records, const Turns& turns,
                    Context& context) {
  if (context.draining()) return;
  std::erase_if(flooding_, [&](const UserId& id) {
    const User* user = turns.Find(id);
    return user == nullptr || user->waiting() <= context.settings().user_queue_limit / 2;
  });
  const bool pause = IsFull(records, paused_ ? 2 : 1) || !flooding_.empty();
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    context.Emit(PauseIntake{partition});
  } else {
    context.Emit(ResumeIntake{partition});
  }
}

}  // namespace hearth::dispatcher
