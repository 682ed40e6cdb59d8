// What executors say of a partition that we have taken over, and what waits until all have said it.
#include "dispatcher/core/core.h"

namespace hearth::dispatcher {
namespace {

// It waits for its first place, or for one after it came back.
bool AwaitsPlace(Stage stage) {
  return stage == Stage::kKeyed || stage == Stage::kNoFunction || stage == Stage::kQueued;
}

}  // namespace

void Core::OnFenceReport(Executor& executor, const link::FenceReport& report) {
  Partition* partition = ownership_.Find(report.partition);
  if (partition == nullptr) return;  // what is owed stays owed, to the next owner
  if (report.refused) {              // somebody has this epoch or a higher one: only a commit shows who the owner is
    if (partition->owned() && report.epoch >= partition->epoch() && report.epoch < kMaxLedgerEpoch) {
      Reclaim(*partition, report.epoch + 1);
    }
    return;
  }
  if (report.epoch != partition->epoch() || !partition->owned()) return;
  if (FindsDisorder(*partition, report)) return;  // all are asked again
  for (const link::Running& run : report.running) {
    ownership_.NoteRunning(*partition, executor.id(), run.ref);
    NoteRunning(*partition, executor, run);
  }
  for (const link::Done& done : report.finished) OnDone(executor, done, true);
  if (report.more) return;
  const Ownership::Report told = ownership_.TakeReport(*partition, executor.id());
  partition->early().KeepRunsOf(executor.id(), told.running);
  LosePlacements(*partition, executor, told);
  ReviewSettling(*partition);
}

// What was placed with the executor before the fence that it answers, and does not run there, is lost.
void Core::LosePlacements(Partition& partition, const Executor& executor, const Ownership::Report& report) {
  const auto is_lost = [&](const Invocation& invocation) {
    return invocation.stage() == Stage::kPlaced && invocation.executor() == executor.id() &&
           invocation.placed_order() < report.fence_order &&
           !report.running.contains({invocation.offset(), invocation.tries().attempt()});
  };
  if (report.fence_order == 0) return;
  for (Invocation* invocation : partition.records().Select(is_lost)) {
    // A process that was born since has lost it in the middle; the same process never got it.
    const bool died = invocation->placed_incarnation() != executor.incarnation();
    journal_.Note(Trace::Kind::kLostPlacement, *invocation, died ? "executor_died" : "never_arrived");
    if (died) {
      OnInfrastructure(*invocation, true, "executor_died");
    } else {
      invocation->tries().Return();
      Enqueue(*invocation);
    }
  }
}

// An attempt of an earlier owner, or of ours, is adopted where its record still waits for one, and dropped where it
// does not.
void Core::NoteRunning(Partition& partition, Executor& executor, const link::Running& run) {
  const link::AttemptRef& ref = run.ref;
  Invocation* invocation = partition.records().Find(ref.offset);
  if (invocation == nullptr && partition.records().ledger().IsOpen(ref.offset)) {
    if (const auto idle = partition.early().NoteRun({executor.id(), run})) {
      ownership_.Drop(partition, idle->executor, idle->run.ref);
    }
    return;
  }
  if (invocation == nullptr || !invocation->Is(run.id, run.enqueued_us)) {
    return ownership_.Drop(partition, executor.id(), ref);
  }
  if (invocation->IsPlaced(executor.id(), ref.attempt)) return;
  const std::int32_t attempt = invocation->tries().attempt();
  const bool later = invocation->stage() == Stage::kBackoff && ref.attempt > attempt;
  if (later || (AwaitsPlace(invocation->stage()) && ref.attempt >= attempt)) {
    return Adopt(*invocation, executor, ref.attempt);
  }
  ownership_.Drop(partition, executor.id(), ref);
}

void Core::Adopt(Invocation& invocation, Executor& executor, std::int32_t attempt) {
  const Function* function = FunctionOf(invocation);
  invocations_.Adopt(invocation, executor, attempt, function);
  const std::int64_t timeout_ms = function != nullptr ? function->timeout_ms : kMaxTimeoutMs;
  invocations_.SetTimer(invocation, context_.After(timeout_ms + kOverdueGraceMs));
  journal_.Note(Trace::Kind::kAdopted, invocation, "running");
}

// Pages say that what they run is complete.
void Core::DropRunsOfComplete(Partition& partition) {
  const auto is_complete = [&](std::int64_t offset) { return !partition.records().ledger().IsOpen(offset); };
  for (const EarlyRun& each : partition.early().TakeRuns(is_complete)) {
    ownership_.Drop(partition, each.executor, each.run.ref);
  }
}

// Of a record that was not read yet, or whose other executors have not reported, the end that says most is kept.
void Core::NoteEarlyEnd(Partition& partition, const ExecutorId& executor, const link::Done& done) {
  const auto superseded = partition.early().NoteEnd({executor, done});
  if (const auto& end = superseded.end) ownership_.Cover(partition, end->executor, end->done.ref);
  if (const auto& run = superseded.run) ownership_.Drop(partition, run->executor, run->run.ref);
}

void Core::ReviewSettling(Partition& partition) {
  if (!ownership_.Settle(partition)) return;
  SettleEarlyEnds(partition);
  QueueHeld(partition);
}

void Core::LearnFailures(Invocation& invocation, const EarlyEnd& early) {
  if (early.failed) invocation.NoteFailure(*early.failed);
  if (early.done.outcome == link::Outcome::kFailed) invocation.NoteFailure(early.done);
}

// All have reported: what was kept is the last word on its records.
void Core::SettleEarlyEnds(Partition& partition) {
  const PartitionRecords& records = partition.records();
  const auto was_read = [&](std::int64_t offset) {
    return records.Find(offset) != nullptr || !records.ledger().IsOpen(offset);
  };
  for (const EarlyEnd& early : partition.early().TakeEndsBelow(records.ledger().next(), was_read)) {
    const link::AttemptRef& ref = early.done.ref;
    Invocation* invocation = partition.records().Find(ref.offset);
    if (invocation == nullptr) {
      ownership_.Cover(partition, early.executor, ref);
      continue;
    }
    LearnFailures(*invocation, early);
    invocation->Owe(early.executor, ref);
    if (!AwaitsPlace(invocation->stage()) || ref.attempt <= invocation->tries().attempt()) continue;
    invocations_.SeeEnd(*invocation, early.executor, ref.attempt);
    EndAttempt(*invocation, early.done);
  }
}

}  // namespace hearth::dispatcher
