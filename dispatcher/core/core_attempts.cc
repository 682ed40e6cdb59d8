// How attempts end.
#include <algorithm>

#include "dispatcher/core/core.h"
#include "dispatcher/core/spread.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kUnknownFunctionWaitMs = 50;  // an invocation whose function an executor knows otherwise
constexpr std::int64_t kBusyCoolingMs = 20;          // an executor that refused gets nothing for so long
constexpr std::int64_t kCapacityCoolingMs = 100;
constexpr std::int64_t kUnknownProfileCoolingMs = 5'000;

bool IsFailure(Status status) {
  return status == Status::kError || status == Status::kTimeout || status == Status::kOom;
}

std::string ReasonOf(const link::Done& done) {
  return done.error_type.empty() ? std::string(StatusName(done.status)) : done.error_type;
}

}  // namespace

// An end is noted here, and acknowledged when the commit that covers it is durable. What is told of a partition that is
// not ours, or under an epoch that has passed, stays owed to its owner.
void Core::OnDone(Executor& executor, const link::Done& done, bool from_report) {
  const ExecutorId from = executor.id();
  Partition* partition = ownership_.Find(done.ref.partition);
  if (partition == nullptr || !partition->owned()) return;
  if (done.ref.epoch != partition->epoch() || done.ref.generation != partition->generation()) return;
  Invocation* invocation = partition->records().Find(done.ref.offset);
  if (invocation == nullptr && partition->records().ledger().IsOpen(done.ref.offset)) {
    if (TakeItemEnd(*partition, from, done)) return;
    return NoteEarlyEnd(*partition, from, done);
  }
  if (invocation == nullptr || !invocation->Is(done.id, done.times.enqueued_us)) {
    ownership_.Cover(*partition, from, done.ref);
    return ownership_.MarkDirty(*partition);
  }
  const bool awaited = invocation->IsPlaced(from, done.ref.attempt);
  const bool published = done.outcome == link::Outcome::kPublished;
  if (!awaited && !published && !partition->settled()) {
    return NoteEarlyEnd(*partition, from, done);  // another executor may still tell of a later attempt
  }
  invocation->Owe(from, done.ref);
  if (awaited) return EndAttempt(*invocation, done);
  if (Produces(invocation->stage())) return;
  // Not the attempt that we wait for. What it published is durable all the same, and readers keep the first.
  const bool placed = invocation->stage() == Stage::kPlaced;
  const bool newer = from_report && !placed && done.ref.attempt > invocation->tries().attempt();
  if (!published && !newer) {
    if (done.outcome == link::Outcome::kFailed) invocation->NoteFailure(done);
    return;
  }
  if (placed) {
    ownership_.Drop(*partition, invocation->executor(), partition->RefOf(*invocation));
    invocations_.Recall(*invocation);
  }
  invocations_.SeeEnd(*invocation, from, done.ref.attempt);
  EndAttempt(*invocation, done);
}

void Core::EndAttempt(Invocation& invocation, const link::Done& done) {
  if (done.times.leased_us != 0) invocation.TakeTimes(done.times);
  // The executor's interval counts: when user code began and ended is what the guest claims.
  if (done.billed_ms > 0) turns_.Learn(invocation.request().user, invocation.request().function, done.billed_ms);
  invocation.NotePath(done.start_path);
  if (!done.error_message.empty()) invocation.NoteError(done.error_message);
  switch (done.outcome) {
    case link::Outcome::kPublished:
      if (Batch* batch = invocation.partition().batch(); batch != nullptr) NoteResult(*batch, done.reply_offset);
      if (!IsFailure(done.status)) return Finish(invocation, done.status, "published", {});
      invocation.tries().FailFinally();
      return Finish(invocation, done.status, ReasonOf(done),
                    {DeadLetter(invocation, ReasonOf(done), done.error_message)});
    case link::Outcome::kFailed: return OnFailedTry(invocation, done);
    case link::Outcome::kInfrastructure:
      // The tries before it have failed: an owner that has read the record anew learns of them here.
      if (done.try_number > 1) invocation.tries().Fail(done.try_number - 1, done.try_number);
      if (done.times.leased_us == 0 && done.error_type == "orphaned") {  // it never began
        invocation.tries().Return();
        journal_.Note(Trace::Kind::kRetried, invocation, "orphaned");
        return Enqueue(invocation);
      }
      return OnInfrastructure(invocation, done.times.leased_us != 0, "infrastructure");
    case link::Outcome::kExpired: return Expire(invocation);
  }
}

void Core::OnFailedTry(Invocation& invocation, const link::Done& done) {
  const Function* function = FunctionOf(invocation);
  const std::int32_t most = function != nullptr ? function->max_attempts : kDefaultAttempts;
  invocation.tries().Fail(done.try_number, most);
  invocation.NoteFailure(done);
  const std::int64_t deadline_ms = DeadlineMs(invocation.request(), function, invocation.record().timestamp_ms);
  const std::int64_t wait_ms = RetryWaitMs(context_.settings(), invocation.serial(), invocation.tries().failed());
  const bool too_late = deadline_ms != 0 && context_.wall_ms() + wait_ms >= deadline_ms;
  if (too_late || most <= 1) return FinishFailed(invocation);
  invocations_.BackOff(invocation, context_.After(wait_ms));
  NoteTries(invocation);
  journal_.Note(Trace::Kind::kRetried, invocation, ReasonOf(done)).status = done.status;
}

void Core::FinishFailed(Invocation& invocation) {
  const Failure& failure = *invocation.failure();
  const std::string reason = failure.type.empty() ? std::string(StatusName(failure.status)) : failure.type;
  Finish(invocation, failure.status, reason,
         {DeadLetter(invocation, reason, failure.message),
          Reply(invocation, failure.status, failure.type, failure.message)});
}

void Core::Expire(Invocation& invocation) {
  Refuse(invocation, {Verdict::kExpire, "expired", "the invocation expired before it started"});
}

void Core::OnInfrastructure(Invocation& invocation, bool may_have_started, std::string_view reason) {
  invocation.tries().LoseMachine();
  if (invocation.last_error().empty()) invocation.NoteError(reason);
  const std::int32_t failures = invocation.tries().infrastructure_failures();
  if (failures >= kMaxInfrastructureFailures) {
    const std::string message =
        "the machine or executor died under it " + std::to_string(failures) + " times: " + invocation.last_error();
    return Finish(invocation, Status::kPoison, "poison",
                  {DeadLetter(invocation, "poison", message), Reply(invocation, Status::kPoison, "poison", message)});
  }
  const Function* function = FunctionOf(invocation);
  if (function != nullptr && function->max_attempts == 1 && may_have_started) {  // at most once was asked for
    const std::string message = "its only attempt was lost: " + std::string(reason);
    return Finish(
        invocation, Status::kError, "attempt_lost",
        {DeadLetter(invocation, "attempt_lost", message), Reply(invocation, Status::kError, "attempt_lost", message)});
  }
  NoteTries(invocation);
  journal_.Note(Trace::Kind::kRetried, invocation, reason);
  Enqueue(invocation);
}

void Core::OnNack(Executor& executor, const link::Nack& nack) {
  Partition* partition = ownership_.Find(nack.ref.partition);
  if (partition == nullptr || nack.ref.epoch != partition->epoch()) return;
  Invocation* invocation = partition->records().Find(nack.ref.offset);
  if (invocation == nullptr || !invocation->IsPlaced(executor.id(), nack.ref.attempt)) return;
  const Function* function = FunctionOf(*invocation);
  const std::string profile = function != nullptr ? function->profile : "";
  std::string_view reason;
  switch (nack.reason) {
    case link::NackReason::kBusy:
      reason = "busy";
      executors_.Cool(executor, "", kBusyCoolingMs);
      break;
    case link::NackReason::kNoCapacity:
      reason = "no_capacity";
      executors_.Cool(executor, profile, kCapacityCoolingMs);
      break;
    case link::NackReason::kNoMachine:
      reason = "no_machine";
      executors_.NoteNoMachine(executor, invocation->request().user);
      break;
    case link::NackReason::kUnknownProfile:
      reason = "unknown_profile";
      executors_.Cool(executor, profile, kUnknownProfileCoolingMs);
      break;
    case link::NackReason::kDraining:
      reason = "draining";
      executors_.StopTaking(executor);
      break;
    case link::NackReason::kFenced: reason = "fenced"; break;
    case link::NackReason::kUnknownFunction: reason = "unknown_function"; break;
  }
  journal_.Note(Trace::Kind::kNacked, *invocation, reason);
  invocation->tries().Return();
  if (nack.reason == link::NackReason::kUnknownFunction) {
    // One of the two has not read the registry so far yet. The others' work goes on meanwhile.
    return invocations_.BackOff(*invocation, context_.After(kUnknownFunctionWaitMs));
  }
  Enqueue(*invocation);
  // The executor obeys a higher epoch: the partition is somebody else's, unless our commit still goes through.
  if (nack.reason == link::NackReason::kFenced && partition->owned()) Reclaim(*partition, partition->epoch() + 1);
}

}  // namespace hearth::dispatcher
