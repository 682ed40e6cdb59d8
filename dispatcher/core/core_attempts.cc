// How attempts end.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {
namespace {

bool IsFailure(Status status) {
  return status == Status::kError || status == Status::kTimeout || status == Status::kOom;
}

}  // namespace

bool Core::State::SameRecord(const Invocation& invocation, const InvocationId& id, std::int64_t enqueued_us) {
  return invocation.request.id == id && invocation.times.enqueued_us == enqueued_us;
}

// An end is noted here, and acknowledged when the commit that covers it is durable. What is told of a partition that is
// not ours, or under an epoch that has passed, stays owed to its owner.
void Core::State::OnDone(Executor& executor, const link::Done& done, bool from_report) {
  const ExecutorId from = executor.id();
  Partition* partition = Find(done.ref.partition);
  if (partition == nullptr || partition->phase == Partition::Phase::kClaiming) return;
  if (done.ref.epoch != partition->epoch || done.ref.generation != partition->generation) return;
  if (done.ref.offset >= partition->ledger.next()) return NoteEarly(*partition, from, done);
  Invocation* invocation = Find(*partition, done.ref.offset);
  if (invocation == nullptr || !SameRecord(*invocation, done.id, done.times.enqueued_us)) {
    partition->covered.push_back({from, done.ref});
    partition->dirty = true;
    return;
  }
  const bool awaited =
      invocation->stage == Stage::kPlaced && invocation->executor == from && invocation->attempt == done.ref.attempt;
  if (!awaited && done.outcome != link::Outcome::kPublished && !partition->settled) {
    return NoteEarly(*partition, from, done);  // another executor may still tell of a later attempt
  }
  invocation->owed.push_back({from, done.ref});
  if (awaited) {
    Settle(*invocation, done);
  } else if (invocation->stage != Stage::kProducing && invocation->stage != Stage::kProduceBackoff) {
    // Not the attempt that we wait for. What it published is durable all the same, and readers keep the first.
    const bool newer = from_report && invocation->stage != Stage::kPlaced && done.ref.attempt > invocation->attempt;
    if (done.outcome != link::Outcome::kPublished && !newer) return;
    if (invocation->stage == Stage::kPlaced) {
      DropAttempt(invocation->executor, *partition,
                  {partition->id, invocation->offset, partition->epoch, invocation->attempt, partition->generation});
      ChangeStage(*invocation, Stage::kQueued);
    }
    invocation->attempt = std::max(invocation->attempt, done.ref.attempt);
    invocation->executor = from;
    Settle(*invocation, done);
  }
}

// Of a record that was not read yet, or whose other executors have not reported, the end that says most is kept.
void Core::State::NoteEarly(Partition& partition, const ExecutorId& executor, const link::Done& done) {
  const auto [early, first] = partition.finished_early.try_emplace(done.ref.offset, EarlyDone{executor, done});
  if (!first) {
    link::Done& known = early->second.done;
    const bool keep = known.outcome == link::Outcome::kPublished || known.ref.attempt >= done.ref.attempt;
    EarlyDone given{executor, done};
    if (!keep || done.outcome == link::Outcome::kPublished) std::swap(early->second, given);
    if (given.done.ref != early->second.done.ref) partition.covered.push_back({given.executor, given.done.ref});
  }
  const auto running = partition.running_early.find(done.ref.offset);
  if (running == partition.running_early.end()) return;
  const bool same = running->second.run.ref.attempt <= done.ref.attempt;
  if (!same && done.outcome != link::Outcome::kPublished) return;
  if (running->second.run.ref.attempt != done.ref.attempt || running->second.executor != executor) {
    DropAttempt(running->second.executor, partition, running->second.run.ref);
  }
  partition.running_early.erase(running);
}

// All have reported: what was kept is the last word on its records.
void Core::State::SettleEarly(Partition& partition) {
  const auto end = partition.finished_early.lower_bound(partition.ledger.next());
  std::vector<EarlyDone> kept;
  for (auto early = partition.finished_early.begin(); early != end; ++early) kept.push_back(std::move(early->second));
  partition.finished_early.erase(partition.finished_early.begin(), end);
  for (EarlyDone& early : kept) {
    Invocation* invocation = Find(partition, early.done.ref.offset);
    if (invocation == nullptr) {
      partition.covered.push_back({early.executor, early.done.ref});
      continue;
    }
    invocation->owed.push_back({early.executor, early.done.ref});
    const bool waits = invocation->stage == Stage::kKeyed || invocation->stage == Stage::kNoFunction ||
                       invocation->stage == Stage::kQueued;
    if (!waits || early.done.ref.attempt <= invocation->attempt) continue;
    invocation->attempt = early.done.ref.attempt;
    invocation->executor = early.executor;
    Settle(*invocation, early.done);
  }
}

void Core::State::Settle(Invocation& invocation, const link::Done& done) {
  if (done.times.leased_us != 0) {
    const std::int64_t placed_us = invocation.times.placed_us;
    const Times before = invocation.times;
    invocation.times = done.times;
    invocation.times.enqueued_us = before.enqueued_us;
    invocation.times.received_us = before.received_us;
    if (placed_us != 0) invocation.times.placed_us = placed_us;
  }
  if (done.billed_ms > 0) {  // the executor's interval: when user code began and ended is what the guest claims
    turns_.Learn(invocation.request.user, invocation.request.function, done.billed_ms);
  }
  invocation.final_path = done.start_path;
  if (!done.error_message.empty()) invocation.last_error = done.error_message;
  const std::string reason = done.error_type.empty() ? std::string(StatusName(done.status)) : done.error_type;
  switch (done.outcome) {
    case link::Outcome::kPublished:
      if (IsFailure(done.status)) {
        ++invocation.failed_tries;
        Finish(invocation, done.status, reason, {DeadLetterOutput(invocation, reason, done.error_message)});
      } else {
        Finish(invocation, done.status, "published", {});
      }
      return;
    case link::Outcome::kFailed: OnFailedTry(invocation, done); return;
    case link::Outcome::kInfrastructure:
      if (done.times.leased_us == 0 && done.error_type == "orphaned") {  // it never began
        ++invocation.returned;
        Note(Trace::Kind::kRetried, invocation, "orphaned");
        Enqueue(invocation);
        return;
      }
      OnInfrastructure(invocation, done.times.leased_us != 0, "infrastructure");
      return;
    case link::Outcome::kExpired:
      Refuse(invocation, {Verdict::kExpire, "expired", "the invocation expired before it started"});
      return;
  }
}

void Core::State::OnFailedTry(Invocation& invocation, const link::Done& done) {
  const Function* function = FunctionOf(invocation.request);
  const std::int32_t most = function != nullptr ? function->max_attempts : kDefaultAttempts;
  // A try that was reported as failed was not the final one: at least one more is owed. Its number comes with the
  // report, because the first that we hear of may be a later one of an earlier owner, and may be heard of twice.
  const std::int32_t by_attempt = invocation.attempt - invocation.infrastructure_failures - invocation.returned;
  const std::int32_t tries = done.try_number > 0 ? done.try_number : std::max(invocation.failed_tries + 1, by_attempt);
  invocation.failed_tries = std::max(invocation.failed_tries, std::min(tries, std::max(most - 1, 0)));
  const std::int64_t deadline_ms = DeadlineMs(invocation.request, function, invocation.record->timestamp_ms);
  const std::int64_t wait_ms = BackoffMs(invocation.serial, invocation.failed_tries);
  const bool too_late = deadline_ms != 0 && context_.wall_ms() + wait_ms >= deadline_ms;
  const std::string reason = done.error_type.empty() ? std::string(StatusName(done.status)) : done.error_type;
  if (too_late || most <= 1) {
    Finish(invocation, done.status, reason,
           {DeadLetterOutput(invocation, reason, done.error_message),
            ReplyOutput(invocation, done.status, done.error_type, done.error_message)});
    return;
  }
  ChangeStage(invocation, Stage::kBackoff);
  SetTimer(invocation, context_.After(wait_ms));
  Note(Trace::Kind::kRetried, invocation, reason).status = done.status;
}

void Core::State::OnInfrastructure(Invocation& invocation, bool may_have_started, std::string_view reason) {
  ++invocation.infrastructure_failures;
  if (invocation.last_error.empty()) invocation.last_error = std::string(reason);
  const Function* function = FunctionOf(invocation.request);
  if (invocation.infrastructure_failures >= kMaxInfrastructureFailures) {
    const std::string message = "the machine or executor died under it " +
                                std::to_string(invocation.infrastructure_failures) + " times: " + invocation.last_error;
    Finish(
        invocation, Status::kPoison, "poison",
        {DeadLetterOutput(invocation, "poison", message), ReplyOutput(invocation, Status::kPoison, "poison", message)});
    return;
  }
  if (function != nullptr && function->max_attempts == 1 && may_have_started) {  // at most once was asked for
    const std::string message = "its only attempt was lost: " + std::string(reason);
    Finish(invocation, Status::kError, "attempt_lost",
           {DeadLetterOutput(invocation, "attempt_lost", message),
            ReplyOutput(invocation, Status::kError, "attempt_lost", message)});
    return;
  }
  Note(Trace::Kind::kRetried, invocation, reason);
  Enqueue(invocation);
}

void Core::State::OnNack(Executor& executor, const link::Nack& nack) {
  Partition* partition = Find(nack.ref.partition);
  if (partition == nullptr || nack.ref.epoch != partition->epoch) return;
  Invocation* invocation = Find(*partition, nack.ref.offset);
  if (invocation == nullptr || invocation->stage != Stage::kPlaced || invocation->executor != executor.id() ||
      invocation->attempt != nack.ref.attempt) {
    return;
  }
  const Function* function = FunctionOf(invocation->request);
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
  Note(Trace::Kind::kNacked, *invocation, reason);
  ++invocation->returned;
  if (nack.reason == link::NackReason::kUnknownFunction) {
    // One of the two has not read the registry so far yet. The others' work goes on meanwhile.
    ChangeStage(*invocation, Stage::kBackoff);
    return SetTimer(*invocation, context_.After(kUnknownFunctionWaitMs));
  }
  Enqueue(*invocation);
  // The executor obeys a higher epoch: the partition is somebody else's, unless our commit still goes through.
  if (nack.reason == link::NackReason::kFenced && partition->phase != Partition::Phase::kClaiming) {
    Reclaim(*partition, partition->epoch + 1);
  }
}

}  // namespace hearth::dispatcher
