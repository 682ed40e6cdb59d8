// What a batch is: the record "USER/BATCH/spec" of hearth.batches, which a client writes once all its items are
// acknowledged, and the owner's own copy of it under "USER/BATCH/accepted". JSON, so that a person can type one.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/limits.h"

namespace hearth {

// How many items may fail: so many, or so many of a hundred.
struct Tolerance {
  std::int64_t most = 0;
  bool percent = false;
  // Whether `failed` of `total` items are more than that.
  [[nodiscard]] bool IsPassed(std::int64_t failed, std::int64_t total) const {
    return percent ? failed * 100 > most * total : failed > most;
  }
  friend bool operator==(const Tolerance&, const Tolerance&) = default;
};
// "5" or "5%".
Result<Tolerance> ParseTolerance(std::string_view text);
std::string FormatTolerance(const Tolerance& tolerance);

// Offsets of a partition, both ends included.
struct OffsetRange {
  std::int32_t partition = 0;
  std::int64_t first = 0;
  std::int64_t last = 0;
  friend bool operator==(const OffsetRange&, const OffsetRange&) = default;
};

// Where the items are.
struct StoredItems {
  std::string topic;  // empty: hearth.batch.items
  std::vector<OffsetRange> ranges;
  friend bool operator==(const StoredItems&, const StoredItems&) = default;
};
struct InlineItems {
  std::vector<std::string> payloads;  // JSON, written compactly with its keys sorted
  friend bool operator==(const InlineItems&, const InlineItems&) = default;
};
struct CountedItems {  // nothing is stored: the payload of item i is {"index": i}
  friend bool operator==(const CountedItems&, const CountedItems&) = default;
};
using ItemSource = std::variant<StoredItems, InlineItems, CountedItems>;

// What runs once nothing is pending: a function of the user's, or a record on a topic of the user's.
struct OnComplete {
  FunctionName function;
  std::string topic;
  [[nodiscard]] bool empty() const { return function.empty() && topic.empty(); }
  friend bool operator==(const OnComplete&, const OnComplete&) = default;
};
// "NAME" or "topic:NAME"; both at most kMaxIdentifierBytes of [A-Za-z0-9._-].
Result<OnComplete> ParseOnComplete(std::string_view text);
std::string FormatOnComplete(const OnComplete& on_complete);

constexpr std::int64_t kVersionOfOwner = 0;      // the newest one when the owner takes the batch; pinned from then on
constexpr std::int64_t kVersionNewest = -1;      // the newest one whenever an item starts
constexpr std::int32_t kNoBatchConcurrency = 0;  // the user's share is the only bound

struct BatchSpec {
  FunctionName function;
  std::int64_t version = kVersionOfOwner;
  std::int64_t total = 0;
  std::string digest;  // see DigestOf
  std::int32_t concurrency = kNoBatchConcurrency;
  std::int32_t priority = kDefaultBatchPriority;  // 1 to kMaxBatchPriority, beside other batches of the user
  std::optional<Tolerance> tolerance;             // none: all items run
  std::int64_t deadline_ms = 0;                   // since the epoch; 0: kDefaultBatchDeadlineMs after it was submitted
  std::map<std::string, std::string> labels;
  OnComplete on_complete;
  ItemSource items;
  friend bool operator==(const BatchSpec&, const BatchSpec&) = default;
};

std::string EncodeBatchSpec(
    const BatchSpec& spec);  // JSON, "v" = 1; at most kMaxBatchSpecBytes where the spec is valid
// Decodes and validates. A total or a digest that the record leaves out, and that follow from the items, are filled in.
// kInvalid or kExhausted; the message names the field, its value and the limit.
Result<BatchSpec> DecodeBatchSpec(std::string_view json);

// A deadline lies ahead, and no later than items are kept; 0 is none. A copy that the owner has taken is not asked.
Result<void> CheckBatchDeadline(std::int64_t deadline_ms, std::int64_t now_ms);

}  // namespace hearth
