// Machines from templates and shells, and what is behind them, with the real libvirt and QEMU.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/executor/clones.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

class TemplateTest : public CloneFixture {};

TEST_F(TemplateTest, AShellBecomesAMachineThatRunsFunctions) {
  MakeFleet(Choose(StartChoice::kAuto));
  const auto& status = Settled();
  ASSERT_EQ(status.way, Way::kTemplate) << status.reason;
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
  Configure("taken");
  ASSERT_TRUE(Await<guest::Configured>("taken", 0));
  EXPECT_EQ(Run("taken", 1, Runtime::kPython3, "def handler(event, context):\n    return event + 1\n", "41"), "42");
  EXPECT_EQ(Run("taken", 2, Runtime::kNative, "#!/bin/sh\nexec tr a-z A-Z\n", "native"), "NATIVE");

  ASSERT_TRUE(ShellsWait(1)) << "a taken shell is replaced";
  for (const auto& domain : Listed()) {
    if (domain.name != shell) continue;
    EXPECT_EQ(domain.mark.instance, InstanceId("taken"));
  }
  Destroy("taken");
}

}  // namespace
}  // namespace hearth::executor
