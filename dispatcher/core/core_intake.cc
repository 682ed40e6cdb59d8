// From a record to a place in the queue.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {

void Core::State::On(const FunctionUpdated& event) {
  if (event.function == nullptr) return;
  functions_.Set(event.function);
  if (awaiting_function == 0) return;
  for (const auto& [id, partition] : partitions) {
    std::vector<Invocation*> waiting;
    for (auto& [offset, invocation] : partition->invocations) {
      if (invocation.stage == Stage::kNoFunction && invocation.request.user == event.function->user &&
          invocation.request.function == event.function->name) {
        waiting.push_back(&invocation);
      }
    }
    for (Invocation* invocation : waiting) Activate(*invocation);
  }
}

void Core::State::On(const FunctionRemoved& event) {
  functions_.Remove(event.user, event.name);
}

void Core::State::On(const RecordReceived& event) {
  if (event.record == nullptr) return;
  const Record& record = *event.record;
  Partition* partition = Find(record.partition);
  if (partition == nullptr) return;
  if (record.offset == partition->witness_offset && partition->witness_ms != 0 &&
      partition->witness_ms != record.timestamp_ms) {
    // Another record stands where the commit left off: what was known is of a topic that is gone.
    NotePartition(Trace::Kind::kFenced, *partition, "topic_made_anew");
    BeginGeneration(*partition);
    if (partition->phase == Partition::Phase::kOwned) Reclaim(*partition, partition->epoch + 1);
  }
  const auto claims_early = [&] {
    if (const auto early = partition->finished_early.find(record.offset); early != partition->finished_early.end()) {
      partition->covered.push_back({early->second.executor, early->second.done.ref});
      partition->finished_early.erase(early);
    }
    if (const auto early = partition->running_early.find(record.offset); early != partition->running_early.end()) {
      DropAttempt(early->second.executor, *partition, early->second.run.ref);
      partition->running_early.erase(early);
    }
  };
  switch (partition->ledger.Receive(record.offset)) {
    case Ledger::Reception::kRepeated: return;
    case Ledger::Reception::kClaimed:
      partition->dirty = true;
      claims_early();
      return;
    case Ledger::Reception::kNew: break;
  }

  Invocation& invocation = partition->invocations[record.offset];
  invocation.serial = ++last_serial;
  invocation.partition = partition;
  invocation.offset = record.offset;
  invocation.record = event.record;
  invocation.received_mono_us = context_.now_us();
  invocation.times.enqueued_us = KnownTimeMs(record.timestamp_ms) * kMicrosPerMilli;
  invocation.times.received_us = context_.now().wall_us;
  invocation.bytes = static_cast<std::int64_t>(record.key.size() + record.value.size()) + kRecordOverheadBytes;
  for (const Header& header : record.headers) {
    invocation.bytes += static_cast<std::int64_t>(header.name.size() + header.value.size());
  }
  by_serial[invocation.serial] = &invocation;

  Refusal refusal;
  Result<Request> decoded = DecodeRequest(record, &refusal);
  invocation.request = decoded ? std::move(*decoded) : refusal.request;
  if (invocation.request.payload == record.value) {
    invocation.payload_is_value = true;
    invocation.request.payload.clear();
    invocation.request.payload.shrink_to_fit();
  } else {
    invocation.bytes += static_cast<std::int64_t>(invocation.request.payload.size());
  }
  partition->held_bytes += invocation.bytes;
  SeeUser(invocation.request.user);
  const std::int64_t waiting = turns_.StartWaiting(invocation.request.user);
  Check(partition->ledger.incomplete() == static_cast<std::int64_t>(partition->invocations.size()), "I6", *partition);
  Note(Trace::Kind::kReceived, invocation, "");
  if (waiting > context_.settings().user_queue_limit) partition->flooding.insert(invocation.request.user);
  UpdateIntake(*partition);

  if (!decoded) {
    Refuse(invocation, AdmitUnreadable(decoded.error(), refusal, reply_policy));
    return;
  }
  const std::string& key = invocation.request.order_key;
  if (!key.empty()) partition->keys[{invocation.request.user, key}].insert(record.offset);
  if (const auto early = partition->finished_early.find(record.offset); early != partition->finished_early.end()) {
    const bool same = SameRecord(invocation, early->second.done.id, early->second.done.times.enqueued_us);
    const bool last_word = early->second.done.outcome == link::Outcome::kPublished || partition->settled;
    if (!same || last_word) {
      const auto node = partition->finished_early.extract(early);
      const auto& [executor, done] = node.mapped();
      if (!same) {
        partition->covered.push_back({executor, done.ref});
      } else {
        invocation.owed.push_back({executor, done.ref});
        if (!partition->running_early.contains(record.offset)) {
          invocation.executor = executor;
          invocation.attempt = done.ref.attempt;
          Settle(invocation, done);
          return;
        }
      }
    }
  }
  if (const auto early = partition->running_early.extract(record.offset); !early.empty()) {
    const auto& [id, run] = early.mapped();
    Executor* executor = executors_.Find(id);
    if (executor != nullptr && SameRecord(invocation, run.id, run.enqueued_us)) {
      Adopt(invocation, *executor, run.ref.attempt);
      return;
    }
    DropAttempt(id, *partition, run.ref);
  }
  Activate(invocation);
}

Answer Core::State::AnswerTo(const Invocation& invocation) const {
  const Request& request = invocation.request;
  Answer answer =
      Admit(request, FunctionOf(request), invocation.record->timestamp_ms, context_.wall_ms(), reply_policy);
  const bool goes_on = answer.verdict == Verdict::kAdmit || answer.verdict == Verdict::kAwaitFunction;
  if (!goes_on) return answer;
  return AdmitClass(invocation.partition->request_class, request.user, context_.settings().realtime_users)
      .value_or(answer);
}

void Core::State::Activate(Invocation& invocation) {
  // Behind the head of its key, or while a former owner's attempt of it may be reported, it waits; it is admitted when
  // its turn comes. A refusal would contradict a result that is there already.
  if (!HeadOfKey(invocation) || !MayQueue(invocation)) {
    Enqueue(invocation);
    return;
  }
  const Answer answer = AnswerTo(invocation);
  if (answer.verdict == Verdict::kAdmit) {
    Enqueue(invocation);
  } else if (answer.verdict == Verdict::kAwaitFunction) {
    ChangeStage(invocation, Stage::kNoFunction);
    SetTimer(invocation, context_.After(context_.settings().unknown_function_grace_ms));
  } else {
    Refuse(invocation, answer);
  }
}

void Core::State::Refuse(Invocation& invocation, const Answer& answer) {
  Note(Trace::Kind::kRefused, invocation, answer.reason);
  switch (answer.verdict) {
    case Verdict::kExpire:
      Finish(invocation, Status::kExpired, answer.reason,
             {ReplyOutput(invocation, Status::kExpired, answer.reason, answer.message)});
      return;
    case Verdict::kReject:
      Finish(invocation, Status::kRejected, answer.reason,
             {ReplyOutput(invocation, Status::kRejected, answer.reason, answer.message)});
      return;
    case Verdict::kRejectUnreadable:
      Finish(invocation, Status::kRejected, answer.reason,
             {ReplyOutput(invocation, Status::kRejected, answer.reason, answer.message),
              DeadLetterOutput(invocation, answer.reason, answer.message)});
      return;
    case Verdict::kDeadLetter:
      Finish(invocation, Status::kRejected, answer.reason,
             {DeadLetterOutput(invocation, answer.reason, answer.message)});
      return;
    case Verdict::kAdmit:
    case Verdict::kAwaitFunction: Activate(invocation); return;
  }
}

void Core::State::SeeUser(const UserId& user) {
  if (!turns_.See(user) || user.empty()) return;
  context_.Emit(LoadUser{user});
  for (const auto& [executor, slot] : warm_.SlotsOf(user)) WriteDirectory(executor, slot);
}

void Core::State::On(const UserShared& event) {
  if (turns_.Find(event.user) != nullptr) claims_.Share(event.user, event.shared);
}

void Core::State::PruneUsers() {
  turns_.Prune();
  claims_.Prune([this](const UserId& user) { return turns_.Find(user) != nullptr; });
}

// Executors overrule the directory: what Redis tells of a connected one that does not have it is removed there. What
// another dispatcher wrote just now may not have reached us yet.
void Core::State::On(const UserLoaded& event) {
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

}  // namespace hearth::dispatcher
