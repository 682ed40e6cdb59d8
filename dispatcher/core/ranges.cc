#include "dispatcher/core/ranges.h"

#include <algorithm>

namespace hearth::dispatcher {

void AppendRange(std::string& out, const LedgerRange& range, std::int64_t end) {
  AppendVarint(out, range.start - end);
  AppendVarint(out, range.length);
}

const char* ReadRanges(VarintCursor& cursor, std::int64_t end, std::vector<LedgerRange>& out) {
  std::int64_t count = 0;
  if (!cursor.Varint(count)) return "count";
  if (static_cast<std::uint64_t>(count) > cursor.rest().size() / 2) return "count above its bytes";
  out.reserve(static_cast<std::size_t>(count));
  std::int64_t last = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    LedgerRange range;
    if (!cursor.Varint(range.start) || !cursor.Varint(range.length)) return "range cut short";
    if (range.length == 0 || (i > 0 && range.start == 0)) return "empty or touching range";
    range.start += last;
    if (range.start > end || range.length > end - range.start) return "range beyond the end";
    last = range.start + range.length;
    out.push_back(range);
  }
  return cursor.rest().empty() ? nullptr : "bytes left over";
}

std::string BitsOf(const std::vector<LedgerRange>& ranges, std::int64_t count) {
  std::string bits(static_cast<std::size_t>((count + 7) / 8), '\0');
  for (const LedgerRange& range : ranges) {
    for (std::int64_t i = range.start; i < std::min(count, range.start + range.length); ++i) {
      auto& byte = bits[static_cast<std::size_t>(i / 8)];
      byte = static_cast<char>(static_cast<unsigned char>(byte) | (1U << (i % 8)));
    }
  }
  return bits;
}

std::vector<LedgerRange> RangesOf(std::string_view bits) {
  std::vector<LedgerRange> ranges;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(bits.size()) * 8; ++i) {
    const auto byte = static_cast<unsigned char>(bits[static_cast<std::size_t>(i / 8)]);
    if (((byte >> (i % 8)) & 1U) == 0) continue;
    if (!ranges.empty() && ranges.back().start + ranges.back().length == i) {
      ++ranges.back().length;
    } else {
      ranges.push_back({i, 1});
    }
  }
  return ranges;
}

}  // namespace hearth::dispatcher
