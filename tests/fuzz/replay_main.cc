// Runs a target over every file of the folders given, as it is and grown to the full size: what stands in for libFuzzer
// where there is none.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.h"

namespace {

constexpr unsigned kGrown = 3;  // times each file, another piece of it repeated

void Run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      Run(bytes);
      for (unsigned number = 0; number < kGrown; ++number) {
        Run(hearth::fuzz::Grow(bytes, number, hearth::fuzz::kFullSize));
      }
      ++count;
    }
  }
  std::printf("%d inputs\n", count);
  return count > 0 ? 0 : 1;
}
