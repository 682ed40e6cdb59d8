// Partitions of batches: they are owned with their home, and what they owe is acknowledged with their pages.
#include "dispatcher/core/batch.h"
#include "dispatcher/core/check.h"
#include "dispatcher/core/ledger_map.h"
#include "dispatcher/core/ownership.h"

#include <utility>

namespace hearth::dispatcher {

Partition& Ownership::TakeBatch(Partition& home, Batch& batch, std::int64_t generation, std::int64_t places,
                                bool has_pages) {
  const PartitionId id{FormatBatchRef(batch.ref), home.id_.partition};
  LedgerMap all;
  all.span = places;
  all.incomplete = {{0, places}};
  auto& owned = partitions_[id];
  Check(owned == nullptr, "a batch is taken that is ours", generation);
  owned = std::make_unique<Partition>(id, RequestClass::kBatch, Ledger(0, all), context_.settings().room);
  Partition& partition = *owned;
  partition.batch_ = &batch;
  partition.home_ = &home;
  partition.generation_ = generation;
  partition.former_end_ = batch.is_new ? 0 : INT64_MAX;
  if (has_pages) partition.former_pages_ = Partition::FormerPages::kAwaitReports;
  partition.epoch_ = home.epoch_;
  if (home.owned_) BecomeOwner(partition);
  return partition;
}

void Ownership::Follow(Partition& partition) {
  partition.epoch_ = partition.home_->epoch_;
  BecomeOwner(partition);
}

void Ownership::Unown(Partition& partition) {
  partition.owned_ = false;
  partition.former_end_ = INT64_MAX;  // somebody else may have been there
  partition.fences_.clear();
  partition.reporting_.clear();
}

void Ownership::BeginRound(Partition& partition) {
  partition.being_covered_ = std::exchange(partition.covered_, {});
}

void Ownership::EndRound(Partition& partition, bool ok) {
  auto covered = std::exchange(partition.being_covered_, {});
  if (ok) return Acknowledge(partition, std::move(covered));
  Cover(partition, covered);
}

void Ownership::AcknowledgeCovered(Partition& partition) {
  Acknowledge(partition, std::exchange(partition.covered_, {}));
}

}  // namespace hearth::dispatcher
