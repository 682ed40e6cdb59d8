// What a commit's metadata says beside the offset: the owner's epoch, and which records above the committed offset are
// complete. Format, before base64 (standard alphabet, padded):
//   u8 version (2 or 3) | varint epoch | varint generation | varint witness | [varint position] | u8 form | varint span
//   | body
// The generation names the ledger: a new one begins wherever nothing is known of the records below. The witness is the
// timestamp (ms) of the record at the committed offset, 0 where it is not known: another one there means that the topic
// was made anew. Version 1 had neither. Version 3 is of an owner that had read on to the position, and has no room for
// all that is complete below it: the rest stands in pages (ledger_page.h). Version 2 has none, and its position is the
// span.
//   form 0, ranges:  varint count, then count × (varint gap since the end of the last range, varint length)
//   form 1, bitmap:  ceil(span / 8) bytes, least significant bit first, a set bit = incomplete
// Offsets are relative to the committed one. Within the span what is not incomplete is complete; beyond the span
// nothing is claimed. So a cut span is always safe: it costs replays, never records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "dispatcher/core/ranges.h"

namespace hearth::dispatcher {

constexpr std::size_t kMaxLedgerMapBytes = 4096;    // the broker's default limit of offset metadata
constexpr std::int64_t kMaxWindowOffsets = 24'000;  // any pattern of so many fits

// What stands above it was not written by hearth: take-overs count one by one.
constexpr std::int64_t kMaxLedgerEpoch = 1LL << 62;

struct LedgerMap {
  std::int64_t epoch = 0;
  std::int64_t generation = 0;          // 0: of a ledger that had none
  std::int64_t witness_ms = 0;          // timestamp of the record at the committed offset; 0: not known
  std::int64_t span = 0;                // offsets that the map speaks of
  std::int64_t position = 0;            // where its owner had come to; no less than the span
  std::vector<LedgerRange> incomplete;  // ascending, apart from each other, within the span

  // Speaks of no more than that from now on. The position stays.
  void CutTo(std::int64_t shorter);
  // True if the record at `relative` (offset minus the committed one) was completed.
  [[nodiscard]] bool Claims(std::int64_t relative) const;
  friend bool operator==(const LedgerMap&, const LedgerMap&) = default;
};

struct EncodedLedgerMap {
  std::string text;
  bool truncated = false;  // not all fitted: the text speaks of a span that is shorter than the position
  std::int64_t span = 0;   // that it speaks of
};

// The smaller of both forms; the longest prefix that fits in `limit` bytes if neither fits. Pure; any thread.
EncodedLedgerMap EncodeLedgerMap(const LedgerMap& map, std::size_t limit = kMaxLedgerMapBytes);

// Where a new owner reads on: of what lies below the map tells. `committed`, where nobody can read the metadata.
std::int64_t IntakePosition(std::int64_t committed, std::string_view metadata);

// Checks every bound; allocates no more than the text's length warrants. kInvalid for what is not a map.
Result<LedgerMap> DecodeLedgerMap(std::string_view text);

}  // namespace hearth::dispatcher
