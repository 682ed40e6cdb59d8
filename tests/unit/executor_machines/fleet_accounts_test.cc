// A block of accounts that is used up.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>

#include "executor/machines/fleet.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::executor {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;

// Makes nothing.
class NoStarter : public MachineStarter {
 public:
  [[nodiscard]] Way way() const override { return Way::kBoot; }
  void Start(const DomainSpec&, Done) override { ++started; }
  int started = 0;
};

TEST(FleetAccounts, AMachineBeyondTheBlockIsRefused) {
  std::string folder = testing::TempDir() + "hearth-f-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  {
    Loop loop;
    HypervisorOptions nowhere;
    nowhere.uri = "qemu+unix:///system?socket=/no/such/socket";
    Hypervisor hypervisor(
        nowhere, [&loop](std::function<void()> work) { loop.Post(std::move(work)); },
        [](Hypervisor::State, const std::string&) {});
    NoStarter starter;
    FleetOptions options;
    options.executor = ExecutorId("executor-1");
    options.incarnation = "0123456789abcdef";
    options.run_dir = folder;
    options.first_account = MachineAccount{geteuid(), getegid()};
    options.accounts = 1;
    std::optional<std::string> refused;
    Fleet::Callbacks callbacks;
    callbacks.failed = [&](const MachineId&, std::string reason) { refused = std::move(reason); };
    Fleet fleet(loop, hypervisor, starter, MachineImage{}, options, callbacks);
    fleet.Start(MachineId("m-1"), Profile{}, false);
    EXPECT_EQ(starter.started, 1);
    fleet.Start(MachineId("m-2"), Profile{}, false);
    ASSERT_TRUE(RunUntil(loop, kPatienceMs, [&] { return refused.has_value(); }));
    EXPECT_EQ(*refused, "all 1 accounts for machines are in use");
    EXPECT_EQ(starter.started, 1);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hearth::executor
