// Records of batches that their owner writes.
#include <algorithm>
#include <utility>

#include "dispatcher/core/batches.h"

namespace hearth::dispatcher {

void Batches::Accept(Batch& batch, BatchSpec spec) {
  batch.stage = BatchStage::kAccepting;
  batch.accepted = std::make_unique<const BatchSpec>(std::move(spec));
  OutRecord record{context_.settings().batches_topic,
                   FormatBatchKey({batch.ref, BatchKey::Kind::kAccepted}),
                   EncodeBatchSpec(*batch.accepted),
                   {}};
  batch.accepted_at = -1;
  batch.accepted_bytes = record.value.size();
  batch.accepted_hash = HashOf(record.value);
  batch.has_items = true;
  batch.offered.reset();
  Send(batch, Kind::kAccepted, std::move(record));
}

void Batches::Refuse(Batch& batch, std::string reason) {
  if (reason.size() > kMaxBatchReasonBytes) reason.resize(kMaxBatchReasonBytes);
  const bool is_said = batch.has_state && batch.state.phase == BatchPhase::kEnded && batch.state.reason == reason &&
                       batch.state.times.submitted_ms == batch.offered_ms;
  if (is_said) return;
  batch.state = BatchState();
  batch.state.phase = BatchPhase::kEnded;
  batch.state.outcome = BatchOutcome::kFailed;
  batch.state.reason = std::move(reason);
  batch.state.times.submitted_ms = batch.offered_ms;
  batch.state.times.ended_ms = context_.wall_ms();
  if (batch.offered && *batch.offered) {
    batch.state.function = (*batch.offered)->function;
    batch.state.digest = (*batch.offered)->digest;
  }
  WriteState(batch, true);
}

bool Batches::WriteState(Batch& batch, bool at_once) {
  const std::int64_t many = std::ssize(running_) * 1000 / kMaxStateWritesPerSecond;
  const std::int64_t next_us = batch.state_at_us + std::max(kStateIntervalMs, many) * kMicrosPerMilli;
  if (batch.state_sent || (!at_once && batch.state_at_us != 0 && context_.now_us() < next_us)) {
    batch.state_due = true;
    return false;
  }
  batch.state_due = false;
  batch.state_sent = true;
  batch.has_state = true;
  batch.state_at_us = context_.now_us();
  batch.state.epoch = EpochOf(batch.home);
  batch.state.times.updated_ms = context_.wall_ms();
  OutRecord record{context_.settings().batch_state_topic, FormatBatchRef(batch.ref), EncodeBatchState(batch.state), {}};
  Send(batch, Kind::kState, std::move(record));
  return true;
}

void Batches::Tell(Batch& batch, const std::string& topic) {
  OutRecord record{topic, FormatBatchRef(batch.ref), EncodeBatchState(batch.state), {}};
  record.headers.push_back({"content-type", "application/json"});
  record.headers.push_back({"hearth-batch", FormatBatchRef(batch.ref)});
  const auto token = ++last_token_;
  sent_[token] = {batch.home, batch.ref, Kind::kTold};
  context_.Emit(Produce{token, Share(std::move(record))});
}

void Batches::Remove(Batch& batch) {
  const auto take_away = [&](const std::string& topic, const std::string& key) {
    OutRecord record{topic, key, "", {}};
    record.null_value = true;
    record.partition = batch.home.partition;
    context_.Emit(Produce{++last_token_, Share(std::move(record))});
  };
  for (const std::string& key : batch.keys) take_away(context_.settings().batches_topic, key);
  if (batch.has_state) take_away(context_.settings().batch_state_topic, FormatBatchRef(batch.ref));
  for (const PageKey& page : batch.old_pages) context_.Emit(WritePage{page, ""});
  std::erase(touched_, &batch);
  std::erase(later_, &batch);
  std::erase(running_, &batch);
  homes_.at(batch.home).batches.erase(BatchRef(batch.ref));
}

void Batches::Send(Batch& batch, Kind kind, OutRecord record) {
  record.partition = batch.home.partition;
  const auto token = ++last_token_;
  sent_[token] = {batch.home, batch.ref, kind};
  batch.retry_at_us = 0;
  context_.Emit(Produce{token, Share(std::move(record))});
}

Batches::Written Batches::TakeWritten(const ProduceFinished& produced) {
  const auto found = sent_.find(produced.token);
  if (found == sent_.end()) return {};
  const Sent sent = std::move(found->second);
  sent_.erase(found);
  Batch* batch = Find(sent.home, sent.ref);
  if (batch == nullptr) return {};
  if (sent.kind == Kind::kState) batch->state_sent = false;
  if (!produced.ok) batch->retry_at_us = context_.After(kBatchRetryMs);
  Touch(*batch);
  return {batch, sent.kind, produced.ok};
}

}  // namespace hearth::dispatcher
