// Clones of one machine are different machines before any user code runs in them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/executor/clones.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

// HEARTH_CLONES says how many; the nightly ring looks at a hundred.
int HowMany() {
  constexpr int kClones = 30;
  const char* set = std::getenv("HEARTH_CLONES");
  return set != nullptr ? std::atoi(set) : kClones;
}

constexpr int kAtOnce = 10;  // bounds the memory that the test takes
constexpr double kClockSlackS = 2;

constexpr const char* kWitness = R"(import os, random, secrets, socket, ssl, tempfile, time, uuid
def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except FileNotFoundError:
        return None
def handler(event, context):
    return {"uuid4": str(uuid.uuid4()), "random": random.random(), "secrets": secrets.token_hex(16),
            "urandom": os.urandom(16).hex(), "hostname": socket.gethostname(),
            "boot_id": read("/proc/sys/kernel/random/boot_id"), "machine_id": read("/etc/machine-id"),
            "ssl": ssl.RAND_bytes(16).hex(), "tempfile": next(tempfile._get_candidate_names()),
            "time": time.time(), "hash_seed": hash("a"), "layout": next(line for line in read("/proc/self/maps").split("\n") if "libc.so" in line)}
)";

class ClonesTest : public CloneFixture {
 protected:
  // Starts `count` clones, a few at a time; `visit` is called for each once it is configured.
  void ForEachClone(
      int count,
      const std::function<void(const std::string& name, const guest::Hello&, const guest::Configured&)>& visit) {
    for (int first = 0; first < count; first += kAtOnce) {
      std::vector<std::string> names;
      for (int i = first; i < std::min(count, first + kAtOnce); ++i) names.push_back("clone-" + std::to_string(i));
      for (const auto& name : names) fleet_->Start(MachineId(name), profile_, false);
      for (const auto& name : names) {
        Clone& clone = clones_[name];
        ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return clone.hello || !clone.failed.empty(); })) << name;
        ASSERT_TRUE(clone.hello) << name << ": " << clone.failed;
        Configure(name);
      }
      for (const auto& name : names) {
        const auto configured = Await<guest::Configured>(name, 0);
        ASSERT_TRUE(configured) << name;
        visit(name, *clones_[name].hello, *configured);
      }
      for (const auto& name : names) Destroy(name);
    }
  }
};

TEST_F(ClonesTest, ClonesShareTheNonceThatShowsItAndNothingElse) {
  MakeFleet(Choose(StartChoice::kTemplate));
  ASSERT_EQ(Settled().way, Way::kTemplate);
  std::set<std::string> boot_nonces;
  std::map<std::string, std::set<std::string>> seen;
  int clones = 0;
  const int count = HowMany();
  ForEachClone(count, [&](const std::string& name, const guest::Hello& hello, const guest::Configured& configured) {
    ++clones;
    boot_nonces.insert(hello.boot_nonce);
    seen["Configured.nonce"].insert(configured.nonce);
    const std::string output = Run(name, 1, Runtime::kPython3, kWitness, "null");
    const auto witness = nlohmann::json::parse(output, nullptr, false);
    ASSERT_TRUE(witness.is_object()) << output;
    for (const char* key :
         {"uuid4", "random", "secrets", "urandom", "hostname", "boot_id", "ssl", "tempfile", "hash_seed", "layout"}) {
      seen[key].insert(witness.value(key, nlohmann::json()).dump());
    }
    // The image has none; one day that it has, clones must not share it.
    if (const auto id = witness.value("machine_id", nlohmann::json()); !id.is_null()) {
      EXPECT_TRUE(seen["machine_id"].insert(id.dump()).second);
    }
    // The template's clock stood still when it was saved; this one's goes with the host's.
    const double now_s = static_cast<double>(ReadClocks().wall_us) / 1e6;
    const double configured_s = static_cast<double>(configured_us_[name]) / 1e6;
    EXPECT_GE(witness.value("time", 0.0), configured_s - 0.001) << name;
    EXPECT_LE(witness.value("time", 0.0), now_s + kClockSlackS) << name;
  });
  ASSERT_EQ(clones, count);
  for (const char* key : {"hash_seed", "layout"}) {
    EXPECT_EQ(seen[key].size(), 1U) << key << ": clones have it in common no more: mend docs/isolation.md";
  }
  EXPECT_EQ(boot_nonces.size(), 1U) << "they are clones";
  for (const char* key :
       {"Configured.nonce", "uuid4", "random", "secrets", "urandom", "hostname", "boot_id", "ssl", "tempfile"}) {
    EXPECT_EQ(seen[key].size(), static_cast<std::size_t>(count)) << key;
  }
}

// What docs/isolation.md says of a profile whose machines are booted: nothing of the memory of two is the same. Beside
// it, what it says of clones: an interpreter that was started in the template has its seed and its addresses.
TEST_F(ClonesTest, BootedMachinesShareNothing) {
  WaysOptions options = Choose(StartChoice::kTemplate);
  options.profiles[profile_.name] = StartChoice::kBoot;
  MakeFleet(std::move(options));
  ASSERT_EQ(Settled().way, Way::kBoot);
  std::map<std::string, std::set<std::string>> seen;
  ForEachClone(2, [&](const std::string& name, const guest::Hello& hello, const guest::Configured&) {
    EXPECT_EQ(clones_[name].path, StartPath::kBoot);
    seen["nonce"].insert(hello.boot_nonce);
    const auto witness = nlohmann::json::parse(Run(name, 1, Runtime::kPython3, kWitness, "null"), nullptr, false);
    for (const char* key : {"hash_seed", "layout"}) seen[key].insert(witness.value(key, nlohmann::json()).dump());
  });
  for (const auto& [key, values] : seen) EXPECT_EQ(values.size(), 2U) << key;
}

// One file as a cpio archive of the kernel's kind. The kernel unpacks one after the other: a later file replaces an
// earlier.
std::string Cpio(const std::string& name, const std::string& content, unsigned mode) {
  const auto entry = [](const std::string& path, const std::string& bytes, unsigned bits) {
    std::string text =
        fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", 1, bits, 0,
                    0, 1, 0, bytes.size(), 0, 0, 0, 0, path.size() + 1, 0);
    text += path + '\0';
    text.resize((text.size() + 3) / 4 * 4, '\0');
    text += bytes;
    text.resize((text.size() + 3) / 4 * 4, '\0');
    return text;
  };
  return entry(name, content, mode) + entry("TRAILER!!!", "", 0);
}

// The mutant: an agent that does not mix in the executor's entropy. What the test above looks at then repeats itself.
TEST_F(ClonesTest, WithoutReseedingClonesRepeatEachOther) {
  const auto read = [](const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  };
  const fs::path initrd = folder_ / "initramfs.cpio";
  std::string archive = read(image_.initrd);
  archive.resize((archive.size() + 3) / 4 * 4, '\0');
  std::ofstream(initrd, std::ios::binary) << archive << Cpio("init", read(HEARTH_AGENT_WITHOUT_RESEED), 0100755);
  fs::permissions(initrd, static_cast<fs::perms>(0644));
  image_.initrd = initrd.string();
  image_.hash = "mutant";
  MakeFleet(Choose(StartChoice::kTemplate));
  ASSERT_EQ(Settled().way, Way::kTemplate);
  std::set<std::string> nonces;
  ForEachClone(2 * kAtOnce, [&](const std::string&, const guest::Hello&, const guest::Configured& configured) {
    nonces.insert(configured.nonce);
  });
  EXPECT_LT(nonces.size(), static_cast<std::size_t>(2 * kAtOnce));
}

}  // namespace
}  // namespace hearth::executor
