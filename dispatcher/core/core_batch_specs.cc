// The specs of batches that have waited are read again.
#include "dispatcher/core/core.h"

#include <utility>

namespace hearth::dispatcher {

// There is room for it, and where its items are was let go.
void Core::FetchSpec(Batch& batch) {
  batch.stage = BatchStage::kFetching;
  batch.retry_at_us = 0;
  reading_.Add({ownership_.Find(batch.home), nullptr, &batch});
}

void Core::TakeSpec(const ReadBackFinished& chunk) {
  Batch* batch = batches_.Find(chunk.partition, spec_of_);
  if (batch == nullptr || batch->stage != BatchStage::kFetching) return;
  const bool is_there = !chunk.records.empty() && batches_.TakeAgain(*batch, *chunk.records.front());
  if (is_there) return Start(*batch);
  const bool is_known = chunk.is_missing || (chunk.error.empty() && chunk.next > batch->accepted_at);
  if (!is_known) {
    batch->retry_at_us = context_.After(kBatchRetryMs);
    return batches_.Later(*batch);
  }
  // Somebody has taken it away while it waited.
  batches_.End(*batch);
  BatchState& state = batch->state;
  state.phase = BatchPhase::kEnded;
  state.outcome = BatchOutcome::kFailed;
  state.reason = "its spec is no longer on " + context_.settings().batches_topic;
  state.counts[ItemStatus::kGone] += std::exchange(state.counts[ItemStatus::kPending], 0);
  state.times.ended_ms = context_.wall_ms();
  batch->stage = BatchStage::kEnded;
  batches_.WriteState(*batch, true);
}

}  // namespace hearth::dispatcher
