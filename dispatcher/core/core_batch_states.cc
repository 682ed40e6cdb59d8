// What is told of a batch that runs, and its end.
#include <algorithm>
#include <map>

#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

// Time goes by for what runs.
void Core::TickBatches() {
  batches_.Tick();
  std::map<UserId, std::int64_t> priorities;
  for (const Batch* batch : batches_.running()) priorities[batch->ref.user] += OrdersOf(batch).priority;
  for (Batch* batch : std::vector<Batch*>(batches_.running())) {
    if (batches_.EpochOf(batch->home) == 0) continue;  // it may be somebody else's
    if (batch->stage == BatchStage::kRunning) {
      TakeOrders(*batch, priorities[batch->ref.user]);
      batches_.Touch(*batch);
      WriteStatusPages(*batch, false);
      TellState(*batch);
    } else {
      batches_.Touch(*batch);
    }
  }
  if (context_.now_us() < expired_at_us_) return;
  expired_at_us_ = context_.After(kExpiredBatchesMs);
  batches_.ForEach([this](Batch& batch) {
    if (batch.stage == BatchStage::kKnown || batch.stage == BatchStage::kEnded) batches_.Touch(batch);
  });
}

void Core::TellState(Batch& batch) {
  constexpr std::int64_t kPaceUs = 60'000'000;
  constexpr std::int64_t kPaceStepUs = 1'000'000;
  if (batch.state_sent || context_.now_us() < batch.state_at_us + kStateIntervalMs * kMicrosPerMilli) return;
  BatchRun& run = *batch.run;
  BatchState next = batch.state;
  next.counts = run.statuses.Counts();
  next.reason = "";
  if (run.stop != StopCause::kNone) {
    next.phase = BatchPhase::kEnding;
    next.reason = ReasonOfStop(run.stop);
  } else if (run.window == 0) {
    next.phase = BatchPhase::kPaused;
    run.pace.clear();
    if (run.is_outdated) next.reason = "the function was deployed anew: resume runs it as it is now";
  } else {
    next.phase = next.times.started_ms == 0 ? BatchPhase::kQueued : BatchPhase::kRunning;
  }
  const std::int64_t ended = next.counts.Total() - next.counts[ItemStatus::kPending];
  if (run.pace.empty() || context_.now_us() - run.pace.back().first >= kPaceStepUs) {
    run.pace.emplace_back(context_.now_us(), ended);
    if (run.pace.front().first < context_.now_us() - kPaceUs) run.pace.pop_front();
  }
  const auto [since_us, before] = run.pace.front();
  const std::int64_t took_us = context_.now_us() - since_us;
  next.rate_per_min = took_us > 0 ? (ended - before) * kPaceUs / took_us : 0;
  next.estimate_ms =
      next.rate_per_min > 0 ? context_.wall_ms() + next.counts[ItemStatus::kPending] * 60'000 / next.rate_per_min : 0;
  const auto same = [](BatchState one, BatchState other) {
    one.rate_per_min = other.rate_per_min = one.estimate_ms = other.estimate_ms = 0;
    return one == other;
  };
  if (!batch.state_due && same(next, batch.state)) return;
  batch.state = std::move(next);
  batches_.WriteState(batch, false);
}

// Every item has its status, and all pages say so.
void Core::Freeze(Batch& batch) {
  BatchRun& run = *batch.run;
  batch.stage = BatchStage::kFreezing;
  batch.state.counts = run.statuses.Counts();
  batch.state.phase = BatchPhase::kEnded;
  batch.state.outcome = OutcomeOf(batch.state.counts, run.stop);
  batch.state.reason = ReasonOfStop(run.stop);
  batch.state.times.ended_ms = context_.wall_ms();
  batch.state.estimate_ms = 0;
  batch.state.on_complete.reset();
  batches_.Touch(batch);
}

// The state that says that it has ended is durable: who wants to know is told.
void Core::Complete(Batch& batch) {
  batch.stage = BatchStage::kCompleting;
  const OnComplete& on_complete = batch.accepted->on_complete;
  if (on_complete.empty()) return End(batch);
  if (!on_complete.topic.empty()) return batches_.Tell(batch, on_complete.topic);
  BatchItem item;
  item.payload = EncodeBatchState(batch.state);
  item.content_type = kInlineContentType;
  invocations_.Receive(*batch.run->partition, batch.run->places.size());
  TakeUpItem(batch, batch.run->places.size(), kOnCompleteIndex, std::move(item));
}

void Core::ReviewCompletion(Batch& batch) {
  const OnComplete& on_complete = batch.accepted->on_complete;
  if (!batch.state.on_complete) {
    if (!on_complete.topic.empty() && batch.retry_at_us != 0) batches_.Tell(batch, on_complete.topic);
    return;
  }
  if (!batch.is_told && batches_.WriteState(batch, true)) batch.is_told = true;
}

void Core::End(Batch& batch) {
  batch.stage = BatchStage::kEnded;
  ownership_.AcknowledgeCovered(*batch.run->partition);
  batches_.End(batch);
  ForgetRun(batch);
  batches_.LetGo(batch);
  batches_.Touch(batch);
}

void Core::ReviewEnded(Batch& batch) {
  if (const WantRedrive* redrive = NextRedrive(batch.wishes, batch.state.generation)) {
    batch.stage = BatchStage::kRedriving;
    BatchState& state = batch.state;
    state.generation = redrive->generation;
    state.selection = redrive->selection;
    if (redrive->version != kVersionOfOwner) state.version = redrive->version;
    state.phase = BatchPhase::kQueued;
    state.outcome = BatchOutcome::kNone;
    state.reason.clear();
    state.on_complete.reset();
    state.times.started_ms = state.times.ended_ms = 0;
    state.rate_per_min = state.estimate_ms = 0;
    ShowOrders(state, OrdersOf(&batch));
    for (const ItemStatusRow& row : kItemStatuses) {
      if (row.status == ItemStatus::kPending || !state.selection.Has(row.status)) continue;
      state.counts[ItemStatus::kPending] += std::exchange(state.counts[row.status], 0);
    }
    return batches_.Touch(batch);
  }
  if (HasExpired(batch)) batches_.Remove(batch);
}

// Items and results are kept no longer either.
bool Core::HasExpired(const Batch& batch) const {
  const std::int64_t ended_ms = batch.state.times.ended_ms;
  return batch.has_state && ended_ms != 0 && context_.wall_ms() - ended_ms > kBatchRetentionMs;
}

}  // namespace hearth::dispatcher
