// Ranges of offsets, as numbers and as bytes: what a commit's map and a ledger page are made of. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dispatcher/core/varint.h"

namespace hearth::dispatcher {

struct LedgerRange {
  std::int64_t start = 0;
  std::int64_t length = 0;
  friend bool operator==(const LedgerRange&, const LedgerRange&) = default;
};

// Appends the range as it is written behind one that ended at `end`: varint gap, varint length.
void AppendRange(std::string& out, const LedgerRange& range, std::int64_t end);
// Reads a varint count and so many ranges into `out`: ascending, apart from each other, none beyond `end`. Nothing may
// be left over. Allocates no more than the bytes warrant. Returns what is wrong with them; nullptr: nothing.
const char* ReadRanges(VarintCursor& cursor, std::int64_t end, std::vector<LedgerRange>& out);

// Of `count` bits, least significant first, those that lie in a range are set. What lies beyond is left out.
std::string BitsOf(const std::vector<LedgerRange>& ranges, std::int64_t count);
std::vector<LedgerRange> RangesOf(std::string_view bits);

}  // namespace hearth::dispatcher
