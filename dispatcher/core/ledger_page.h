// A page of a partition's ledger: which of 65,536 offsets are complete. Pages carry what the map in a commit's metadata
// has no room for, as records of the compacted topic hearth.ledger.
//
// Key: TOPIC/PARTITION/GENERATION/PAGE/EPOCH, numbers in decimal. The page N speaks of the offsets from N × 65,536 on.
// The epoch is the writer's: owners that follow each other never write the same key. A page only grows, so what is
// complete is the union over the epochs of a generation.
//
// Beside them lie the pages of batches (status_page.h). Their keys are
// TOPIC/PARTITION/USER/BATCH/GENERATION/PAGE/EPOCH, where the partition is that of the batch, and their values have
// forms of their own.
//
// Value:
//   u8 version (1) | u8 form | body
//   form 0, runs:  varint count, then count × (varint gap since the end of the last run, varint length)
//   form 1, bits:  least significant bit first, a set bit = complete, up to the last one that is set
// The form is the shorter of both, runs where they are equally long: one set has one text. Pure; any thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "dispatcher/core/ledger_map.h"
#include "schemas/batch.h"
#include "schemas/limits.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

constexpr std::int64_t kPageOffsets = 65'536;
constexpr std::int64_t kMaxPage = INT64_MAX / kPageOffsets - 1;    // the last whose offsets are all numbers
constexpr std::size_t kMaxLedgerPageBytes = 2 + kPageOffsets / 8;  // of a value
// The longest name that Kafka has, user and batch, four numbers.
constexpr std::size_t kMaxPageKeyBytes = 249 + (1 + kMaxIdentifierBytes) + (1 + kMaxBatchIdBytes) + 11 + 3 * (1 + 19);

struct PageKey {
  PartitionId partition;
  std::int64_t generation = 0;
  std::int64_t page = 0;
  std::int64_t epoch = 0;
  BatchRef batch{};  // empty: a page of the partition's ledger
  friend auto operator<=>(const PageKey&, const PageKey&) = default;
};

// How what follows the head of a page is written. Two of them are a ledger's, two a batch's (status_page.h).
enum class PageForm : char { kRuns = 0, kBits = 1, kStatusRuns = 2, kStatusNibbles = 3 };
constexpr std::size_t kPageHeadBytes = 2;
std::string PageHead(PageForm form);
// Returns what is wrong with it; nullptr: nothing.
const char* ReadPageHead(VarintCursor& cursor, PageForm& form);

// The number of the page that speaks of an offset, which is not negative.
constexpr std::int64_t PageOf(std::int64_t offset) {
  return offset / kPageOffsets;
}

std::string PageKeyText(const PageKey& key);
// Of either kind. Checks every bound: what is read is written the same. kInvalid for what is not a key.
Result<PageKey> ParsePageKey(std::string_view text);

// `complete`: relative to the page's first offset, ascending, apart from each other, within the page; else the process
// ends. Never empty, so it is never taken for a tombstone.
std::string EncodeLedgerPage(const std::vector<LedgerRange>& complete);
// Checks every bound: what is read is written the same. Allocates no more than the bytes warrant. kInvalid for what is
// not a page.
Result<std::vector<LedgerRange>> DecodeLedgerPage(std::string_view bytes);

}  // namespace hearth::dispatcher
