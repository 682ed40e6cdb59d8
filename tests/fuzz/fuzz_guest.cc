// Frames between executor and agent: first through the reader of the stream, then decoded.
#include "schemas/guest.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  FrameReader reader;
  if (!reader.Feed(fuzz::View(data, size))) return 0;
  while (auto raw = reader.Next()) {
    const auto message = guest::DecodeGuestFrame(std::move(*raw));
    if (!message) continue;
    std::string once;
    guest::AppendGuestFrame(once, *message);
    FrameReader second;
    fuzz::Must(second.Feed(once).has_value(), "a frame is read");
    const auto again = guest::DecodeGuestFrame(second.Next().value());
    fuzz::Must(again.has_value(), "what was written is decoded");
    std::string twice;
    guest::AppendGuestFrame(twice, *again);
    fuzz::Must(once == twice, "it is written the same");
  }
  return 0;
}
