// Configuration files.
#include "common/config/reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  // toml++ 3.3 marks a branch unreachable that U+FB26 to U+FEFE reach outside strings (is_non_ascii_horizontal_whitespace);
  // the lead bytes of that range are left out so that the fuzzer gets past the library's known fault.
  const auto text = fuzz::View(data, size);
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if (static_cast<unsigned char>(text[i]) == 0xef && second >= 0xac && second <= 0xbb) return 0;
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
