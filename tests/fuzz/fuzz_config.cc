// Configuration files.
#include "common/config/reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hearth;
  const fuzz::Bounded bounded(2);
  auto reader = ConfigReader::FromText(fuzz::View(data, size), "fuzz.toml");
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
