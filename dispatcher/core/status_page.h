// A page of a batch: what became of 65,536 of its items, and how often those were tried that wait to be tried again. It
// lies beside the ledger's pages, under a key of the same kind (ledger_page.h): the page N speaks of the items from
// N × 65,536 on, and generation and epoch are those of the batch and of its owner.
//
// A page is a full copy. Of several epochs of a generation the highest wins whole; a later generation wins over an
// earlier one, and what a redrive runs again is pending in a page of an earlier generation, without a word in it.
//
// Value:
//   u8 version (1) | u8 form | varint bytes of the statuses | statuses | tries
//   form 2, runs:     until they end, varint of length × 16 + status; neighbours differ
//   form 3, nibbles:  two items a byte, the lower four bits first
//   tries:            varint count, then count × (varint gap since the last item, varint failed, varint lost machines)
// What lies beyond the last item that is not pending is left out. The form is the shorter of both, runs where they are
// equally long: one page has one text. Tries are of pending items only. Plain data, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "dispatcher/core/ledger_page.h"
#include "dispatcher/core/varint.h"
#include "schemas/batch.h"

namespace hearth::dispatcher {

constexpr std::int64_t kPageItems = kPageOffsets;
constexpr std::size_t kMaxItemsInBackOff = 4096;  // of a batch
// Head and size, nibbles, and for each item in back-off a gap, tries and lost machines of up to three, one and one
// bytes.
constexpr std::size_t kMaxStatusPageBytes = 2 + 3 + kPageItems / 2 + 2 + kMaxItemsInBackOff * 5;

// Of an item that waits to be tried again: what counts against the function's tries, and machines that were lost.
struct ItemTries {
  std::int32_t failed = 0;                   // 0 to kMaxAttempts
  std::int32_t infrastructure_failures = 0;  // 0 to kMaxInfrastructureFailures; not both are 0
  friend bool operator==(const ItemTries&, const ItemTries&) = default;
};

class StatusPage {
 public:
  // All items are pending. `items`: 1 to kPageItems; fewer in a batch's last page only.
  explicit StatusPage(std::int64_t items);

  [[nodiscard]] std::int64_t items() const { return items_; }
  [[nodiscard]] ItemStatus Of(std::int64_t item) const;
  // An item has one status: the first that is terminal stays. False, and nothing happens, where it has one.
  bool End(std::int64_t item, ItemStatus status);
  // Of a pending item; neither count above zero forgets them.
  void SetTries(std::int64_t item, const ItemTries& tries);
  [[nodiscard]] ItemTries TriesOf(std::int64_t item) const;
  // By item. Never more than kMaxItemsInBackOff, which the caller sees to.
  [[nodiscard]] const std::map<std::int64_t, ItemTries>& tries() const { return tries_; }
  // The statuses, summed up.
  [[nodiscard]] ItemCounts Counts() const;
  // What a redrive begins with: what it runs again is pending, and nothing was tried.
  void Redrive(const StatusSelection& selection);

  // Never empty, so it is never taken for a tombstone.
  [[nodiscard]] std::string Encode() const;
  // Checks every bound: what is read is written the same. Allocates a page at most. kInvalid for what is not a page of
  // so many items.
  static Result<StatusPage> Decode(std::string_view bytes, std::int64_t items);

  friend bool operator==(const StatusPage&, const StatusPage&) = default;

 private:
  void Put(std::int64_t item, ItemStatus status);
  // The items up to the last that is not pending.
  [[nodiscard]] std::int64_t Spoken() const;
  [[nodiscard]] std::string Runs(std::int64_t spoken) const;
  const char* ReadRuns(std::string_view bytes);
  const char* ReadNibbles(std::string_view bytes);
  const char* ReadTries(VarintCursor& cursor);

  std::int64_t items_;
  std::string nibbles_;
  std::map<std::int64_t, ItemTries> tries_;
};

}  // namespace hearth::dispatcher
