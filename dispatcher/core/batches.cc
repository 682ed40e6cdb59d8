#include "dispatcher/core/batches.h"

#include <algorithm>
#include <utility>

namespace hearth::dispatcher {

void Batches::Begin(const PartitionId& home, std::int64_t log_end) {
  homes_.erase(home);
  Home& fresh = homes_[home];
  fresh.log_end = log_end;
  fresh.is_read = log_end <= 0;
}

void Batches::Forget(const PartitionId& home) {
  const auto is_there = [&](const Batch* batch) { return batch->home == home; };
  std::erase_if(touched_, is_there);
  std::erase_if(later_, is_there);
  std::erase_if(running_, is_there);
  std::erase_if(sent_, [&](const auto& one) { return one.second.home == home; });
  homes_.erase(home);
}

Batch& Batches::Get(Home& home, const PartitionId& id, const BatchRef& ref) {
  auto& batch = home.batches[ref];
  if (batch == nullptr) batch = std::make_unique<Batch>(ref, id);
  return *batch;
}

void Batches::Take(const Record& record) {
  const auto home = homes_.find(record.partition);
  if (home == homes_.end()) return;
  if (const auto key = ParseBatchKey(record.key); key && !record.null_key) {
    if (record.null_value) {
      // A tombstone of ours, or of an operator: what runs goes on as it was taken.
      if (Batch* batch = Find(home->first, key->ref); batch != nullptr) batch->keys.erase(record.key);
    } else {
      Batch& batch = Get(home->second, home->first, key->ref);
      batch.keys.insert(record.key);
      switch (key->kind) {
        case BatchKey::Kind::kSpec: TakeSpec(batch, record); break;
        case BatchKey::Kind::kAccepted: TakeAccepted(batch, record); break;
        case BatchKey::Kind::kWant: TakeWish(batch, key->field, record); break;
      }
      Touch(batch);
    }
  }
  CaughtUp(home->first, record.offset + 1);
}

void Batches::TakeSpec(Batch& batch, const Record& record) {
  if (batch.accepted != nullptr) return;
  batch.offered = DecodeBatchSpec(record.value);
  batch.offered_ms = KnownTimeMs(record.timestamp_ms);
  batch.offered_us = context_.now_us();
}

// What we take ourselves comes back, and is known by then.
void Batches::TakeAccepted(Batch& batch, const Record& record) {
  if (batch.stage != BatchStage::kKnown) return;
  auto spec = DecodeBatchSpec(record.value);
  if (!spec) return;  // no owner has written that
  batch.accepted = std::make_unique<const BatchSpec>(std::move(*spec));
}

void Batches::TakeWish(Batch& batch, WantField field, const Record& record) {
  auto& wish = batch.wishes.at(static_cast<std::size_t>(field));
  const auto want = DecodeWant(field, record.value);
  if (!want) return;  // the last that could be read holds
  if (const auto* deadline = std::get_if<WantDeadline>(&*want)) {
    if (!CheckBatchDeadline(deadline->deadline_ms, KnownTimeMs(record.timestamp_ms))) return;
  }
  batch.has_new_wishes = true;
  wish = Wish{*want, record.offset, KnownTimeMs(record.timestamp_ms)};
  if (batch.offered_us == 0) batch.offered_us = context_.now_us();
}

void Batches::CaughtUp(const PartitionId& id, std::int64_t next) {
  const auto home = homes_.find(id);
  if (home == homes_.end() || home->second.is_read || next < home->second.log_end) return;
  home->second.is_read = true;
  TouchAll(id);
}

void Batches::Own(const PartitionId& id, std::int64_t epoch) {
  const auto home = homes_.find(id);
  if (home == homes_.end()) return;
  home->second.epoch = epoch;
  home->second.asked_states = false;
  if (!home->second.has_states) AskForStates(id, home->second);
}

void Batches::Disown(const PartitionId& id) {
  const auto home = homes_.find(id);
  if (home == homes_.end()) return;
  home->second.epoch = 0;
}

void Batches::AskForStates(const PartitionId& id, Home& home) {
  home.asked_states = true;
  context_.Emit(ReadStates{id, home.epoch});
}

void Batches::TakeStates(const StatesRead& read) {
  const auto home = homes_.find(read.partition);
  if (home == homes_.end() || !home->second.asked_states || home->second.epoch != read.epoch) return;
  home->second.asked_states = false;
  if (!read.ok) {
    home->second.again_at_us = context_.After(kBatchRetryMs);
    return;
  }
  home->second.has_states = true;
  for (const StatesRead::State& one : read.states) {
    Batch& batch = Get(home->second, read.partition, one.batch);
    batch.state = one.state;
    batch.has_state = true;
  }
  TouchAll(read.partition);
}

void Batches::Tick() {
  for (Batch* batch : std::exchange(later_, {})) {
    batch->is_later = false;
    Touch(*batch);
  }
  for (auto& [id, home] : homes_) {
    if (home.epoch == 0) continue;
    if (home.again_at_us != 0 && context_.now_us() >= home.again_at_us) {
      home.again_at_us = 0;
      if (!home.has_states && !home.asked_states) AskForStates(id, home);
    }
  }
}

void Batches::Touch(Batch& batch) {
  if (!std::exchange(batch.dirty, true)) touched_.push_back(&batch);
}

void Batches::Later(Batch& batch) {
  if (!std::exchange(batch.is_later, true)) later_.push_back(&batch);
}

void Batches::TouchAll(const PartitionId& home) {
  ForEach(home, [this](Batch& batch) { Touch(batch); });
}

Batch* Batches::TakeTouched() {
  while (!touched_.empty()) {
    Batch* batch = touched_.front();
    touched_.pop_front();
    batch->dirty = false;
    const Home& home = homes_.at(batch->home);
    if (home.epoch != 0 && home.is_read && home.has_states) return batch;
  }
  return nullptr;
}

Batch* Batches::Find(const PartitionId& id, const BatchRef& ref) {
  const auto home = homes_.find(id);
  if (home == homes_.end()) return nullptr;
  const auto batch = home->second.batches.find(ref);
  return batch == home->second.batches.end() ? nullptr : batch->second.get();
}

void Batches::ForEach(const std::function<void(Batch&)>& call) {
  for (auto& [id, home] : homes_) ForEach(id, call);
}

void Batches::ForEach(const PartitionId& id, const std::function<void(Batch&)>& call) {
  const auto home = homes_.find(id);
  if (home == homes_.end()) return;
  for (auto& [ref, batch] : home->second.batches) call(*batch);
}

std::int64_t Batches::EpochOf(const PartitionId& id) const {
  const auto home = homes_.find(id);
  return home == homes_.end() ? 0 : home->second.epoch;
}

std::int64_t Batches::waiting() const {
  return std::ranges::count_if(later_, [](const Batch* batch) { return batch->stage == BatchStage::kWaiting; });
}

bool Batches::HasRoom(const UserId& user) const {
  const auto is_theirs = [&](const Batch* batch) { return batch->ref.user == user; };
  return std::ssize(running_) < kMaxRunningBatches &&
         std::ranges::count_if(running_, is_theirs) < kMaxRunningBatchesOfUser;
}

void Batches::Run(Batch& batch) {
  running_.push_back(&batch);
}

void Batches::End(Batch& batch) {
  std::erase(running_, &batch);
}

}  // namespace hearth::dispatcher
