// The process of a daemon: which exit code it ends with, and what it says.
#include "common/daemon/run.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

namespace hearth {
namespace {

struct Config {
  std::string log_level = "off";
  bool startable = true;
  int exit_code = kExitDrained;
};
Config config;
std::vector<std::string> happened;

// Ends when it is told to.
class Short : public Daemon {
 public:
  Short(Loop& loop, const Config& own) : loop_(loop), own_(own) {}
  Result<void> Start() override {
    happened.emplace_back("started");
    if (!own_.startable) return Fail(Code::kUnavailable, "the port is in use");
    loop_.Post([] { raise(SIGTERM); });
    return {};
  }
  void Drain() override {
    happened.emplace_back("drained");
    loop_.Stop();
  }
  [[nodiscard]] int exit_code() const override { return own_.exit_code; }

 private:
  Loop& loop_;
  const Config own_;
};

class RunDaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    config = {};
    happened.clear();
  }
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "hearth-test");
    std::vector<char*> raw;
    for (auto& each : arguments) raw.push_back(each.data());
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const int code = RunDaemon(program_, static_cast<int>(raw.size()), raw.data());
    said_ = testing::internal::GetCapturedStderr() + testing::internal::GetCapturedStdout();
    return code;
  }

  DaemonProgram<Config> program_{{"test", "does nothing", "1.2", [] { return std::string("## hearth-test\n"); }},
                                 [](const std::string& path) -> Result<Config> {
                                   if (path == "bad") return Fail(Code::kInvalid, "bad:1: what is that?");
                                   return config;
                                 },
                                 [](Loop& loop, Config own, Logger) -> std::expected<std::unique_ptr<Daemon>, Exit> {
                                   if (own.exit_code == 77) return std::unexpected(Exit{77, "no image"});
                                   return std::make_unique<Short>(loop, own);
                                 }};
  std::string said_;
};

TEST_F(RunDaemonTest, RunsUntilItIsDrainedAndEndsAsTheDaemonSays) {
  EXPECT_EQ(Run({"--config", "good"}), kExitDrained);
  EXPECT_EQ(happened, (std::vector<std::string>{"started", "drained"}));
  config.exit_code = 3;
  EXPECT_EQ(Run({"--config", "good"}), 3);
  EXPECT_EQ(said_, "");
}

TEST_F(RunDaemonTest, BadUsageAndABadConfigurationAreNamed) {
  EXPECT_EQ(Run({}), kExitUsage);
  EXPECT_EQ(Run({"--config", "good", "--fast"}), kExitUsage);
  EXPECT_EQ(Run({"--config", "bad"}), kExitUsage);
  EXPECT_EQ(said_, "hearth-test: bad:1: what is that?\n");
  config.log_level = "loud";
  EXPECT_EQ(Run({"--config", "good"}), kExitUsage);
  EXPECT_NE(said_.find("hearth-test: good: log_level: log level 'loud'"), std::string::npos) << said_;
  EXPECT_TRUE(happened.empty());
}

TEST_F(RunDaemonTest, WhatCannotBeHadEndsIt) {
  config.exit_code = 77;
  EXPECT_EQ(Run({"--config", "good"}), 77);
  EXPECT_EQ(said_, "hearth-test: no image\n");
  config = {.startable = false};
  EXPECT_EQ(Run({"--config", "good"}), kExitFailed);
  EXPECT_EQ(said_, "hearth-test: the port is in use\n");
}

TEST_F(RunDaemonTest, TellsItsVersionAndItsPurpose) {
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_EQ(said_, "hearth-test 1.2\n");
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_TRUE(said_.starts_with("hearth-test: does nothing")) << said_;
  EXPECT_EQ(Run({"--config-reference"}), 0) << "needs no configuration";
  EXPECT_EQ(said_, "## hearth-test\n");
}

}  // namespace
}  // namespace hearth
