#include "schemas/batch_spec.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "schemas/batch_digest.h"
#include "schemas/batch_json.h"

namespace hearth {
namespace {

using fields::BatchFields;

constexpr std::string_view kSpecWhat = "spec";
constexpr std::string_view kTopicPrefix = "topic:";
constexpr std::int64_t kMaxOffset = INT64_MAX - 1;
constexpr std::size_t kDigestDigits = 64;

void ReadRanges(BatchFields& fields, const nlohmann::json& list, std::vector<OffsetRange>& ranges) {
  if (!list.is_array() || list.empty()) {
    return fields.Fault(Code::kInvalid, "ranges", BatchFields::Shown(list), "a list of [partition, first, last]");
  }
  if (list.size() > kMaxBatchRanges) return fields.TooMany("ranges", list.size(), "ranges", kMaxBatchRanges);
  ranges.reserve(list.size());
  for (const auto& one : list) {
    if (!one.is_array() || one.size() != 3) {
      return fields.Fault(Code::kInvalid, "ranges", BatchFields::Shown(one), "a list of [partition, first, last]");
    }
    OffsetRange range;
    fields.Number("ranges", one[0], 0, INT32_MAX, range.partition);
    fields.Number("ranges", one[1], 0, kMaxOffset, range.first);
    fields.Number("ranges", one[2], range.first, kMaxOffset, range.last);
    if (!fields.ok()) return;
    ranges.push_back(range);
  }
  std::vector<OffsetRange> sorted = ranges;
  std::ranges::sort(sorted, {}, [](const OffsetRange& range) { return std::tuple(range.partition, range.first); });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i].partition != sorted[i - 1].partition || sorted[i].first > sorted[i - 1].last) continue;
    return fields.Wrong("ranges", "has offset " + std::to_string(sorted[i].first) + " of partition " +
                                      std::to_string(sorted[i].partition) + " twice");
  }
}

// Offsets in the ranges; more items than that cannot be.
std::int64_t OffsetsIn(const std::vector<OffsetRange>& ranges) {
  std::int64_t offsets = 0;
  for (const OffsetRange& range : ranges) offsets += std::min(range.last - range.first, kMaxBatchItems) + 1;
  return offsets;
}

void ReadInline(BatchFields& fields, const nlohmann::json& list, std::vector<std::string>& payloads) {
  if (!list.is_array() || list.empty()) {
    return fields.Fault(Code::kInvalid, "inline", BatchFields::Shown(list), "a list of at least one item");
  }
  std::size_t bytes = 1;
  payloads.reserve(list.size());
  for (const auto& item : list) {
    payloads.push_back(fields::DumpJson(item));
    bytes += payloads.back().size() + 1;
  }
  if (bytes > kMaxInlineBytes) fields.TooMany("inline", bytes, "bytes", kMaxInlineBytes);
}

void ReadItems(BatchFields& fields, BatchSpec& spec) {
  const auto* ranges = fields.Find("ranges");
  const auto* list = fields.Find("inline");
  const auto* count = fields.Find("count");
  const int sources = (ranges != nullptr ? 1 : 0) + (list != nullptr ? 1 : 0) + (count != nullptr ? 1 : 0);
  if (sources != 1) return fields.Wrong("items", "is told by exactly one of ranges, inline and count");
  std::int64_t least = 1;
  std::int64_t most = kMaxBatchItems;
  if (ranges != nullptr) {
    StoredItems stored;
    fields.Identifier("topic", stored.topic);
    ReadRanges(fields, *ranges, stored.ranges);
    most = std::min(most, OffsetsIn(stored.ranges));
    spec.items = std::move(stored);
    if (fields.Find("total") == nullptr) return fields.Wrong("total", "is absent: ranges do not tell it");
  } else if (list != nullptr) {
    InlineItems items;
    ReadInline(fields, *list, items.payloads);
    least = most = static_cast<std::int64_t>(items.payloads.size());
    spec.items = std::move(items);
    spec.total = least;
  } else {
    fields.Number("count", 1, kMaxBatchItems, spec.total);
    spec.items = CountedItems{};
    least = most = spec.total;
  }
  if (fields.ok()) fields.Number("total", least, most, spec.total);
}

void ReadDigest(BatchFields& fields, BatchSpec& spec) {
  fields.Text("digest", kDigestDigits, spec.digest);
  if (!fields.ok()) return;
  const bool stored = std::holds_alternative<StoredItems>(spec.items);
  if (spec.digest.empty()) {
    spec.digest = DigestOf(spec);
  } else if (spec.digest.size() != kDigestDigits ||
             spec.digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
    fields.Fault(Code::kInvalid, "digest", spec.digest, "a SHA-256 in lower-case hex");
  } else if (!stored && spec.digest != DigestOf(spec)) {
    fields.Fault(Code::kInvalid, "digest", spec.digest, "that of the items, " + DigestOf(spec));
  }
}

}  // namespace

Result<Tolerance> ParseTolerance(std::string_view text) {
  const auto wrong = [text](Code code) {
    return Fail(code, "tolerance '" + std::string(text.substr(0, kMaxIdentifierBytes)) +
                          "': it must be a number from 0 to " + std::to_string(kMaxBatchItems) + ", or from 0% to " +
                          std::to_string(kMaxTolerancePercent) + "%");
  };
  Tolerance tolerance;
  std::string_view digits = text;
  if (digits.ends_with('%')) {
    tolerance.percent = true;
    digits.remove_suffix(1);
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), tolerance.most);
  if (error == std::errc::result_out_of_range) return wrong(Code::kExhausted);
  if (error != std::errc() || end != digits.data() + digits.size() || tolerance.most < 0) return wrong(Code::kInvalid);
  if (tolerance.most > (tolerance.percent ? kMaxTolerancePercent : kMaxBatchItems)) return wrong(Code::kExhausted);
  return tolerance;
}

std::string FormatTolerance(const Tolerance& tolerance) {
  return std::to_string(tolerance.most) + (tolerance.percent ? "%" : "");
}

Result<OnComplete> ParseOnComplete(std::string_view text) {
  OnComplete on_complete;
  if (text.starts_with(kTopicPrefix)) {
    on_complete.topic = text.substr(kTopicPrefix.size());
  } else {
    on_complete.function = FunctionName(text);
  }
  if (!IsIdentifier(on_complete.topic.empty() ? on_complete.function.value : on_complete.topic)) {
    return Fail(Code::kInvalid, "on_complete '" + std::string(text.substr(0, kMaxIdentifierBytes)) +
                                    "': it must be a function, or topic: and a topic, of 1 to " +
                                    std::to_string(kMaxIdentifierBytes) + " of [A-Za-z0-9._-]");
  }
  return on_complete;
}

std::string FormatOnComplete(const OnComplete& on_complete) {
  return on_complete.topic.empty() ? on_complete.function.str() : std::string(kTopicPrefix) + on_complete.topic;
}

std::string EncodeBatchSpec(const BatchSpec& spec) {
  nlohmann::json object = {{"v", fields::kBatchFormat}, {"fn", spec.function.str()}, {"total", spec.total}};
  if (spec.version == kVersionNewest) object["version"] = fields::kNewest;
  if (spec.version > 0) object["version"] = spec.version;
  if (!spec.digest.empty()) object["digest"] = spec.digest;
  if (spec.concurrency != kNoBatchConcurrency) object["concurrency"] = spec.concurrency;
  if (spec.priority != kDefaultBatchPriority) object["priority"] = spec.priority;
  if (spec.tolerance) object["tolerance"] = FormatTolerance(*spec.tolerance);
  if (spec.deadline_ms != 0) object["deadline"] = spec.deadline_ms;
  if (!spec.labels.empty()) object["labels"] = spec.labels;
  if (!spec.on_complete.empty()) object["on_complete"] = FormatOnComplete(spec.on_complete);
  if (const auto* stored = std::get_if<StoredItems>(&spec.items)) {
    auto& ranges = object["ranges"] = nlohmann::json::array();
    for (const OffsetRange& range : stored->ranges) ranges.push_back({range.partition, range.first, range.last});
    if (!stored->topic.empty()) object["topic"] = stored->topic;
  } else if (const auto* list = std::get_if<InlineItems>(&spec.items)) {
    auto& items = object["inline"] = nlohmann::json::array();
    for (const std::string& payload : list->payloads)
      items.push_back(fields::ParseJsonValue(payload).value_or(nullptr));
  } else {
    object["count"] = spec.total;
  }
  return fields::DumpJson(object);
}

Result<BatchSpec> DecodeBatchSpec(std::string_view json) {
  const auto object = fields::ParseBatchObject(kSpecWhat, json, kMaxBatchSpecBytes);
  if (!object) return std::unexpected(object.error());
  BatchFields fields(kSpecWhat, *object);
  BatchSpec spec;
  fields.Identifier("fn", spec.function.value);
  if (fields.ok() && spec.function.empty()) fields.Wrong("fn", "is absent");
  fields.Version("version", kVersionNewest, spec.version);
  fields.Number("concurrency", 0, kMaxBatchConcurrency, spec.concurrency);
  fields.Number("priority", 1, kMaxBatchPriority, spec.priority);
  fields.Tolerated("tolerance", spec.tolerance);
  fields.Number("deadline", 0, kMaxTimeMs, spec.deadline_ms);
  fields.Labels("labels", spec.labels);
  if (const auto* text = fields.Find("on_complete")) {
    auto parsed = text->is_string() ? ParseOnComplete(text->get_ref<const std::string&>())
                                    : Result<OnComplete>(Fail(Code::kInvalid, ""));
    if (parsed) spec.on_complete = std::move(*parsed);
    if (!parsed) fields.Fault(Code::kInvalid, "on_complete", BatchFields::Shown(*text), "a function, or topic:NAME");
  }
  ReadItems(fields, spec);
  if (fields.ok()) ReadDigest(fields, spec);
  if (auto good = fields.Finish(); !good) return std::unexpected(good.error());
  return spec;
}

Result<void> CheckBatchDeadline(std::int64_t deadline_ms, std::int64_t now_ms) {
  if (deadline_ms == 0) return {};
  const std::string is = "field 'deadline' is " + std::to_string(deadline_ms) + ": ";
  if (deadline_ms <= now_ms) return Fail(Code::kInvalid, is + "it must be later than now, " + std::to_string(now_ms));
  if (deadline_ms - now_ms <= kBatchRetentionMs) return {};
  return Fail(Code::kExhausted, is + "it must be within " + std::to_string(kBatchRetentionMs) + " ms of now, " +
                                    std::to_string(now_ms) + ": items are kept no longer");
}

}  // namespace hearth
