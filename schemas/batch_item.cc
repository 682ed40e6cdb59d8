#include "schemas/batch_item.h"

#include <charconv>

#include "common/base/text.h"
#include "schemas/limits.h"
#include "schemas/request_fields.h"

namespace hearth {
namespace {

constexpr const char* kBatchHeader = "hearth-batch";
constexpr const char* kItemHeader = "hearth-item";
constexpr const char* kItemIdHeader = "hearth-item-id";
constexpr const char* kGenerationHeader = "hearth-generation";
constexpr const char* kOrderKeyHeader = "hearth-order-key";
constexpr const char* kTimeoutHeader = "hearth-timeout-ms";
constexpr const char* kContentTypeHeader = "content-type";
constexpr std::size_t kMostShownOfHeader = 64;

// The number in a header; `absent` where there is none.
Result<std::int64_t> NumberIn(const Record& record, const char* name, std::int64_t least, std::int64_t most,
                              const std::int64_t* absent) {
  const auto* text = fields::FindHeader(record, name);
  if (text == nullptr && absent != nullptr) return *absent;
  if (text == nullptr) return Fail(Code::kInvalid, std::string("header ") + name + " is absent");
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  const bool whole = error == std::errc() && end == text->data() + text->size();
  if (whole && value >= least && value <= most) return value;
  const bool above = error == std::errc::result_out_of_range || (whole && value > most);
  return Fail(above ? Code::kExhausted : Code::kInvalid,
              std::string("header ") + name + " is '" + CutText(*text, kMostShownOfHeader) +
                  "': it must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
}

Result<ItemPlace> PlaceIn(const Record& record, std::int64_t least) {
  const auto* batch = fields::FindHeader(record, kBatchHeader);
  if (batch == nullptr) return Fail(Code::kNotFound, std::string("no header ") + kBatchHeader + ": no item of a batch");
  auto ref = ParseBatchRef(*batch);
  if (!ref) return FailWith(std::string("header ") + kBatchHeader, ref.error());
  const auto index = NumberIn(record, kItemHeader, least, kMaxBatchItems - 1, nullptr);
  if (!index) return std::unexpected(index.error());
  return ItemPlace{std::move(*ref), *index};
}

void AddPlace(const ItemPlace& place, OutRecord& record) {
  record.headers.push_back({kBatchHeader, FormatBatchRef(place.batch)});
  record.headers.push_back({kItemHeader, std::to_string(place.index)});
}

void AddText(const char* name, const std::string& text, OutRecord& record) {
  if (!text.empty()) record.headers.push_back({name, text});
}

Result<void> CheckItemId(const std::string& id) {
  if (id.size() > kMaxItemIdBytes) {
    return Fail(Code::kExhausted, "the item's id has " + std::to_string(id.size()) + " bytes; the limit is " +
                                      std::to_string(kMaxItemIdBytes));
  }
  if (!fields::IsPlainText(id)) {
    return Fail(Code::kInvalid, "the item's id '" + EscapeControls(id) + "' must be UTF-8 without control characters");
  }
  return {};
}

}  // namespace

Result<void> ValidateBatchItem(const BatchItem& item) {
  if (item.payload.size() > kMaxPayloadBytes) {
    return Fail(Code::kExhausted, "the item has " + std::to_string(item.payload.size()) + " bytes; the limit is " +
                                      std::to_string(kMaxPayloadBytes));
  }
  if (auto good = CheckItemId(item.item_id); !good) return good;
  if (auto good = fields::CheckOrderKey(item.order_key); !good) return good;
  if (auto good = fields::CheckContentType(item.content_type); !good) return good;
  if (item.timeout_ms >= 0 && item.timeout_ms <= kMaxTimeoutMs) return {};
  return Fail(
      item.timeout_ms < 0 ? Code::kInvalid : Code::kExhausted,
      "timeout_ms is " + std::to_string(item.timeout_ms) + ": it must be from 0 to " + std::to_string(kMaxTimeoutMs));
}

BatchItem CountedItem(std::int64_t index) {
  BatchItem item;
  item.payload = "{\"index\":" + std::to_string(index) + "}";
  item.content_type = std::string(kInlineContentType);
  return item;
}

OutRecord EncodeItem(const ItemPlace& place, BatchItem item, const std::string& topic) {
  OutRecord record{topic, place.batch.user.value, std::move(item.payload), {}};
  AddPlace(place, record);
  AddText(kItemIdHeader, item.item_id, record);
  AddText(kContentTypeHeader, item.content_type, record);
  AddText(kOrderKeyHeader, item.order_key, record);
  if (item.timeout_ms != 0) record.headers.push_back({kTimeoutHeader, std::to_string(item.timeout_ms)});
  return record;
}

Result<PlacedItem> DecodeItem(const Record& record) {
  auto place = PlaceIn(record, 0);
  if (!place) return std::unexpected(place.error());
  constexpr std::int64_t kFunctionsOwn = 0;
  const auto timeout_ms = NumberIn(record, kTimeoutHeader, 0, kMaxTimeoutMs, &kFunctionsOwn);
  if (!timeout_ms) return std::unexpected(timeout_ms.error());
  PlacedItem placed{std::move(*place), {}};
  placed.item.timeout_ms = *timeout_ms;
  placed.item.item_id = fields::HeaderText(record, kItemIdHeader);
  placed.item.content_type = fields::HeaderText(record, kContentTypeHeader);
  placed.item.order_key = fields::HeaderText(record, kOrderKeyHeader);
  placed.item.payload = record.value;
  if (auto good = ValidateBatchItem(placed.item); !good) return std::unexpected(good.error());
  return placed;
}

void MarkResult(const ResultMark& mark, OutRecord& reply) {
  AddPlace(mark.place, reply);
  reply.headers.push_back({kGenerationHeader, std::to_string(mark.generation)});
  AddText(kItemIdHeader, mark.item_id, reply);
}

Result<ResultMark> DecodeResultMark(const Record& reply) {
  auto place = PlaceIn(reply, kOnCompleteIndex);
  if (!place) return std::unexpected(place.error());
  const auto generation = NumberIn(reply, kGenerationHeader, 0, kMaxBatchGeneration, nullptr);
  if (!generation) return std::unexpected(generation.error());
  ResultMark mark{std::move(*place), fields::HeaderText(reply, kItemIdHeader), static_cast<std::int32_t>(*generation)};
  if (auto good = CheckItemId(mark.item_id); !good) return std::unexpected(good.error());
  return mark;
}

}  // namespace hearth
