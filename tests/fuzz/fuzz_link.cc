// Frames between dispatcher and executor: through the reader of the stream, then decoded, each by itself and as a
// session.
#include "schemas/link_session.h"
#include "tests/fuzz/fuzz.h"

namespace hearth::fuzz {
namespace {

void Check(RawFrame raw) {
  const auto message = link::DecodeLinkMessage(std::move(raw));
  if (!message) return;
  std::string once;
  if (!link::AppendLinkMessage(once, *message)) return;  // fields that an older writer left out can make it too large
  FrameReader second;
  Must(second.Feed(once).has_value(), "a frame is read");
  const auto again = link::DecodeLinkMessage(second.Next().value());
  Must(again.has_value(), "what was written is decoded");
  std::string twice;
  Must(link::AppendLinkMessage(twice, *again).has_value(), "what was decoded fits a frame");
  Must(once == twice, "it is written the same");
}

// What an executor hears in a session, a dispatcher could have said: said again, it is heard the same.
void CheckSession(std::string_view bytes) {
  FrameReader frames;
  link::SessionReader heard;
  link::SessionWriter again;
  link::SessionReader heard_again;
  if (!frames.Feed(bytes)) return;
  while (auto raw = frames.Next()) {
    auto message = heard.Decode(std::move(*raw));
    if (!message) return;
    auto* exec = *message ? std::get_if<link::Exec>(&**message) : nullptr;
    if (exec == nullptr) continue;
    Must(exec->function != nullptr, "an exec has a function");
    std::string out;
    if (!again.Append(out, **message)) return;
    FrameReader second;
    Must(second.Feed(out).has_value(), "a frame is read");
    std::optional<link::Message> last;
    while (auto frame = second.Next()) {
      auto decoded = heard_again.Decode(std::move(*frame));
      Must(decoded.has_value(), "what was written is decoded");
      if (*decoded) last = std::move(**decoded);
    }
    Must(last && *std::get<link::Exec>(*last).function == *exec->function, "the function is the same");
  }
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
  fuzz::CheckSession(bytes);
  // And as the payload of one frame, whose length is right whatever was changed.
  if (size > kFrameHeadBytes) fuzz::Check({data[4], data[5], std::string(bytes.substr(kFrameHeadBytes))});
  return 0;
}
