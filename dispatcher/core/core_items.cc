// The items of batches that run: from their places to their statuses.
#include <algorithm>

#include "dispatcher/core/core.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kLeastAhead = 16;  // items held ahead of the window, of which there may be as many again
constexpr std::int64_t kRunningBytes = 64LL << 20;  // of the items that all running batches hold
constexpr std::int64_t kTakenAtOnce = 128;  // items that one step makes or takes from their topic: others wait for it
constexpr std::int64_t kUndurableItems = 16'384;  // that have ended, and no page says so yet
constexpr std::int64_t kRangeEndMs = 60'000;      // what its range names and is not there is waited for

// Those that wait for their order key or their next try take no room of the others.
std::int64_t InHandOf(const PartitionRecords& records) {
  return std::ssize(records.held()) - records.in(Stage::kKeyed)-records.in(Stage::kBackoff);
}

// What runs, and what is not read yet and runs, counts.
std::int64_t ActiveOf(const BatchRun& run) {
  return run.partition->records().active() + run.partition->early().runs();
}

std::int64_t AheadOf(const BatchRun& run) {
  return std::max(kLeastAhead, run.window);
}

}  // namespace

// ---- Who may run.

bool Core::MayEnter(const Invocation& invocation) {
  const Batch* batch = invocation.partition().batch();
  if (batch == nullptr || invocation.item()->index == kOnCompleteIndex) return true;
  const BatchRun& run = *batch->run;
  return run.stop == StopCause::kNone && ActiveOf(run) < run.window;
}

// Those that were held ahead go on in the order of their places.
void Core::FillWindow(Batch& batch) {
  BatchRun& run = *batch.run;
  PartitionRecords& records = run.partition->records();
  while (!run.waiting.empty() && ActiveOf(run) < run.window) {
    const std::int64_t place = *run.waiting.begin();
    run.waiting.erase(run.waiting.begin());
    Invocation* item = records.Find(place);
    if (item != nullptr && item->stage() == Stage::kQueued && !item->in_queue()) Activate(*item);
  }
}

bool Core::HasRoomForItems(const Batch& batch) const {
  const BatchRun& run = *batch.run;
  const PartitionRecords& records = run.partition->records();
  const auto held = std::ssize(records.held());
  if (run.stop != StopCause::kNone || run.window == 0 || context_.draining()) return false;
  if (ownership_.UncoveredOf(*run.partition) >= kUndurableItems) return false;
  if (held == 0) return true;
  if (held >= static_cast<std::int64_t>(kMaxItemsInBackOff)) return false;
  const std::int64_t most_bytes =
      std::min(context_.settings().room.lane_bytes, kRunningBytes / std::ssize(batches_.running()));
  if (records.backlog().bytes() >= most_bytes) return false;
  return InHandOf(records) < run.window + AheadOf(run);
}

std::int64_t Core::RoomForItems(const Batch& batch) {
  const BatchRun& run = *batch.run;
  return std::clamp<std::int64_t>(run.window + AheadOf(run) - InHandOf(run.partition->records()), 1, kTakenAtOnce);
}

void Core::FeedItems(Batch& batch) {
  BatchRun& run = *batch.run;
  if (run.places.stored()) {
    // Half of what may be held ahead is gone, so that a read brings many.
    const bool is_low = InHandOf(run.partition->records()) <= run.window + AheadOf(run) / 2;
    return invocations_.WantUnread(*run.partition, is_low && HasRoomForItems(batch));
  }
  for (std::int64_t made = 0; made < kTakenAtOnce && HasRoomForItems(batch); ++made) {
    const auto place = run.partition->records().ledger().NextUnread();
    if (!place) return;
    if (invocations_.Receive(*run.partition, *place) != Ledger::Reception::kNew) continue;
    TakeUpItem(batch, *place, *place, run.places.Make(*place));
  }
  if (HasRoomForItems(batch)) batches_.Touch(batch);
}

void Core::TakeUpItem(Batch& batch, std::int64_t place, std::int64_t index, BatchItem item) {
  BatchRun& run = *batch.run;
  const bool is_item = index != kOnCompleteIndex;
  auto record = std::make_shared<Record>();
  record->partition = run.partition->id();
  record->offset = place;
  record->null_key = true;
  record->value = item.payload;
  Request request;
  request.id = ItemInvocationId(batch.ref.batch, index, batch.state.generation);
  request.user = batch.ref.user;
  request.function = is_item ? batch.accepted->function : batch.accepted->on_complete.function;
  request.order_key = std::move(item.order_key);
  request.content_type = std::move(item.content_type);
  request.timeout_ms = item.timeout_ms;
  request.payload = std::move(item.payload);
  See(request.user);
  const auto footprint = Invocations::FootprintOf(*run.partition, *record, request);
  Invocation& invocation = invocations_.Add(*run.partition, footprint, std::move(record), std::move(request));
  invocation.MakeItem({index, std::move(item.item_id), batch.state.generation});
  if (is_item) {
    const ItemTries tries = run.statuses.TriesOf(index);
    invocation.tries().Restore(tries.failed, tries.infrastructure_failures);
    if (!run.in_order) run.in_hand.insert(index);
  }
  journal_.Note(Trace::Kind::kReceived, invocation, "");
  invocations_.Order(invocation);
  if (!TakeEarlyReports(*run.partition, invocation)) Activate(invocation);
}

// ---- Read from where they lie.

void Core::TakeItems(Partition& partition, const ReadBackFinished& chunk) {
  Batch& batch = *partition.batch();
  BatchRun& run = *batch.run;
  batches_.Touch(batch);
  const std::int64_t first = items_from_;
  const ItemPlaces::Stored asked = run.places.Find(first);
  const bool brings_nothing = chunk.next <= chunk.offset;
  if (chunk.is_missing || (chunk.error.empty() && brings_nothing)) return MissItems(batch, first, asked, chunk);
  if (!chunk.error.empty()) return invocations_.FailChunk(partition);
  reading_.Succeed(partition.id());
  run.missing_since_us = 0;
  std::int64_t to = first + std::min(chunk.next - chunk.offset, asked.left);
  for (const auto& record : chunk.records) {
    const std::int64_t place = first + record->offset - asked.offset;
    if (place < first || place >= to) continue;
    if (!partition.records().ledger().IsUnread(place)) continue;
    if (!HasRoomForItems(batch) && !partition.early().Knows(place)) {
      to = place;
      break;
    }
    if (!TakeItem(batch, place, *record)) return;
  }
  invocations_.EndItems(partition, to);
}

// False: the batch has begun anew.
bool Core::TakeItem(Batch& batch, std::int64_t place, const Record& record) {
  BatchRun& run = *batch.run;
  PlacedItem item{{batch.ref, place}, {}};
  if (run.places.replayed()) {
    item.item.payload = record.value;
  } else {
    auto decoded = DecodeItem(record);
    if (!decoded || decoded->place.batch != batch.ref) return true;  // of somebody else
    item = std::move(*decoded);
  }
  const std::int64_t index = item.place.index;
  if (index < 0 || index >= run.statuses.total()) return true;
  if (index != place && NoteDisorder(batch)) return false;
  const bool is_done = run.statuses.Of(index) != ItemStatus::kPending || run.in_hand.contains(index);
  if (is_done) return true;
  if (invocations_.Receive(*run.partition, place) == Ledger::Reception::kNew) {
    TakeUpItem(batch, place, index, std::move(item.item));
  }
  return true;
}

bool Core::NoteDisorder(Batch& batch) {
  BatchRun& run = *batch.run;
  if (!std::exchange(run.in_order, false)) return false;
  for (const auto& [place, item] : run.partition->records().held()) run.in_hand.insert(item.item()->index);
  if (!run.has_claimed_places) return false;
  Restart(batch);
  return true;
}

// What runs, or has ended, says by its id which item lies at its place.
bool Core::FindsDisorder(const Partition& partition, const link::FenceReport& report) {
  Batch* batch = partition.batch();
  if (batch == nullptr) return false;
  const auto is_elsewhere = [&](const auto& told) {
    const auto index = IndexIn(told.id, batch->ref.batch);
    return index && *index >= 0 && *index != told.ref.offset;
  };
  const bool is_so =
      std::ranges::any_of(report.running, is_elsewhere) || std::ranges::any_of(report.finished, is_elsewhere);
  return is_so && NoteDisorder(*batch);
}

// Items do not lie where their indices say, so nothing is known of which places are done. What runs is found again by
// what executors tell.
void Core::Restart(Batch& batch) {
  BatchRun& run = *batch.run;
  Partition& old = *run.partition;
  const std::int64_t generation = old.generation();
  invocations_.Forget(old);
  ownership_.Forget(old);
  run.in_hand.clear();
  run.waiting.clear();
  run.has_claimed_places = false;
  run.partition = &ownership_.TakeBatch(*ownership_.Find(batch.home), batch, generation, run.places.size(), false);
  invocations_.WantUnread(*run.partition, false);
  invocations_.Begin(*run.partition);
}

// Nothing lies there: the log ends before it, or its partition does not exist. Who has written the spec had waited for
// the items, so what is only late is waited for.
void Core::MissItems(Batch& batch, std::int64_t first, const ItemPlaces::Stored& asked, const ReadBackFinished& chunk) {
  BatchRun& run = *batch.run;
  if (run.missing_since_us == 0) run.missing_since_us = context_.now_us();
  const bool is_late = !chunk.is_missing && context_.now_us() - run.missing_since_us < kRangeEndMs * kMicrosPerMilli;
  if (is_late) return invocations_.FailChunk(*run.partition);
  NoteBatch(batch, "range_not_there: " + asked.partition.topic + "/" + std::to_string(asked.partition.partition) + "/" +
                       std::to_string(asked.offset));
  run.missing_since_us = 0;
  invocations_.EndItems(*run.partition, first + asked.left);
}

}  // namespace hearth::dispatcher
