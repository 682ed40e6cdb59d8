// From a record to the queue.
#include <algorithm>

#include "dispatcher/core/check.h"
#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

void Core::On(const FunctionUpdated& event) {
  if (event.function == nullptr) return;
  registry_.Set(event.function);
  turns_.Deploy(event.function->user, event.function->name, NeedOf(event.function.get()));
  for (Batch* batch : batches_.running()) {  // before anything of another version is placed
    const bool runs_it = batch->ref.user == event.function->user && batch->accepted->function == event.function->name;
    if (runs_it && batch->stage == BatchStage::kRunning) TakeOrders(*batch, PrioritiesOf(batch->ref.user));
  }
  if (invocations_.awaiting_function() == 0) return;
  const auto waits_for_it = [&](const Invocation& invocation) {
    return invocation.stage() == Stage::kNoFunction && invocation.request().user == event.function->user &&
           invocation.request().function == event.function->name;
  };
  for (const auto& [id, partition] : ownership_.all()) {
    for (Invocation* invocation : partition->records().Select(waits_for_it)) Activate(*invocation);
  }
}

void Core::On(const FunctionRemoved& event) {
  registry_.Remove(event.user, event.name);
  turns_.Deploy(event.user, event.name, {});
}

void Core::On(const RecordsReceived& event) {
  Partition* partition = nullptr;
  for (const auto& record : event.records) {
    if (partition == nullptr || partition->id() != record->partition) {
      if (partition != nullptr) UpdateIntake(*partition);
      partition = ownership_.Find(record->partition);
    }
    if (partition == nullptr) continue;
    if (batches_.Has(partition->id())) {
      batches_.Take(*record);
      invocations_.SkipTo(*partition, record->offset + 1);
      ownership_.MarkDirty(*partition);
    } else {
      Receive(*partition, record);
    }
  }
  if (partition != nullptr) UpdateIntake(*partition);
}

void Core::Receive(Partition& partition, const std::shared_ptr<const Record>& record) {
  if (ownership_.WasMadeAnew(partition, *record)) {
    ownership_.BeginGeneration(partition);
    invocations_.ForgetInherited(partition);
    if (partition.owned()) Reclaim(partition, partition.epoch() + 1);
  }
  const bool is_unread = partition.records().ledger().IsUnread(record->offset);
  switch (invocations_.Receive(partition, record->offset)) {
    case Ledger::Reception::kRepeated: return;
    case Ledger::Reception::kClaimed:
      ownership_.MarkDirty(partition);
      return DropEarlyReports(partition, record->offset);
    case Ledger::Reception::kNew: return Arrive(partition, record, is_unread);
  }
}

void Core::Arrive(Partition& partition, const std::shared_ptr<const Record>& record, bool is_unread) {
  DecodedRequest decoded = Decode(*record);
  const auto footprint = Invocations::FootprintOf(partition, *record, decoded.request);
  const bool is_known = partition.early().Knows(record->offset);
  if (!is_known && !Invocations::HasRoom(partition, footprint, is_unread)) {
    return invocations_.Park(partition, footprint, record->offset, DeadlineOf(decoded.request, *record));
  }
  TakeUp(partition, footprint, record, std::move(decoded));
}

void Core::TakeUp(Partition& partition, const Invocations::Footprint& footprint,
                  const std::shared_ptr<const Record>& record, DecodedRequest decoded) {
  See(decoded.request.user);
  Invocation& invocation = invocations_.Add(partition, footprint, record, std::move(decoded.request));
  journal_.Note(Trace::Kind::kReceived, invocation, "");
  if (decoded.refused) return Refuse(invocation, *decoded.refused);
  invocations_.Order(invocation);
  if (!TakeEarlyReports(partition, invocation)) Activate(invocation);
}

Core::DecodedRequest Core::Decode(const Record& record) const {
  Refusal refusal;
  Result<Request> request = DecodeRequest(record, &refusal);
  if (request) return {std::move(*request), std::nullopt};
  const Answer answer = AdmitUnreadable(request.error(), refusal, reply_policy_);
  return {std::move(refusal.request), answer};
}

std::int64_t Core::DeadlineOf(const Request& request, const Record& record) const {
  return DeadlineMs(request, registry_.Find(request.user, request.function), record.timestamp_ms);
}

// An earlier owner has completed the record.
void Core::DropEarlyReports(Partition& partition, std::int64_t offset) {
  if (const auto end = partition.early().TakeEnd(offset)) ownership_.Cover(partition, end->executor, end->done.ref);
  if (const auto run = partition.early().TakeRun(offset)) ownership_.Drop(partition, run->executor, run->run.ref);
}

bool Core::TakeEarlyReports(Partition& partition, Invocation& invocation) {
  const std::int64_t offset = invocation.offset();
  if (const EarlyEnd* known = partition.early().FindEnd(offset); known != nullptr) {
    const bool same = invocation.Is(known->done.id, known->done.times.enqueued_us);
    const bool last_word = known->done.outcome == link::Outcome::kPublished || partition.settled();
    if (!same || last_word) {
      const auto end = partition.early().TakeEnd(offset);
      if (!same) {
        ownership_.Cover(partition, end->executor, end->done.ref);
      } else {
        LearnFailures(invocation, *end);
        invocation.Owe(end->executor, end->done.ref);
        if (!partition.early().HasRun(offset)) {
          invocations_.SeeEnd(invocation, end->executor, end->done.ref.attempt);
          EndAttempt(invocation, end->done);
          return true;
        }
      }
    }
  }
  const auto run = partition.early().TakeRun(offset);
  if (!run) return false;
  Executor* executor = executors_.Find(run->executor);
  if (executor != nullptr && invocation.Is(run->run.id, run->run.enqueued_us)) {
    Adopt(invocation, *executor, run->run.ref.attempt);
    return true;
  }
  ownership_.Drop(partition, run->executor, run->run.ref);
  return false;
}

const Function* Core::FunctionOf(const Invocation& invocation) const {
  return registry_.Find(invocation.request().user, invocation.request().function);
}

Answer Core::AnswerTo(const Invocation& invocation) const {
  const Request& request = invocation.request();
  Answer answer =
      Admit(request, FunctionOf(invocation), invocation.record().timestamp_ms, context_.wall_ms(), reply_policy_);
  const bool goes_on = answer.verdict == Verdict::kAdmit || answer.verdict == Verdict::kAwaitFunction;
  if (!goes_on) return answer;
  return AdmitClass(invocation.partition().request_class(), request.user, context_.settings().realtime_users)
      .value_or(answer);
}

void Core::Activate(Invocation& invocation) {
  // Behind the head of its key, or while a former owner's attempt of it may be reported, it waits; it is admitted when
  // its turn comes. A refusal would contradict a result that is there already.
  if (!invocation.partition().records().IsHead(invocation) || !ownership_.MayPlace(invocation)) {
    return Enqueue(invocation);
  }
  const Answer answer = AnswerTo(invocation);
  if (answer.verdict == Verdict::kAdmit) {
    Enqueue(invocation);
  } else if (answer.verdict == Verdict::kAwaitFunction) {
    invocations_.AwaitFunction(invocation, context_.After(context_.settings().unknown_function_grace_ms));
  } else {
    Refuse(invocation, answer);
  }
}

void Core::Enqueue(Invocation& invocation) {
  const Function* function = FunctionOf(invocation);
  const std::int64_t deadline_ms = DeadlineMs(invocation.request(), function, invocation.record().timestamp_ms);
  std::int64_t due_us = 0;
  if (deadline_ms != 0) {
    const std::int64_t left_us = deadline_ms * kMicrosPerMilli - context_.now().wall_us;
    due_us = context_.now_us() + std::max<std::int64_t>(1, left_us);
  }
  if (!invocation.partition().records().IsHead(invocation)) {
    invocations_.AwaitKey(invocation, due_us);
  } else if (!ownership_.MayPlace(invocation)) {
    invocations_.AwaitSettling(invocation, due_us);
  } else if (!MayEnter(invocation)) {
    invocations_.AwaitWindow(invocation);
    invocation.partition().batch()->run->waiting.insert(invocation.offset());
  } else {
    invocations_.Queue(invocation, due_us, NeedOf(function));
  }
}

// An owner that hears of a failed try when it is too late for another ends the invocation by that failure
// (OnFailedTry). So does one that has waited for the other try: a later owner of the partition must not come to another
// result.
void Core::Refuse(Invocation& invocation, const Answer& answer) {
  if (answer.verdict == Verdict::kExpire && invocation.failure() != nullptr) return FinishFailed(invocation);
  journal_.Note(Trace::Kind::kRefused, invocation, answer.reason);
  const auto& [verdict, reason, message] = answer;
  switch (verdict) {
    case Verdict::kExpire:
      return Finish(invocation, Status::kExpired, reason, {Reply(invocation, Status::kExpired, reason, message)});
    case Verdict::kReject:
      return Finish(invocation, Status::kRejected, reason, {Reply(invocation, Status::kRejected, reason, message)});
    case Verdict::kRejectUnreadable:
      return Finish(invocation, Status::kRejected, reason,
                    {Reply(invocation, Status::kRejected, reason, message), DeadLetter(invocation, reason, message)});
    case Verdict::kDeadLetter:
      return Finish(invocation, Status::kRejected, reason, {DeadLetter(invocation, reason, message)});
    case Verdict::kAdmit:
    case Verdict::kAwaitFunction: Check(false, "an invocation is refused that may go on", invocation.offset());
  }
}

}  // namespace hearth::dispatcher
