// What was parked comes back, and so does what a former owner has left.
#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

// Nothing more is taken in while the dispatcher ends.
void Core::ReadBackNext() {
  if (context_.draining()) return;
  while (!reading_.busy()) {
    const auto want = reading_.Next();
    if (!want) return;
    if (want->spec != nullptr) {
      reading_.Begin(*want->partition);
      spec_of_ = want->spec->ref;
      context_.Emit(ReadBack{want->partition->id(), want->spec->accepted_at, 1});
      return;
    }
    const auto from = invocations_.ReadFrom(*want);
    if (!from) continue;
    reading_.Begin(*want->partition);
    if (const Batch* batch = want->partition->batch(); batch != nullptr) {
      const ItemPlaces::Stored at = batch->run->places.Find(*from);
      items_from_ = *from;
      context_.Emit(ReadBack{at.partition, at.offset, RoomForItems(*batch)});
    } else {
      context_.Emit(ReadBack{want->partition->id(), *from});
    }
  }
}

void Core::On(const ReadBackFinished& event) {
  Partition* partition = reading_.End();
  if (partition == nullptr) return;  // it was given up meanwhile
  if (batches_.Has(partition->id())) return TakeSpec(event);
  if (partition->batch() != nullptr) return TakeItems(*partition, event);
  if (!event.error.empty() || event.next <= event.offset) return invocations_.FailChunk(*partition);
  reading_.Succeed(event.partition);
  const std::int64_t lowest = partition->records().ledger().LowestIncomplete();
  NoteLost(*partition, event);
  invocations_.BeginChunk(*partition, event.offset);
  for (const auto& record : event.records) {
    if (record->offset >= event.offset && record->offset < event.next) TakeBack(*partition, record);
  }
  invocations_.EndChunk(*partition, event.offset, event.next);
  if (partition->records().ledger().LowestIncomplete() != lowest) ownership_.MarkDirty(*partition);  // gaps
  UpdateIntake(*partition);
}

void Core::TakeBack(Partition& partition, const std::shared_ptr<const Record>& record) {
  if (partition.records().ledger().IsUnread(record->offset)) return Receive(partition, record);
  const bool is_held = partition.records().Find(record->offset) != nullptr;
  if (is_held || !partition.records().ledger().IsOpen(record->offset)) return;
  if (record->offset >= partition.records().ledger().next()) return;  // the group's reader brings it
  DecodedRequest decoded = Decode(*record);
  const auto footprint = Invocations::FootprintOf(partition, *record, decoded.request);
  const bool is_known = partition.early().Knows(record->offset);
  const std::int64_t deadline_ms = DeadlineOf(decoded.request, *record);
  if (invocations_.TakeParked(partition, footprint, record->offset, is_known, deadline_ms)) {
    TakeUp(partition, footprint, record, std::move(decoded));
  }
}

// What is parked and not in the log any more was removed by retention, or by an operator.
void Core::NoteLost(Partition& partition, const ReadBackFinished& chunk) {
  auto record = chunk.records.begin();
  const auto is_there = [&](std::int64_t offset) {
    while (record != chunk.records.end() && (*record)->offset < offset) ++record;
    return record != chunk.records.end() && (*record)->offset == offset;
  };
  std::int64_t lost = 0;
  for (const LedgerRange& range : partition.records().ledger().OpenBetween(chunk.offset, chunk.next)) {
    for (std::int64_t offset = range.start; offset < range.start + range.length; ++offset) {
      if (is_there(offset) || partition.records().Find(offset) != nullptr) continue;
      invocations_.Lose(partition, offset);
      ownership_.MarkDirty(partition, offset);
      ++lost;
    }
  }
  if (lost == 0) return;
  lost_ += lost;
  ownership_.Note(partition, std::string(kParkedLost) + ": " + std::to_string(lost));
}

}  // namespace hearth::dispatcher
