// Frames between executor and agent: through the reader of the stream, then decoded.
#include "schemas/guest.h"
#include "tests/fuzz/fuzz.h"

namespace hearth::fuzz {
namespace {

void Check(RawFrame raw) {
  const auto message = guest::DecodeGuestFrame(std::move(raw));
  if (!message) return;
  std::string once;
  guest::AppendGuestFrame(once, *message);
  FrameReader second;
  Must(second.Feed(once).has_value(), "a frame is read");
  const auto again = guest::DecodeGuestFrame(second.Next().value());
  Must(again.has_value(), "what was written is decoded");
  std::string twice;
  guest::AppendGuestFrame(twice, *again);
  Must(once == twice, "it is written the same");
}

}  // namespace
}  // namespace hearth::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(6);
  const auto bytes = fuzz::View(data, size);
  FrameReader reader;
  if (reader.Feed(bytes)) {
    while (auto raw = reader.Next()) fuzz::Check(std::move(*raw));
  }
  // And as the payload of one frame, whose length is right whatever was changed.
  if (size > kFrameHeadBytes) fuzz::Check({data[4], data[5], std::string(bytes.substr(kFrameHeadBytes))});
  return 0;
}
