// Batches: many items submitted as one, of which each is an invocation. Names, the statuses of items, and the keys
// under which a batch lies in the topics hearth.batches and hearth.batch.state. schemas/README.md tells it to
// producers.
//
// Pure; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/result.h"
#include "schemas/table.h"

namespace hearth {

struct BatchRef {
  UserId user;
  BatchId batch;
  friend auto operator<=>(const BatchRef&, const BatchRef&) = default;
};

// [A-Za-z0-9._-], 1 to kMaxBatchIdBytes bytes.
bool IsBatchId(std::string_view text);

// "USER/BATCH": a key of hearth.batch.state, and the value of the header hearth-batch.
std::string FormatBatchRef(const BatchRef& ref);
Result<BatchRef> ParseBatchRef(std::string_view text);

// The id of an item's invocation: "BATCH.INDEX", and "BATCH.INDEX.gN" of the generation N. It is an identifier, and no
// two items of any two batches of a user share one. `index` is -1 for what runs when the batch is complete.
InvocationId ItemInvocationId(const BatchId& batch, std::int64_t index, std::int32_t generation);
// What such an id says. Nothing: it is of another form. What is of this form may be any invocation's all the same.
struct ItemId {
  BatchId batch;
  std::int64_t index = 0;
  std::int32_t generation = 0;
  friend bool operator==(const ItemId&, const ItemId&) = default;
};
std::optional<ItemId> ParseItemInvocationId(std::string_view id);

// What clients wish of a batch while it is there, one record for each.
enum class WantField : std::uint8_t { kRun, kConcurrency, kPriority, kTolerance, kDeadline, kRedrive };
struct WantFieldRow {
  WantField field;
  std::string_view name;
};
inline constexpr std::array kWantFields = {
    WantFieldRow{WantField::kRun, "run"},           WantFieldRow{WantField::kConcurrency, "concurrency"},
    WantFieldRow{WantField::kPriority, "priority"}, WantFieldRow{WantField::kTolerance, "tolerance"},
    WantFieldRow{WantField::kDeadline, "deadline"}, WantFieldRow{WantField::kRedrive, "redrive"},
};
static_assert(RowsInOrder(kWantFields, &WantFieldRow::field));

// A key of hearth.batches: "USER/BATCH/spec", "USER/BATCH/accepted" or "USER/BATCH/want/FIELD".
struct BatchKey {
  enum class Kind : std::uint8_t { kSpec, kAccepted, kWant };
  BatchRef ref;
  Kind kind = Kind::kSpec;
  WantField field = WantField::kRun;  // of a wish
  friend bool operator==(const BatchKey&, const BatchKey&) = default;
};
std::string FormatBatchKey(const BatchKey& key);
Result<BatchKey> ParseBatchKey(std::string_view text);

// What became of an item. The value is the number on Kafka, in four bits. A terminal status of an invocation is the
// same status of its item; `gone` is an item that the spec counts and that is not where the spec says.
enum class ItemStatus : std::uint8_t {
  kPending = 0,
  kOk = 1,
  kError = 2,
  kTimeout = 3,
  kOom = 4,
  kExpired = 5,
  kRejected = 6,
  kPoison = 7,
  kCancelled = 8,
  kGone = 9,
};
struct ItemStatusRow {
  ItemStatus status;
  std::string_view name;
  bool failed;    // counts against a batch's tolerance
  bool redriven;  // runs again where a redrive names no statuses
};
inline constexpr std::array kItemStatuses = {
    ItemStatusRow{ItemStatus::kPending, "pending", false, false},
    ItemStatusRow{ItemStatus::kOk, "ok", false, false},
    ItemStatusRow{ItemStatus::kError, "error", true, true},
    ItemStatusRow{ItemStatus::kTimeout, "timeout", true, true},
    ItemStatusRow{ItemStatus::kOom, "oom", true, true},
    ItemStatusRow{ItemStatus::kExpired, "expired", true, false},
    ItemStatusRow{ItemStatus::kRejected, "rejected", true, false},
    ItemStatusRow{ItemStatus::kPoison, "poison", true, true},
    ItemStatusRow{ItemStatus::kCancelled, "cancelled", false, false},
    ItemStatusRow{ItemStatus::kGone, "gone", true, false},
};
static_assert(RowsInOrder(kItemStatuses, &ItemStatusRow::status));

constexpr const ItemStatusRow& RowOf(ItemStatus status) {
  return kItemStatuses.at(static_cast<std::size_t>(status));
}
constexpr ItemStatus ItemStatusOf(Status status) {
  return static_cast<ItemStatus>(static_cast<std::uint8_t>(status) + 1);
}
Result<ItemStatus> ParseItemStatus(std::string_view name);

// How many items have each status.
struct ItemCounts {
  std::array<std::int64_t, kItemStatuses.size()> of{};

  [[nodiscard]] std::int64_t operator[](ItemStatus status) const { return of.at(static_cast<std::size_t>(status)); }
  std::int64_t& operator[](ItemStatus status) { return of.at(static_cast<std::size_t>(status)); }
  [[nodiscard]] std::int64_t Total() const;
  [[nodiscard]] std::int64_t Failed() const;  // those that count against the tolerance
  ItemCounts& operator+=(const ItemCounts& other);
  friend bool operator==(const ItemCounts&, const ItemCounts&) = default;
};

// A set of terminal statuses: what a redrive runs again.
class StatusSelection {
 public:
  static StatusSelection Default();  // error, timeout, oom, poison

  void Add(ItemStatus status) { bits_ = static_cast<std::uint16_t>(bits_ | Bit(status)); }
  [[nodiscard]] bool Has(ItemStatus status) const { return (bits_ & Bit(status)) != 0; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }
  friend bool operator==(const StatusSelection&, const StatusSelection&) = default;

 private:
  static std::uint16_t Bit(ItemStatus status) {
    return static_cast<std::uint16_t>(1U << static_cast<std::uint8_t>(status));
  }
  std::uint16_t bits_ = 0;
};

}  // namespace hearth
