// Configuration files.
#include "common/config/reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  // toml++ 3.3 marks a branch unreachable that code points from U+FB26 to U+FEFE reach outside strings
  // (is_non_ascii_horizontal_whitespace), in several spellings. Only ASCII is tried, so that the fuzzer gets past that
  // known fault of the library.
  const auto text = fuzz::View(data, size);
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return 0;
  }
  auto reader = ConfigReader::FromText(text, "fuzz.toml");
  if (!reader) return 0;
  (void)reader->RequiredString("id");
  (void)reader->String("kafka.bootstrap", "");
  (void)reader->Integer("machines.credit", 64, 1, 1000);
  (void)reader->Boolean("machines.require_kvm", false);
  (void)reader->Strings("link.executors", {});
  for (auto& profile : reader->Tables("profile")) (void)profile.Integer("memory_mib", 512, 1, 4096);
  (void)reader->Finish();
  return 0;
}
