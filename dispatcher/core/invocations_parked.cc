// What is parked comes back, chunk by chunk.
#include "dispatcher/core/check.h"
#include "dispatcher/core/invocations.h"

namespace hearth::dispatcher {

std::optional<std::int64_t> Invocations::ReadFrom(const ReadingBack::Want& want) {
  PartitionRecords& records = want.partition->records();
  if (want.lane != nullptr) return records.backlog_.TakeWant(*want.lane);
  return records.backlog_.TakeWantUnread() ? records.ledger_.NextUnread() : std::nullopt;
}

bool Invocations::TakeParked(Partition& partition, const Footprint& footprint, std::int64_t offset, bool is_known,
                             std::int64_t deadline_ms) {
  Backlog& backlog = partition.records().backlog_;
  if (is_known) {
    backlog.Unpark();
    return true;
  }
  const bool has_expired = footprint.lane.is_due() && deadline_ms != 0 && deadline_ms <= context_.wall_ms();
  return backlog.Take(footprint.lane, offset, footprint.bytes, has_expired);
}

void Invocations::Lose(Partition& partition, std::int64_t offset) {
  PartitionRecords& records = partition.records();
  Check(records.ledger_.Complete(offset), "what is lost was parked", offset);
  records.backlog_.Unpark();
  CheckConservation(records);
}

void Invocations::EndChunk(Partition& partition, std::int64_t from, std::int64_t to) {
  PartitionRecords& records = partition.records();
  for (Backlog::Lane* lane : records.backlog_.EndChunk(to)) Want(partition, *lane);
  const auto unread = records.ledger_.NextUnread();
  if (!unread) return;
  if (from <= *unread) records.ledger_.SkipUnreadTo(to);
  ReviewUnread(partition);
  WantUnread(partition);
}

void Invocations::WantUnread(Partition& partition, bool has_room) {
  partition.records().backlog_.SetFull(!has_room);
  if (has_room) WantUnread(partition);
}

void Invocations::EndItems(Partition& partition, std::int64_t to) {
  partition.records().ledger_.SkipUnreadTo(to);
  ReviewUnread(partition);
}

void Invocations::FailChunk(Partition& partition) {
  reading_.Fail(partition.id(), context_.now_us());
  partition.records().backlog_.SetAway(true);
}

void Invocations::TryAgain(Partition& partition) {
  PartitionRecords& records = partition.records();
  records.backlog_.SetAway(false);
  for (Backlog::Lane* lane : records.backlog_.All()) Want(partition, *lane);
  WantUnread(partition);
}

void Invocations::WantExpired(Partition& partition) {
  for (Backlog::Lane* lane : partition.records().backlog_.TakeDue(context_.wall_ms())) Want(partition, *lane);
}

}  // namespace hearth::dispatcher
