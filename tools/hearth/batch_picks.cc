#include "tools/hearth/batch_picks.h"

#include <algorithm>

namespace hearth::tool {
namespace {

constexpr std::int64_t kNone = -1;

// An item of this status always has a result: one that a batch gives to items that never started needs none.
bool AlwaysHasResult(ItemStatus status) {
  switch (status) {
    case ItemStatus::kPending:
    case ItemStatus::kExpired:
    case ItemStatus::kCancelled:
    case ItemStatus::kGone: return false;
    default: return true;
  }
}

}  // namespace

ResultPicks::ResultPicks(const BatchState& state)
    : generation_(state.generation),
      selection_(state.selection),
      offsets_(static_cast<std::size_t>(state.total), kNone),
      generations_(static_cast<std::size_t>(state.total)),
      statuses_(static_cast<std::size_t>(state.total), ItemStatus::kPending) {}

void ResultPicks::Add(std::int64_t index, std::int32_t generation, ItemStatus status, std::int64_t offset) {
  if (index < 0 || index >= total() || generation < 0 || generation > generation_) return;
  const auto at = static_cast<std::size_t>(index);
  if (offsets_[at] != kNone && generations_[at] >= generation) return;
  offsets_[at] = offset;
  generations_[at] = static_cast<std::uint8_t>(generation);
  statuses_[at] = status;
}

void ResultPicks::DropWhatRunsAgain() {
  for (std::size_t at = 0; at < offsets_.size(); ++at) {
    if (offsets_[at] == kNone || generations_[at] == generation_ || !selection_.Has(statuses_[at])) continue;
    offsets_[at] = kNone;
    statuses_[at] = ItemStatus::kPending;
  }
}

ItemCounts ResultPicks::Counts() const {
  ItemCounts counts;
  for (std::int64_t index = 0; index < total(); ++index) {
    if (Has(index)) ++counts[StatusOf(index)];
  }
  return counts;
}

Lacking WhatLacks(const BatchState& state, const ItemCounts& found) {
  Lacking lacking;
  int statuses = 0;
  for (const ItemStatusRow& row : kItemStatuses) {
    const std::int64_t lacks = state.counts[row.status] - found[row.status];
    if (row.status == ItemStatus::kPending || lacks <= 0) continue;
    if (AlwaysHasResult(row.status)) lacking.removed += lacks;
    lacking.status = row.status;
    ++statuses;
  }
  if (statuses != 1 || state.phase != BatchPhase::kEnded) lacking.status.reset();
  return lacking;
}

}  // namespace hearth::tool
