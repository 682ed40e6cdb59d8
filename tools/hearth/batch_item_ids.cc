#include "tools/hearth/batch_item_ids.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "schemas/batch_item.h"
#include "schemas/batch_spec.h"
#include "schemas/topics.h"
#include "tools/hearth/log_range.h"

namespace hearth::tool {
namespace {

Result<kafka::PartitionReader> OpenLog(const Context& context, Topic topic, std::int32_t partition) {
  return kafka::PartitionReader::Open(context.bootstrap.value, "hearth-cli", {std::string(TopicName(topic)), partition},
                                      kServerTimeoutMs);
}

// The copy that the owner has taken; nothing: it is not there, or cannot be read.
Result<std::optional<BatchSpec>> ReadAccepted(const Context& context, std::int32_t home, const BatchRef& ref,
                                              Progress& progress) {
  auto reader = OpenLog(context, Topic::kBatches, home);
  if (!reader) return std::unexpected(reader.error());
  const auto bounds = reader->Bounds(kServerTimeoutMs);
  if (!bounds) return std::unexpected(bounds.error());
  const std::string key = FormatBatchKey({ref, BatchKey::Kind::kAccepted, {}});
  std::optional<BatchSpec> accepted;
  const auto look = [&](const Record& record) -> Result<void> {
    if (record.key != key) return {};
    auto spec = DecodeBatchSpec(record.value);
    accepted = spec ? std::optional(std::move(*spec)) : std::nullopt;
    return {};
  };
  if (auto read = ReadRange(*reader, bounds->start, bounds->end, progress, look); !read) {
    return std::unexpected(read.error());
  }
  return accepted;
}

}  // namespace

ItemIds ReadItemIds(const Context& context, std::int32_t home, const BatchRef& ref,
                    const std::function<bool(std::int64_t)>& wants, Progress& progress) {
  std::unordered_map<std::int64_t, std::string> ids;
  const auto spec = ReadAccepted(context, home, ref, progress);
  if (!spec) return std::unexpected(spec.error());
  const auto* stored = *spec ? std::get_if<StoredItems>(&(*spec)->items) : nullptr;
  if (stored == nullptr || !stored->topic.empty()) return ids;
  const auto take = [&](const Record& record) -> Result<void> {
    auto item = DecodeItem(record);
    if (item && item->place.batch == ref && !item->item.item_id.empty() && wants(item->place.index)) {
      ids.emplace(item->place.index, std::move(item->item.item_id));
    }
    return {};
  };
  for (const OffsetRange& range : stored->ranges) {
    auto reader = OpenLog(context, Topic::kBatchItems, range.partition);
    if (!reader) return std::unexpected(reader.error());
    const auto bounds = reader->Bounds(kServerTimeoutMs);
    if (!bounds) return std::unexpected(bounds.error());
    const std::int64_t end = std::min(range.last + 1, bounds->end);
    if (auto read = ReadRange(*reader, std::max(range.first, bounds->start), end, progress, take); !read) {
      return std::unexpected(read.error());
    }
  }
  return ids;
}

}  // namespace hearth::tool
