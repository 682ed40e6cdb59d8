// The map in a commit's metadata: its ranges are in order and within the span, and it reads the same again.
#include "dispatcher/core/ledger_map.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(3);
  const auto map = dispatcher::DecodeLedgerMap(fuzz::View(data, size));
  if (!map) return 0;
  std::int64_t end = 0;
  for (const auto& range : map->incomplete) {
    fuzz::Must(range.start >= end && range.length > 0 && range.start + range.length <= map->span,
               "ranges are in order");
    end = range.start + range.length;
  }
  const auto encoded = dispatcher::EncodeLedgerMap(*map);
  fuzz::Must(encoded.text.size() <= dispatcher::kMaxLedgerMapBytes, "the map is within its limit");
  const auto again = dispatcher::DecodeLedgerMap(encoded.text);
  fuzz::Must(again.has_value() && again->epoch == map->epoch, "what was written is read");
  if (!encoded.truncated) fuzz::Must(*again == *map, "it reads the same");
  return 0;
}
