// What clients wish of a batch: records "USER/BATCH/want/FIELD" of hearth.batches. Each holds one JSON value, written
// as in a spec where a spec has it too. The last write wins, and repeating one is harmless.
//
//   run           "run", "pause", "cancel" (what runs may finish) or "cancel_now"
//   concurrency   0 to kMaxBatchConcurrency; 0: the user's share is the only bound
//   priority      1 to kMaxBatchPriority
//   tolerance     a number of items, "N%", or null: all items run
//   deadline      ms since the epoch
//   redrive       {"generation": G} and, where they are meant, "status": [...] and "version": N or "newest"
//
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/result.h"
#include "schemas/batch.h"
#include "schemas/batch_spec.h"
#include "schemas/table.h"

namespace hearth {

enum class RunWish : std::uint8_t { kRun, kPause, kCancel, kCancelNow };
struct RunWishRow {
  RunWish wish;
  std::string_view name;
};
inline constexpr std::array kRunWishes = {
    RunWishRow{RunWish::kRun, "run"},
    RunWishRow{RunWish::kPause, "pause"},
    RunWishRow{RunWish::kCancel, "cancel"},
    RunWishRow{RunWish::kCancelNow, "cancel_now"},
};
static_assert(RowsInOrder(kRunWishes, &RunWishRow::wish));

struct WantRun {
  RunWish wish = RunWish::kRun;
  friend bool operator==(const WantRun&, const WantRun&) = default;
};
struct WantConcurrency {
  std::int32_t most = kNoBatchConcurrency;
  friend bool operator==(const WantConcurrency&, const WantConcurrency&) = default;
};
struct WantPriority {
  std::int32_t priority = kDefaultBatchPriority;
  friend bool operator==(const WantPriority&, const WantPriority&) = default;
};
struct WantTolerance {
  std::optional<Tolerance> tolerance;
  friend bool operator==(const WantTolerance&, const WantTolerance&) = default;
};
struct WantDeadline {
  std::int64_t deadline_ms = 0;
  friend bool operator==(const WantDeadline&, const WantDeadline&) = default;
};
// Starts the generation once the one before it has ended. Where the batch has come further it does nothing.
struct WantRedrive {
  std::int32_t generation = 1;  // 1 to kMaxBatchGeneration
  StatusSelection selection = StatusSelection::Default();
  std::int64_t version = kVersionOfOwner;  // or kVersionNewest, or a number; kVersionOfOwner: as it ran last
  friend bool operator==(const WantRedrive&, const WantRedrive&) = default;
};
// In the order of WantField.
using Want = std::variant<WantRun, WantConcurrency, WantPriority, WantTolerance, WantDeadline, WantRedrive>;
static_assert(std::variant_size_v<Want> == kWantFields.size());

inline WantField FieldOf(const Want& want) {
  return static_cast<WantField>(want.index());
}

std::string EncodeWant(const Want& want);
// kInvalid or kExhausted; the message names the field, its value and the limit. Whether a deadline lies ahead is for
// CheckBatchDeadline.
Result<Want> DecodeWant(WantField field, std::string_view json);

}  // namespace hearth
