// Where the items of a batch lie. A *place* is a position in all that the spec names, from 0 on: the offsets of its
// ranges one after the other, the values that it holds, or the numbers up to its count. What lies at a place of a range
// may be no item of the batch: a record of somebody else, or none at all. Plain data; it refers to the spec.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/batch_item.h"
#include "schemas/batch_spec.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

class ItemPlaces {
 public:
  // `items_topic`: where ranges lie that name no topic.
  ItemPlaces(const BatchSpec& spec, const std::string& items_topic);

  [[nodiscard]] std::int64_t size() const { return size_; }
  // As many places as items: the item i lies at the place i, unless its producer has written them in another order.
  [[nodiscard]] bool InOrder() const { return size_ == spec_.total; }
  [[nodiscard]] bool stored() const { return std::holds_alternative<StoredItems>(spec_.items); }
  // The records are items because they lie there, and say nothing of it themselves.
  [[nodiscard]] bool replayed() const { return replayed_; }

  // Of what is stored: where the place lies, and how many places of its range begin there.
  struct Stored {
    PartitionId partition;
    std::int64_t offset = 0;
    std::int64_t left = 0;
  };
  [[nodiscard]] Stored Find(std::int64_t place) const;
  // Of what is not: the item itself, whose index is its place.
  [[nodiscard]] BatchItem Make(std::int64_t place) const;

 private:
  const BatchSpec& spec_;
  std::string topic_;
  bool replayed_ = false;
  std::int64_t size_ = 0;
  std::vector<std::int64_t> firsts_;  // the first place of each range
};

}  // namespace hearth::dispatcher
