#include "dispatcher/core/item_places.h"

#include <algorithm>
#include <iterator>

#include "dispatcher/core/check.h"

namespace hearth::dispatcher {

ItemPlaces::ItemPlaces(const BatchSpec& spec, const std::string& items_topic) : spec_(spec), size_(spec.total) {
  const auto* items = std::get_if<StoredItems>(&spec.items);
  if (items == nullptr) return;
  replayed_ = !items->topic.empty();
  topic_ = replayed_ ? items->topic : items_topic;
  size_ = 0;
  firsts_.reserve(items->ranges.size());
  for (const OffsetRange& range : items->ranges) {
    firsts_.push_back(size_);
    size_ += range.last - range.first + 1;
  }
}

ItemPlaces::Stored ItemPlaces::Find(std::int64_t place) const {
  Check(stored() && place >= 0 && place < size_, "a place beyond its batch", place);
  const auto first = std::prev(std::ranges::upper_bound(firsts_, place));
  const OffsetRange& range = std::get<StoredItems>(spec_.items).ranges.at(std::distance(firsts_.begin(), first));
  const std::int64_t offset = range.first + (place - *first);
  return {{topic_, range.partition}, offset, range.last - offset + 1};
}

BatchItem ItemPlaces::Make(std::int64_t place) const {
  if (const auto* items = std::get_if<InlineItems>(&spec_.items)) {
    BatchItem item;
    item.payload = items->payloads.at(static_cast<std::size_t>(place));
    item.content_type = kInlineContentType;
    return item;
  }
  return CountedItem(place);
}

}  // namespace hearth::dispatcher
