// Machines from templates and shells, and the ways behind them, with the real libvirt and QEMU.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/integration/executor/clones.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAddOne = "def handler(event, context):\n    return event + 1\n";

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// QEMU's process, by the name that libvirt gives it.
pid_t ProcessOf(const std::string& domain) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    if (ReadAll(entry.path() / "cmdline").find("guest=" + domain + ",") == std::string::npos) continue;
    return static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
  }
  return -1;
}

class TemplateTest : public CloneFixture {
 protected:
  void RunsFunctions(const std::string& name) {
    Configure(name);
    ASSERT_TRUE(Await<guest::Configured>(name, 0));
    EXPECT_EQ(Run(name, 1, Runtime::kPython3, kAddOne, "41"), "42");
    EXPECT_EQ(Run(name, 2, Runtime::kNative, "#!/bin/sh\nexec tr a-z A-Z\n", "native"), "NATIVE");
  }

  // A life of an executor whose templates lie in `folder`: what became of them.
  Ways::Status Live(const fs::path& folder, SavedStore::Checks checks = {true, true}) {
    WaysOptions options = Choose(StartChoice::kTemplate);
    options.folder = folder.string();
    options.checks = checks;
    MakeFleet(std::move(options), "life-" + std::to_string(++lives_));
    const Ways::Status status = Settled();
    End();
    return status;
  }
  fs::path CopyOf(const fs::path& folder) {
    fs::path copy = folder_ / ("copy-" + std::to_string(++copies_));
    fs::copy(folder, copy);
    return copy;
  }
  static fs::path Part(const fs::path& folder, const char* suffix) {
    return folder / (std::string("default-tcg-template.") + suffix);
  }
  // Changes what is there, of the same length.
  static void Spoil(const fs::path& path, std::int64_t at, char value) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(at);
    file.put(value);
  }
  static void Replace(const fs::path& path, const std::string& from, const std::string& to) {
    std::string text = ReadAll(path);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    std::ofstream(path, std::ios::binary) << text.replace(at, from.size(), to);
  }

  int lives_ = 0;
  int copies_ = 0;
};

TEST_F(TemplateTest, AShellBecomesAMachineThatRunsFunctions) {
  MakeFleet(Choose(StartChoice::kAuto));
  const auto& status = Settled();
  ASSERT_EQ(status.way, Way::kTemplate) << status.reason;
  EXPECT_EQ(status.reason, "");
  fleet_->KeepShells(profile_, 1);
  ASSERT_TRUE(ShellsWait(1));
  auto domains = Listed();
  ASSERT_EQ(domains.size(), 1U);
  const std::string shell = domains[0].name;

  const auto commands = hypervisor_->monitor_commands().load();
  const Clone& clone = Start("taken");
  EXPECT_EQ(clone.path, StartPath::kRestore);
  EXPECT_EQ(hypervisor_->monitor_commands() - commands, 1) << "an activation is one command";
  EXPECT_EQ(clone.hello->runtimes, (std::vector<std::string>{"python3", "native"}));
  RunsFunctions("taken");

  ASSERT_TRUE(ShellsWait(1)) << "a taken shell is replaced";
  for (const auto& domain : Listed()) {
    if (domain.name != shell) continue;
    EXPECT_EQ(domain.mark.machine, MachineId("taken"));
  }
  Destroy("taken");
  fleet_->KeepShells(profile_, 0);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return fleet_->size() == 0; }));
  // By now the number of waiting shells has been told each time that it changed.
  EXPECT_NE(std::find(shells_.begin(), shells_.end(), 1), shells_.end());
  EXPECT_EQ(shells_.back(), 0);
}

TEST_F(TemplateTest, WithoutAShellAMachineIsMadeAtOnceAndWarmsUpForThePool) {
  MakeFleet(Choose(StartChoice::kTemplate));
  ASSERT_EQ(Settled().way, Way::kTemplate);
  const Clone& clone = Start("pooled", true);
  EXPECT_EQ(clone.path, StartPath::kRestore);
  EXPECT_EQ(clone.hello->runtimes, (std::vector<std::string>{"python3", "native"})) << "both have run again";
  EXPECT_TRUE(clone.frames.empty()) << "Warmed is not the core's";
  RunsFunctions("pooled");
}

TEST_F(TemplateTest, AShellThatIsKilledIsNoticedAndReplaced) {
  MakeFleet(Choose(StartChoice::kTemplate));
  ASSERT_EQ(Settled().way, Way::kTemplate);
  fleet_->KeepShells(profile_, 1);
  ASSERT_TRUE(ShellsWait(1));
  const auto before = Listed();
  ASSERT_EQ(before.size(), 1U);
  const pid_t process = ProcessOf(before[0].name);
  ASSERT_GT(process, 0);
  ASSERT_EQ(kill(process, SIGKILL), 0);
  ASSERT_TRUE(ShellsWait(0));
  ASSERT_TRUE(ShellsWait(1));
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return fleet_->size() == 1; }));
  const auto after = Listed();
  ASSERT_EQ(after.size(), 1U);
  EXPECT_NE(after[0].name, before[0].name);
  EXPECT_EQ(ways_->Of(profile_.name).condemned, 0) << "a death while waiting says nothing of the template";
  EXPECT_EQ(Start("after").path, StartPath::kRestore);
}

TEST_F(TemplateTest, ReconciliationLeavesShellsOfThisLifeAndDestroysThoseOfAnEarlier) {
  MakeFleet(Choose(StartChoice::kTemplate), "first-life");
  ASSERT_EQ(Settled().way, Way::kTemplate);
  fleet_->KeepShells(profile_, 1);
  ASSERT_TRUE(ShellsWait(1));
  std::optional<Result<std::size_t>> strays;
  fleet_->Reconcile([&strays](auto count) { strays = std::move(count); });
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&strays] { return strays.has_value(); }));
  EXPECT_EQ(strays->value_or(99), 0U);
  EXPECT_EQ(fleet_->ShellsReady(profile_.name), 1);

  fleet_->KeepShells(profile_, 0);  // so that this life does not make another
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return fleet_->size() == 0; }));
  fleet_->KeepShells(profile_, 1);
  ASSERT_TRUE(ShellsWait(1));
  Fleet second(loop_, *hypervisor_, *starter_, image_, Options("second-life"), Fleet::Callbacks{});
  strays.reset();
  second.Reconcile([&strays](auto count) { strays = std::move(count); });
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&strays] { return strays.has_value(); }));
  EXPECT_EQ(strays->value_or(99), 1U);
}

TEST_F(TemplateTest, AMachineDestroyedWhileItsShellIsFilledLeavesNothing) {
  MakeFleet(Choose(StartChoice::kTemplate));
  ASSERT_EQ(Settled().way, Way::kTemplate);
  fleet_->KeepShells(profile_, 1);
  ASSERT_TRUE(ShellsWait(1));
  fleet_->KeepShells(profile_, 0);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return fleet_->size() == 0; }));
  fleet_->KeepShells(profile_, 1);
  ASSERT_TRUE(ShellsWait(1));
  fleet_->Start(MachineId("hasty"), profile_, false);
  fleet_->KeepShells(profile_, 0);
  Destroy("hasty");
  EXPECT_FALSE(clones_["hasty"].hello);
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return fleet_->size() == 0; }));
  EXPECT_TRUE(Listed().empty());
}

TEST_F(TemplateTest, OnlyAVerifiedTemplateIsUsed) {
  const fs::path good = folder_ / "good";
  EXPECT_EQ(Live(good).made, 1);
  EXPECT_EQ(fs::status(good).permissions(), static_cast<fs::perms>(0700));
  for (const char* part : {"json", "state", "memory"}) {
    EXPECT_EQ(fs::status(Part(good, part)).permissions(), static_cast<fs::perms>(0600)) << part;
  }
  EXPECT_EQ(Live(good).made, 0) << "it outlives the executor";

  const auto rebuilt = [&](const std::string& what, const std::function<void(const fs::path&)>& spoil) {
    const fs::path copy = CopyOf(good);
    spoil(copy);
    const auto status = Live(copy);
    EXPECT_EQ(status.made, 1) << what;
    EXPECT_EQ(status.way, Way::kTemplate) << what << ": " << status.reason;
    EXPECT_EQ(Live(copy).made, 0) << what << ": the new one is good";
  };
  // The last page of the memory is free in a machine that has just booted: nothing else would notice.
  const std::int64_t free_page = (static_cast<std::int64_t>(profile_.memory_mib) << 20) - 2048;
  const auto spoil_memory = [free_page](const fs::path& f) { Spoil(Part(f, "memory"), free_page, '\x5a'); };
  const auto spoil_emulator = [](const fs::path& f) {
    Replace(Part(f, "json"), "\"emulator\": \"", "\"emulator\": \"9");
  };
  rebuilt("memory", spoil_memory);
  rebuilt("state", [](const fs::path& f) { Spoil(Part(f, "state"), 100, '\x5a'); });
  rebuilt("cut off", [](const fs::path& f) { fs::resize_file(Part(f, "state"), 100); });
  rebuilt("manifest", [](const fs::path& f) { std::ofstream(Part(f, "json")) << "{}"; });
  rebuilt("emulator", spoil_emulator);
  rebuilt("size", [](const fs::path& f) { Replace(Part(f, "json"), "\"memory_mib\": 256", "\"memory_mib\": 512"); });

  // The mutants: without the checks, what was spoilt is used, and the counts above would be 0.
  fs::path copy = CopyOf(good);
  spoil_memory(copy);
  EXPECT_EQ(Live(copy, {.binding = true, .hashes = false}).made, 0);
  copy = CopyOf(good);
  spoil_emulator(copy);
  EXPECT_EQ(Live(copy, {.binding = false, .hashes = true}).made, 0);
}

TEST_F(TemplateTest, LibvirtsSaveImageIsTheSecondWay) {
  MakeFleet(Choose(StartChoice::kSave));
  const auto& status = Settled();
  ASSERT_EQ(status.way, Way::kSave) << status.reason;
  fleet_->KeepShells(profile_, 1);
  const Clone& clone = Start("restored");
  EXPECT_EQ(clone.path, StartPath::kRestore);
  RunsFunctions("restored");
  EXPECT_EQ(Start("another").hello->boot_nonce, clone.hello->boot_nonce) << "many from one image";
  EXPECT_EQ(fleet_->ShellsReady(profile_.name), 0) << "this way knows none";
}

TEST_F(TemplateTest, EachWayThatFailsIsPassedOverWithTheReason) {
  WaysOptions options = Choose(StartChoice::kAuto);
  options.fault = [](Way way, WayStep step) -> Result<void> {
    if (way == Way::kTemplate && step == WayStep::kKeeping) return Fail(Code::kUnavailable, "the first is spoilt");
    return {};
  };
  MakeFleet(options, "first");
  auto status = Settled();
  EXPECT_EQ(status.way, Way::kSave);
  EXPECT_NE(status.reason.find("template: the first is spoilt"), std::string::npos) << status.reason;
  EXPECT_EQ(Start("saved").path, StartPath::kRestore);
  End();

  fs::remove_all(options.folder);
  options.fault = [](Way, WayStep step) -> Result<void> {
    if (step == WayStep::kKeeping) return Fail(Code::kUnavailable, "all are spoilt");
    return {};
  };
  MakeFleet(options, "second");
  status = Settled();
  EXPECT_EQ(status.way, Way::kBoot);
  EXPECT_NE(status.reason.find("template: all are spoilt; save: all are spoilt"), std::string::npos) << status.reason;
  EXPECT_EQ(Start("booted", true).path, StartPath::kBoot);
  End();

  options.choice = StartChoice::kBoot;
  MakeFleet(options, "third");
  status = Settled();
  EXPECT_EQ(status.way, Way::kBoot);
  EXPECT_EQ(status.reason, "") << "nothing else was asked for";
}

// Until something is ready, and whenever it failed, machines are booted: nothing waits for it.
TEST_F(TemplateTest, WhileATemplateIsMadeMachinesAreBooted) {
  MakeFleet(Choose(StartChoice::kTemplate));
  EXPECT_EQ(Start("early").path, StartPath::kBoot);
  EXPECT_EQ(Settled().way, Way::kTemplate);
  EXPECT_EQ(Start("later").path, StartPath::kRestore);
}

TEST_F(TemplateTest, ATemplateThatFailsTwiceIsCondemnedAndMadeAgain) {
  const fs::path root = folder_ / "root.squashfs";
  const fs::path away = folder_ / "away.squashfs";
  fs::copy_file(image_.root_image, root);
  fs::permissions(root, static_cast<fs::perms>(0644));
  image_.root_image = root.string();
  WaysOptions options = Choose(StartChoice::kTemplate);
  options.fault = [&](Way, WayStep) -> Result<void> {  // what is tried next finds all in order again
    std::error_code ignored;
    fs::rename(away, root, ignored);
    return {};
  };
  MakeFleet(options);
  ASSERT_EQ(Settled().way, Way::kTemplate);
  fs::rename(root, away);
  fleet_->KeepShells(profile_, 1);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return ways_->Of(profile_.name).condemned == 1; }));
  EXPECT_EQ(ways_->Of(profile_.name).way, Way::kBoot);
  EXPECT_NE(ways_->Of(profile_.name).reason, "");
  EXPECT_EQ(Settled().way, Way::kTemplate);
  EXPECT_EQ(ways_->Of(profile_.name).made, 2);
  EXPECT_EQ(ways_->Of(profile_.name).reason, "");
  EXPECT_TRUE(ShellsWait(1));
  EXPECT_EQ(Start("again").path, StartPath::kRestore);
}

}  // namespace
}  // namespace hearth::executor
