// Records of hearth.functions and hearth.usage.
#include "schemas/function.h"
#include "schemas/usage.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(6);
  const auto bytes = fuzz::View(data, size);
  if (const auto function = DecodeFunction(bytes)) {
    fuzz::Must(ValidateFunction(*function).has_value(), "what was decoded is valid");
    const auto again = DecodeFunction(EncodeFunction(*function));
    fuzz::Must(again.has_value() && *again == *function, "a function reads the same");
  }
  if (const auto usage = DecodeUsage(bytes)) {
    const auto again = DecodeUsage(EncodeUsage(*usage));
    fuzz::Must(again.has_value() && *again == *usage, "usage reads the same");
  }
  return 0;
}
