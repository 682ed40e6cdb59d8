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
  const auto key = ParseBatchKey(record.key);
  if (record.null_key || !key) {
    NoteStrange(home->second, record);
  } else if (record.null_value) {
    // A tombstone of ours, or of an operator: what runs goes on as it was taken.
    if (Batch* batch = Find(home->first, key->ref); batch != nullptr) batch->keys.erase(record.key);
  } else {
    Batch& batch = Get(home->second, home->first, key->ref);
    batch.keys.insert(record.key);
    switch (key->kind) {
      case BatchKey::Kind::kSpec: TakeSpec(batch, record); break;
      case BatchKey::Kind::kAccepted: TakeAccepted(batch, record); break;
      case BatchKey::Kind::kWant:
        if (!TakeWish(batch, key->field, record)) NoteStrange(home->second, record);
        break;
    }
    Touch(batch);
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
  if (batch.stage != BatchStage::kKnown) {
    if (batch.accepted_hash == HashOf(record.value)) batch.accepted_at = record.offset;
    return;
  }
  auto spec = DecodeBatchSpec(record.value);
  if (!spec) return;  // no owner has written that
  batch.accepted = std::make_unique<const BatchSpec>(std::move(*spec));
  batch.accepted_at = record.offset;
  batch.accepted_bytes = record.value.size();
  batch.accepted_hash = HashOf(record.value);
  batch.has_items = true;
  batch.offered.reset();
  // A take-over does not wait for specs: those that were read at once are kept until their batches are looked at.
  std::size_t& bytes = homes_.at(batch.home).spec_bytes;
  bytes += record.value.size();
  if (bytes > kReadSpecs * context_.settings().kept_spec_bytes) LetGo(batch);
}

void Batches::LetGo(Batch& batch) {
  const bool is_small = batch.accepted_bytes <= context_.settings().kept_spec_bytes;
  if (!batch.has_items || batch.accepted_at < 0 || is_small) return;
  BatchSpec rest = *batch.accepted;
  rest.items = CountedItems();
  batch.accepted = std::make_unique<const BatchSpec>(std::move(rest));
  batch.has_items = false;
}

bool Batches::TakeAgain(Batch& batch, const Record& record) {
  const bool is_it = !record.null_value && record.offset == batch.accepted_at &&
                     record.key == FormatBatchKey({batch.ref, BatchKey::Kind::kAccepted});
  if (!is_it) return false;
  auto spec = DecodeBatchSpec(record.value);
  if (!spec || spec->digest != batch.accepted->digest) return false;
  batch.accepted = std::make_unique<const BatchSpec>(std::move(*spec));
  batch.has_items = true;
  return true;
}

// False: it cannot be read, and the last one that could be holds.
bool Batches::TakeWish(Batch& batch, WantField field, const Record& record) {
  const auto want = DecodeWant(field, record.value);
  if (!want) return false;
  if (const auto* deadline = std::get_if<WantDeadline>(&*want)) {
    if (!CheckBatchDeadline(deadline->deadline_ms, KnownTimeMs(record.timestamp_ms))) return false;
  }
  batch.has_new_wishes = true;
  batch.wishes.at(static_cast<std::size_t>(field)) = Wish{*want, record.offset, KnownTimeMs(record.timestamp_ms)};
  if (batch.offered_us == 0) batch.offered_us = context_.now_us();
  return true;
}

void Batches::NoteStrange(Home& home, const Record& record) {
  constexpr std::size_t kShownBytes = 200;
  ++home.strange;
  if (context_.now_us() < home.strange_at_us) return;
  home.strange_at_us = context_.After(kStrangeMs);
  Trace trace;
  trace.kind = Trace::Kind::kFenced;
  trace.partition = record.partition;
  trace.offset = record.offset;
  trace.epoch = home.epoch;
  trace.constraint = "no_record_of_a_batch: key '" + record.key.substr(0, kShownBytes) + "' at offset " +
                     std::to_string(record.offset) + ", " + std::to_string(home.strange) + " so far";
  context_.Emit(std::move(trace));
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
  home->second.look_ms = kFirstLookMs;
  AskForStates(id, home->second);
}

void Batches::Disown(const PartitionId& id) {
  const auto home = homes_.find(id);
  if (home == homes_.end()) return;
  home->second.epoch = 0;
}

void Batches::AskForStates(const PartitionId& id, Home& home) {
  home.asked_states = true;
  home.again_at_us = 0;
  context_.Emit(ReadStates{id, home.epoch});
}

void Batches::TakeStates(const StatesRead& read) {
  const auto found = homes_.find(read.partition);
  if (found == homes_.end() || !found->second.asked_states || found->second.epoch != read.epoch) return;
  Home& home = found->second;
  home.asked_states = false;
  if (!read.ok) {
    home.again_at_us = context_.After(kBatchRetryMs);
    return;
  }
  home.again_at_us = context_.After(home.look_ms);
  home.look_ms = std::min(2 * home.look_ms, kMaxLookMs);
  const bool is_first = !std::exchange(home.has_states, true);
  for (const StatesRead::State& one : read.states) {
    if (is_first) {
      Batch& batch = Get(home, read.partition, one.batch);
      batch.state = one.state;
      batch.has_state = true;
    } else if (Batch* batch = Find(read.partition, one.batch); batch != nullptr) {
      LookAt(*batch, one.state);
    }
  }
  if (is_first) TouchAll(read.partition);
}

// A former owner that did not know that it was one may have written it after ours.
void Batches::LookAt(Batch& batch, const BatchState& state) {
  if (state.epoch >= batch.state.epoch) return;
  batch.state_due = true;
  const bool writes_anyway = batch.stage == BatchStage::kRunning || batch.stage == BatchStage::kFreezing ||
                             batch.stage == BatchStage::kRedriving;
  if (!writes_anyway) WriteState(batch, true);
}

void Batches::Tick() {
  for (Batch* batch : std::exchange(later_, {})) {
    batch->is_later = false;
    Touch(*batch);
  }
  for (auto& [id, home] : homes_) {
    const bool is_due = home.again_at_us != 0 && context_.now_us() >= home.again_at_us;
    if (home.epoch != 0 && is_due) AskForStates(id, home);
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

bool Batches::HasRoom(const UserId& user, bool ends) const {
  const auto is_theirs = [&](const Batch* batch) { return batch->ref.user == user; };
  const std::int64_t more = ends ? kMaxEndingBatches : 0;
  return std::ssize(running_) < kMaxRunningBatches + more &&
         std::ranges::count_if(running_, is_theirs) < kMaxRunningBatchesOfUser + more;
}

void Batches::Run(Batch& batch) {
  running_.push_back(&batch);
}

void Batches::End(Batch& batch) {
  std::erase(running_, &batch);
}

}  // namespace hearth::dispatcher
