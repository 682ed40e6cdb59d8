// Settings of pools: the key up to the first line's end, then the value.
#include "schemas/pool_settings.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(4);
  const auto text = fuzz::View(data, size);
  const auto end = text.find('\n');
  if (const auto key = ParsePoolKey(text.substr(0, end))) {
    fuzz::Must(FormatPoolKey(*key) == text.substr(0, end), "a key that is read is written the same");
  }
  if (end == std::string_view::npos) return 0;
  const auto settings = DecodePoolSettings(text.substr(end + 1));
  if (!settings) return 0;
  fuzz::Must(DecodePoolSettings(EncodePoolSettings(*settings)).value() == *settings, "it is written the same");
  return 0;
}
