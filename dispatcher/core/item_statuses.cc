#include "dispatcher/core/item_statuses.h"

#include <algorithm>
#include <string>

#include "dispatcher/core/check.h"
#include "schemas/limits.h"

namespace hearth::dispatcher {

ItemStatuses::ItemStatuses(std::int64_t total, std::int32_t generation, const StatusSelection& selection)
    : total_(total), generation_(generation), selection_(selection) {
  Check(total > 0 && total <= kMaxBatchItems, "a batch has no such number of items", total);
  pages_.reserve(static_cast<std::size_t>((total + kPageItems - 1) / kPageItems));
  for (std::int64_t first = 0; first < total; first += kPageItems) {
    pages_.push_back({StatusPage(std::min(kPageItems, total - first)), {-1, -1}, std::nullopt});
  }
}

Result<void> ItemStatuses::Read(const PageKey& key, std::string_view value) {
  const auto broken = [&key](const char* what) {
    return Fail(Code::kInvalid, PageKeyText(key) + ": " + std::string(what));
  };
  if (key.page < 0 || key.page >= pages()) return broken("a page beyond the batch");
  if (key.generation > generation_) return broken("a generation that has not begun");
  Page& page = pages_[static_cast<std::size_t>(key.page)];
  auto read = StatusPage::Decode(value, page.statuses.items());
  if (!read) return FailWith(PageKeyText(key), read.error());
  const std::pair read_as(key.generation, key.epoch);
  if (read_as <= page.read_as) return {};
  page.read_as = read_as;
  page.statuses = std::move(*read);
  page.sums.reset();
  if (key.generation < generation_) page.statuses.Redrive(selection_);
  return {};
}

const StatusPage& ItemStatuses::PageWith(std::int64_t index) const {
  Check(index >= 0 && index < total_, "an item beyond its batch", index);
  return pages_[static_cast<std::size_t>(index / kPageItems)].statuses;
}

ItemStatuses::Page& ItemStatuses::PageToChange(std::int64_t index) {
  Check(index >= 0 && index < total_, "an item beyond its batch", index);
  return pages_[static_cast<std::size_t>(index / kPageItems)];
}

bool ItemStatuses::End(std::int64_t index, ItemStatus status) {
  Page& page = PageToChange(index);
  if (!page.statuses.End(index % kPageItems, status)) return false;
  page.sums.reset();
  return true;
}

void ItemStatuses::SetTries(std::int64_t index, const ItemTries& tries) {
  PageToChange(index).statuses.SetTries(index % kPageItems, tries);
}

void ItemStatuses::Redrive(const StatusSelection& selection) {
  ++generation_;
  selection_ = selection;
  for (Page& page : pages_) {
    page.statuses.Redrive(selection);
    page.sums.reset();
  }
}

ItemCounts ItemStatuses::Counts() {
  ItemCounts counts;
  for (Page& page : pages_) {
    if (!page.sums) page.sums = page.statuses.Counts();
    counts += *page.sums;
  }
  return counts;
}

}  // namespace hearth::dispatcher
