// libFuzzer's own mutations, and now and then a piece of the input repeated up to the full size.
#include <cstring>

#include "tests/fuzz/cost.h"
#include "tests/fuzz/fuzz.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  constexpr unsigned kOneIn = 8;
  if (seed % kOneIn != 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string grown = hearth::fuzz::Grow(hearth::fuzz::View(data, size), seed / kOneIn, max_size);
  std::memcpy(data, grown.data(), grown.size());
  return grown.size();
}
