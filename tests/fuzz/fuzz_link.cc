// Frames between dispatcher and executor: first through the reader of the stream, then decoded.
#include "schemas/link.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  FrameReader reader;
  if (!reader.Feed(fuzz::View(data, size))) return 0;
  while (auto raw = reader.Next()) {
    const auto message = link::DecodeLinkMessage(std::move(*raw));
    if (!message) continue;
    std::string once;
    link::AppendLinkMessage(once, *message);
    FrameReader second;
    fuzz::Must(second.Feed(once).has_value(), "a frame is read");
    const auto again = link::DecodeLinkMessage(second.Next().value());
    fuzz::Must(again.has_value(), "what was written is decoded");
    std::string twice;
    link::AppendLinkMessage(twice, *again);
    fuzz::Must(once == twice, "it is written the same");
  }
  return 0;
}
