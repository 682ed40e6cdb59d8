// Steps, timers, numbers.
#include "dispatcher/core/core.h"

#include <algorithm>

namespace hearth::dispatcher {

Core::Core(Settings settings)
    : context_(std::move(settings)),
      reply_policy_{context_.settings().reply_topic, context_.settings().reply_topics_allowed,
                    context_.settings().own_topics},
      claims_(context_, warm_),
      executors_(context_, warm_, claims_),
      turns_(context_, executors_.places()),
      invocations_(context_, turns_, executors_, reading_),
      ownership_(context_, executors_, registry_),
      batches_(context_),
      journal_(context_) {}

void Core::Step(const Event& event, Time now, std::vector<Effect>& effects) {
  context_.Begin(now, effects);
  executors_.Advance();
  // Who stood still for as long as a session may have been deposed without knowing it. Nothing is placed before a
  // commit has shown whose the partitions are: the next owner may not see every executor, and an executor that has not
  // heard of it would run what is being run.
  if (ownership_.StoodStill()) {
    for (const auto& [id, partition] : ownership_.all()) {
      if (partition->owned() && partition->batch() == nullptr) Reclaim(*partition, partition->epoch() + 1);
    }
  }
  std::visit([this](const auto& one) { On(one); }, event);
  ReviewBatches();
  Dispatch();
  ReadBackNext();
  CheckDrain();
}

Gauges Core::ReadGauges(Time now) const {
  Gauges gauges;
  for (const auto& [id, partition] : ownership_.all()) {
    const PartitionRecords& records = partition->records();
    gauges.received += records.ledger().received();
    gauges.complete += records.ledger().complete();
    gauges.in_flight += records.ledger().incomplete();
    gauges.parked += records.backlog().parked();
    gauges.backlog_lanes += records.backlog().lanes();
    gauges.held_bytes += records.backlog().bytes();
    gauges.window_max = std::max(gauges.window_max, records.ledger().window());
    gauges.incomplete_ranges_max = std::max(gauges.incomplete_ranges_max, records.ledger().incomplete_ranges());
    if (!records.held().empty()) {
      const std::int64_t oldest_us = records.held().begin()->second.received_us();
      gauges.oldest_incomplete_age_ms =
          std::max(gauges.oldest_incomplete_age_ms, (now.mono_us - oldest_us) / kMicrosPerMilli);
    }
  }
  gauges.partitions =
      std::ranges::count_if(ownership_.all(), [](const auto& one) { return one.second->batch() == nullptr; });
  gauges.placed = invocations_.placed();
  gauges.queued = gauges.in_flight - gauges.parked - invocations_.placed() - invocations_.producing();
  gauges.held_bytes_limit = context_.settings().room.bytes * gauges.partitions;
  gauges.users = static_cast<std::int64_t>(turns_.users());
  gauges.users_wanting = turns_.wanting();
  gauges.lanes_sleeping = turns_.sleeping();
  gauges.missed_wakeups = turns_.missed_wakeups();
  for (const auto& [id, executor] : executors_.all()) gauges.executors_up += executor.connected() ? 1 : 0;
  gauges.maps_truncated = ownership_.maps_truncated();
  gauges.pages_written = ownership_.pages_written();
  gauges.page_failures = ownership_.page_failures();
  gauges.batches_running = std::ssize(batches_.running());
  gauges.batches_waiting = batches_.waiting();
  gauges.batch_items_ended = ended_items_;
  for (const Batch* batch : batches_.running()) {
    gauges.batch_window += batch->run == nullptr ? 0 : batch->run->window;
    gauges.batch_items_pending += batch->state.counts[ItemStatus::kPending];
    const std::int64_t age_ms = now.wall_us / kMicrosPerMilli - batch->state.times.submitted_ms;
    gauges.oldest_batch_age_ms = std::max(gauges.oldest_batch_age_ms, age_ms);
  }
  gauges.output_failures = output_failures_;
  gauges.lost = lost_;
  gauges.decisions = static_cast<std::int64_t>(journal_.size());
  gauges.decision_bytes = static_cast<std::int64_t>(journal_.bytes());
  return gauges;
}

void Core::On(const Tick&) {
  executors_.Tick();
  while (Invocation* due = invocations_.TakeDue()) FireTimer(*due);
  for (const ExecutorId& id : executors_.TakeSilent()) EndLease(id);
  for (const PartitionId& id : reading_.TakeRetries(context_.now_us())) {
    if (Partition* partition = ownership_.Find(id); partition != nullptr) invocations_.TryAgain(*partition);
  }
  for (const auto& [id, partition] : ownership_.all()) {
    if (!partition->owned()) {
      ownership_.RetryClaim(*partition);
      continue;
    }
    ReviewSettling(*partition);
    if (partition->settled()) invocations_.WantExpired(*partition);
    ownership_.CommitIfDue(*partition);
    if (partition->intake().paused()) UpdateIntake(*partition);
  }
  ownership_.WritePages();
  TickBatches();
  ForgetIdleUsers(kMaxIdleUsers);
  LookAtSleepers();
  TellDemand();
}

void Core::FireTimer(Invocation& invocation) {
  constexpr std::int64_t kSettleLookMs = 100;  // what expired while its partition settles is looked at again
  switch (invocation.stage()) {
    case Stage::kKeyed:
    case Stage::kQueued:
      if (!ownership_.MayPlace(invocation)) {  // it may have ended under a former owner
        return invocations_.SetTimer(invocation, context_.After(kSettleLookMs));
      }
      return Expire(invocation);
    case Stage::kNoFunction: {
      Answer answer = AnswerTo(invocation);
      if (answer.verdict == Verdict::kAdmit) return Activate(invocation);
      if (answer.verdict == Verdict::kAwaitFunction) answer.verdict = Verdict::kReject;
      return Refuse(invocation, answer);
    }
    case Stage::kBackoff: return Enqueue(invocation);
    case Stage::kProduceBackoff: return ProduceNext(invocation);
    case Stage::kPlaced: {
      // Far beyond its time-out: the executor, if it is there, says what became of it.
      const Executor* executor = executors_.Find(invocation.executor());
      Partition& partition = invocation.partition();
      if (partition.owned() && executor != nullptr && executor->connected()) ownership_.Fence(partition, *executor);
      return invocations_.SetTimer(invocation, context_.After(kOverdueGraceMs));
    }
    case Stage::kArrived:
    case Stage::kProducing:
    case Stage::kGone: return;
  }
}

void Core::On(const DrainRequested&) {
  if (context_.draining()) return;
  context_.Drain();
  drain_until_us_ = context_.After(context_.settings().drain_deadline_ms);
  for (const auto& [id, partition] : ownership_.all()) {
    if (partition->batch() == nullptr) partition->intake().Stop(id, context_);
  }
  for (Batch* batch : batches_.running()) {
    if (batch->run != nullptr) WriteStatusPages(*batch, true);
  }
}

void Core::CheckDrain() {
  if (!context_.draining() || drained_) return;
  const bool busy = invocations_.placed() > 0 || invocations_.producing() > 0;
  if (busy && context_.now_us() < drain_until_us_) return;
  drained_ = true;
  for (const auto& [id, partition] : ownership_.all()) {
    if (partition->owned() && partition->batch() == nullptr) ownership_.Commit(*partition, true);
  }
  context_.Emit(DrainFinished{});
}

}  // namespace hearth::dispatcher
