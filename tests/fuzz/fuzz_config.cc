// Configuration files.
#include "common/config/reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(2);
  auto reader =
      ConfigReader::FromText(fuzz::View(data, size), "fuzz.toml", [](const std::string&) { return std::nullopt; });
  if (!reader) return 0;
  (void)reader->RequiredString("id", "about");
  (void)reader->String("kafka.bootstrap", "", "about");
  (void)reader->Integer("machines.credit", 64, 1, 1000, "about");
  (void)reader->Boolean("machines.require_kvm", false, "about");
  (void)reader->Strings("link.executors", {}, "about");
  for (auto& profile : reader->Tables("profile", "about")) (void)profile.Integer("memory_mib", 512, 1, 4096, "about");
  (void)reader->Finish();
  return 0;
}
