#include "dispatcher/core/ledger_map.h"

#include <algorithm>

#include "common/base/base64.h"
#include "dispatcher/core/varint.h"

namespace hearth::dispatcher {
namespace {

constexpr char kVersion = 2;
constexpr char kVersionWithPosition = 3;
constexpr char kVersionWithoutGeneration = 1;
constexpr char kRangesForm = 0;
constexpr char kBitmapForm = 1;

std::string Head(const LedgerMap& map, char form, std::int64_t span) {
  const std::int64_t position = std::max(map.position, map.span);
  std::string out(1, span < position ? kVersionWithPosition : kVersion);
  AppendVarint(out, map.epoch);
  AppendVarint(out, map.generation);
  AppendVarint(out, map.witness_ms);
  if (span < position) AppendVarint(out, position);
  out.push_back(form);
  AppendVarint(out, span);
  return out;
}

struct Draft {
  std::string bytes;
  std::int64_t span = 0;
};

Draft DraftRanges(const LedgerMap& map, std::size_t room) {
  std::string body;
  std::int64_t end = 0;
  std::int64_t span = map.span;
  std::int64_t count = 0;
  constexpr std::size_t kHeadReserve = 1 + 10 + 10 + 10 + 10 + 1 + 10 + 10;  // the longest head and count
  for (const LedgerRange& range : map.incomplete) {
    std::string one;
    AppendRange(one, range, end);
    if (kHeadReserve + body.size() + one.size() > room) {
      span = range.start;  // all before it is known
      break;
    }
    body += one;
    end = range.start + range.length;
    ++count;
  }
  Draft draft{Head(map, kRangesForm, span), span};
  AppendVarint(draft.bytes, count);
  draft.bytes += body;
  return draft;
}

Draft DraftBitmap(const LedgerMap& map, std::size_t room) {
  const std::size_t head = 1 + 10 + 10 + 10 + 10 + 1 + 10;
  const std::int64_t most = room > head ? static_cast<std::int64_t>(room - head) * 8 : 0;
  const std::int64_t span = std::min(map.span, most);
  Draft draft{Head(map, kBitmapForm, span), span};
  draft.bytes += BitsOf(map.incomplete, span);
  return draft;
}

Result<LedgerMap> Broken(const char* what) {
  return Fail(Code::kInvalid, std::string("ledger map: ") + what);
}

}  // namespace

void LedgerMap::CutTo(std::int64_t shorter) {
  position = std::max(position, span);
  span = std::min(span, std::max<std::int64_t>(0, shorter));
  while (!incomplete.empty() && incomplete.back().start >= span) incomplete.pop_back();
  if (incomplete.empty()) return;
  LedgerRange& last = incomplete.back();
  last.length = std::min(last.length, span - last.start);
}

bool LedgerMap::Claims(std::int64_t relative) const {
  if (relative < 0 || relative >= span) return false;
  const auto after =
      std::upper_bound(incomplete.begin(), incomplete.end(), relative,
                       [](std::int64_t offset, const LedgerRange& range) { return offset < range.start; });
  if (after == incomplete.begin()) return true;
  const LedgerRange& last = *std::prev(after);
  return relative >= last.start + last.length;
}

EncodedLedgerMap EncodeLedgerMap(const LedgerMap& map, std::size_t limit) {
  const std::size_t room = limit / 4 * 3;
  Draft ranges = DraftRanges(map, room);
  Draft bitmap = DraftBitmap(map, room);
  const bool prefer_bitmap =
      bitmap.span > ranges.span || (bitmap.span == ranges.span && bitmap.bytes.size() < ranges.bytes.size());
  const Draft& best = prefer_bitmap ? bitmap : ranges;
  return {Base64Encode(best.bytes), best.span < std::max(map.position, map.span), best.span};
}

std::int64_t IntakePosition(std::int64_t committed, std::string_view metadata) {
  const auto map = DecodeLedgerMap(metadata);
  return map ? committed + map->position : committed;
}

Result<LedgerMap> DecodeLedgerMap(std::string_view text) {
  const auto bytes = Base64Decode(text);
  if (!bytes || Base64Encode(*bytes) != text) return Broken("not base64");  // one map has one text
  VarintCursor cursor(*bytes);
  char version = 0;
  char form = 0;
  LedgerMap map;
  if (!cursor.Byte(version) || version < kVersionWithoutGeneration || version > kVersionWithPosition) {
    return Broken("unknown version");
  }
  if (!cursor.Varint(map.epoch) || map.epoch > kMaxLedgerEpoch) return Broken("epoch");
  if (version != kVersionWithoutGeneration) {
    if (!cursor.Varint(map.generation)) return Broken("generation");
    if (!cursor.Varint(map.witness_ms)) return Broken("witness");
  }
  if (version == kVersionWithPosition && !cursor.Varint(map.position)) return Broken("position");
  if (!cursor.Byte(form)) return Broken("form");
  if (!cursor.Varint(map.span)) return Broken("span");
  if (version == kVersionWithPosition) {
    if (map.position <= map.span) return Broken("position within the span");
  } else {
    map.position = map.span;
  }

  if (form == kRangesForm) {
    if (const char* wrong = ReadRanges(cursor, map.span, map.incomplete); wrong != nullptr) return Broken(wrong);
    return map;
  }
  if (form != kBitmapForm) return Broken("unknown form");
  const std::string_view bits = cursor.rest();
  if (static_cast<std::uint64_t>(map.span) > bits.size() * 8 ||
      static_cast<std::uint64_t>((map.span + 7) / 8) != bits.size()) {
    return Broken("bitmap of another size");
  }
  map.incomplete = RangesOf(bits);
  if (!map.incomplete.empty() && map.incomplete.back().start + map.incomplete.back().length > map.span) {
    return Broken("bit beyond the span");
  }
  return map;
}

}  // namespace hearth::dispatcher
