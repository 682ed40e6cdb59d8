// The items of a batch: a record each on hearth.batch.items, with its payload as value, and the headers that a record
// there and a reply on hearth.batch.results have in common.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "schemas/batch.h"
#include "schemas/record.h"

namespace hearth {

constexpr std::string_view kInlineContentType = "application/json";

// What an item carries, wherever it comes from.
struct BatchItem {
  std::string payload;          // at most kMaxPayloadBytes
  std::string content_type;     // one line of at most kMaxContentTypeBytes; empty: none
  std::string item_id;          // the client's own name for it, at most kMaxItemIdBytes; empty: none
  std::string order_key;        // at most kMaxIdentifierBytes; empty: no order
  std::int64_t timeout_ms = 0;  // at most kMaxTimeoutMs; 0: the function's own
  friend bool operator==(const BatchItem&, const BatchItem&) = default;
};
// kInvalid or kExhausted; the message names the field, its value and the limit.
Result<void> ValidateBatchItem(const BatchItem& item);
// The item `index` of a batch that has a count instead of items: {"index": i}.
BatchItem CountedItem(std::int64_t index);

// Which item of which batch a record belongs to.
struct ItemPlace {
  BatchRef batch;
  std::int64_t index = 0;  // 0 to kMaxBatchItems - 1; of a result also kOnCompleteIndex
  friend bool operator==(const ItemPlace&, const ItemPlace&) = default;
};
constexpr std::int64_t kOnCompleteIndex = -1;

// The record of an item. Its key is the user, so that the partition is the batch's.
OutRecord EncodeItem(const ItemPlace& place, BatchItem item, const std::string& topic);

struct PlacedItem {
  ItemPlace place;
  BatchItem item;
  friend bool operator==(const PlacedItem&, const PlacedItem&) = default;
};
// kNotFound: no item of any batch (it has no header hearth-batch). kInvalid, kExhausted: an item that is none.
Result<PlacedItem> DecodeItem(const Record& record);

// What the reply to an item says beside what every reply says.
struct ResultMark {
  ItemPlace place;
  std::string item_id;
  std::int32_t generation = 0;  // redrives of the batch before it ran
  friend bool operator==(const ResultMark&, const ResultMark&) = default;
};
// Adds the headers hearth-batch, hearth-item, hearth-generation, and hearth-item-id where the item has an id.
void MarkResult(const ResultMark& mark, OutRecord& reply);
// kNotFound: the reply to something that is no item.
Result<ResultMark> DecodeResultMark(const Record& reply);

}  // namespace hearth
