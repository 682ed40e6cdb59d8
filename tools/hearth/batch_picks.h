// Which result of each item of a batch counts, of all that lie on hearth.batch.results. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "schemas/batch.h"
#include "schemas/batch_state.h"

namespace hearth::tool {

// Of the results of an item those of the highest generation that the state knows count, and of them the first. Takes 10
// bytes for each item: 100 MB for 10⁷.
class ResultPicks {
 public:
  explicit ResultPicks(const BatchState& state);

  // Of each result, in the order of the offsets.
  void Add(std::int64_t index, std::int32_t generation, ItemStatus status, std::int64_t offset);
  // After the last: an item that runs again has no result until that of its new run is there.
  void DropWhatRunsAgain();

  [[nodiscard]] std::int64_t total() const { return static_cast<std::int64_t>(offsets_.size()); }
  [[nodiscard]] bool Has(std::int64_t index) const { return OffsetOf(index) >= 0; }
  [[nodiscard]] std::int64_t OffsetOf(std::int64_t index) const { return offsets_.at(static_cast<std::size_t>(index)); }
  [[nodiscard]] ItemStatus StatusOf(std::int64_t index) const { return statuses_.at(static_cast<std::size_t>(index)); }
  // Those that have a result.
  [[nodiscard]] ItemCounts Counts() const;

 private:
  std::int32_t generation_;
  StatusSelection selection_;
  std::vector<std::int64_t> offsets_;  // by index; -1: none
  std::vector<std::uint8_t> generations_;
  std::vector<ItemStatus> statuses_;
};

// What is to be said of items that have no result.
struct Lacking {
  // Results that were there once: retention, or an operator, removed them.
  std::int64_t removed = 0;
  // The status of each of them, where it is the same; of a batch that has ended.
  std::optional<ItemStatus> status;
};
Lacking WhatLacks(const BatchState& state, const ItemCounts& found);

}  // namespace hearth::tool
