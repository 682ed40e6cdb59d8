// A page of statuses: the first byte tells how many items it has. It is written to the same bytes, and its counts are
// sums.
#include "dispatcher/core/status_page.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(3);
  if (size == 0) return 0;
  const std::int64_t items = data[0] == 0 ? dispatcher::kPageItems : data[0] * std::int64_t{7};
  const auto bytes = fuzz::View(data + 1, size - 1);
  const auto page = dispatcher::StatusPage::Decode(bytes, items);
  if (!page) return 0;
  const ItemCounts counts = page->Counts();
  fuzz::Must(counts.Total() == items, "counts are sums");
  fuzz::Must(static_cast<std::int64_t>(page->tries().size()) <= counts[ItemStatus::kPending],
             "what is tried again is pending");
  fuzz::Must(page->Encode() == bytes, "a page is written as it was read");
  return 0;
}
