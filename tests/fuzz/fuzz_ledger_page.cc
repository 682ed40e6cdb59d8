// A ledger page: its runs are in order and within the page, and they are written to the same bytes. Its key likewise.
#include "dispatcher/core/ledger_page.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(3);
  const auto bytes = fuzz::View(data, size);
  if (const auto key = dispatcher::ParsePageKey(bytes)) {
    fuzz::Must(dispatcher::PageKeyText(*key) == bytes, "a key is written as it was read");
  }
  const auto complete = dispatcher::DecodeLedgerPage(bytes);
  if (!complete) return 0;
  std::int64_t end = -1;
  for (const auto& run : *complete) {
    fuzz::Must(run.start > end && run.length > 0 && run.start + run.length <= dispatcher::kPageOffsets,
               "runs are in order");
    end = run.start + run.length;
  }
  fuzz::Must(dispatcher::EncodeLedgerPage(*complete) == bytes, "a page is written as it was read");
  return 0;
}
