// What became of the items of one batch: its pages of statuses, as they are read after a take-over and changed from
// then on.
//
// It holds at any time:
// - an item has one status, the first terminal one that it got in its generation;
// - counts are sums over statuses, and no number is kept that rises and falls beside them.
// Plain data, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "dispatcher/core/status_page.h"

namespace hearth::dispatcher {

class ItemStatuses {
 public:
  // All `total` items (1 to kMaxBatchItems) are pending. `generation`: that of the batch. `selection`: what it runs
  // again; a page of an earlier generation is read through it.
  ItemStatuses(std::int64_t total, std::int32_t generation, const StatusSelection& selection);

  // Takes a page as it lies on its topic, in any order; of one page the highest generation counts, of that the highest
  // epoch, whole. Before anything else is changed. kInvalid: it is no page of this batch, and nothing was taken.
  Result<void> Read(const PageKey& key, std::string_view value);

  [[nodiscard]] std::int64_t total() const { return total_; }
  [[nodiscard]] std::int32_t generation() const { return generation_; }
  [[nodiscard]] ItemStatus Of(std::int64_t index) const { return PageWith(index).Of(index % kPageItems); }
  [[nodiscard]] ItemTries TriesOf(std::int64_t index) const { return PageWith(index).TriesOf(index % kPageItems); }
  // As StatusPage has them.
  bool End(std::int64_t index, ItemStatus status);
  void SetTries(std::int64_t index, const ItemTries& tries);
  // The next generation begins; no page has to be written for that.
  void Redrive(const StatusSelection& selection);

  // Sums up what has changed since it was asked last.
  [[nodiscard]] ItemCounts Counts();
  [[nodiscard]] std::int64_t pages() const { return static_cast<std::int64_t>(pages_.size()); }
  [[nodiscard]] const StatusPage& page(std::int64_t number) const {
    return pages_.at(static_cast<std::size_t>(number)).statuses;
  }

 private:
  struct Page {
    StatusPage statuses;
    std::pair<std::int64_t, std::int64_t> read_as{-1, -1};  // generation and epoch of what was read
    std::optional<ItemCounts> sums;                         // of the statuses as they are
  };
  [[nodiscard]] const StatusPage& PageWith(std::int64_t index) const;
  Page& PageToChange(std::int64_t index);

  std::int64_t total_;
  std::int32_t generation_;
  StatusSelection selection_;
  std::vector<Page> pages_;
};

}  // namespace hearth::dispatcher
