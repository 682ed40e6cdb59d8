// The executor's configuration: what is needed, what is refused, and that the line is named.
#include "executor/config.h"

#include <gtest/gtest.h>

namespace hearth::executor {
namespace {

constexpr const char* kGood = R"(id = "executor-1"
http = "127.0.0.1:9102"
listen = "unix:/run/hearth/e.sock"
run_dir = "/run/hearth/e"
state_dir = "/var/lib/hearth/e"
code_store = "/var/lib/hearth/code"
[kafka]
bootstrap = "127.0.0.1:9092"
[redis]
address = "unix:/run/hearth/redis.sock"
[machines]
image = "/var/lib/hearth/image"
accel = "tcg"
[[profile]]
name = "small"
memory_mib = 256
reserve_mib = 128
pool_max = 2
)";

std::string Fault(const std::string& text) {
  const auto config = ParseConfig(text, "executor.toml");
  return config ? "" : config.error().message;
}

std::string With(std::string_view old_text, std::string_view new_text) {
  std::string text = kGood;
  return text.replace(text.find(old_text), old_text.size(), new_text);
}

TEST(ExecutorConfig, IsRead) {
  const auto config = ParseConfig(kGood, "executor.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->core.id, ExecutorId("executor-1"));
  EXPECT_EQ(config->accel, AccelerationChoice::kTcg);
  ASSERT_EQ(config->core.profiles.size(), 1U);
  EXPECT_EQ(config->core.profiles[0].name, "small");
  EXPECT_EQ(config->core.profiles[0].memory_mib, 256);
  EXPECT_EQ(config->libvirt, "qemu:///system");
  EXPECT_EQ(config->start, StartChoice::kAuto);
  EXPECT_EQ(config->template_dir, "/var/lib/hearth/e/templates");
  EXPECT_EQ(config->core.profiles[0].shells, 2);
}

TEST(ExecutorConfig, WhatTheCoreDecidesByIsReadIntoItsSettings) {
  const std::string limits =
      "memory_mib = 4096\ncredit = 7\nwaiting = 5\nconcurrent_starts = 3\nconcurrent_activations = 5\nuser_starts = 2\n"
      "container_idle_s = 11\ninstance_idle_s = 12\n";
  const auto config = ParseConfig(
      With("[machines]\n", "[topics]\nundeliverable = \"u\"\nusage = \"g\"\nreply = \"r\"\n[machines]\n" + limits),
      "x");
  ASSERT_TRUE(config) << config.error().message;
  const Settings& core = config->core;
  EXPECT_EQ(core.memory_mib, 4096);
  EXPECT_EQ(core.credit, 7);
  EXPECT_EQ(core.waiting, 5);
  EXPECT_EQ(core.concurrent_starts, 3);
  EXPECT_EQ(core.concurrent_activations, 5);
  EXPECT_EQ(core.user_starts, 2);
  EXPECT_EQ(core.container_idle_ms, 11'000);
  EXPECT_EQ(core.machine_idle_ms, 12'000);
  EXPECT_EQ(core.undeliverable_topic, "u");
  EXPECT_EQ(core.usage_topic, "g");
  EXPECT_EQ(core.replies.default_topic, "r");
  EXPECT_EQ(core.replies.allowed, (std::vector<std::string>{"*"}));
}

TEST(ExecutorConfig, SimulatedMachinesNeedNoImage) {
  EXPECT_EQ(ParseConfig(kGood, "x")->driver, DriverChoice::kLibvirt);
  EXPECT_NE(Fault(With("image = \"/var/lib/hearth/image\"", "")).find("'machines.image' is required"),
            std::string::npos);
  const std::string simulated =
      With("image = \"/var/lib/hearth/image\"\naccel = \"tcg\"", "driver = \"simulated\"") +
      "[simulated]\nstart = \"uniform:1..2\"\nrun = \"5\"\nfailed_runs_ppm = 10\noutput_bytes = 7\n";
  const auto config = ParseConfig(simulated, "x");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->driver, DriverChoice::kSimulated);
  EXPECT_EQ(config->image, "");
  Random random(1);
  EXPECT_EQ(config->simulated.run.DrawMicros(random), 5000);
  EXPECT_EQ(config->simulated.container.DrawMicros(random), 0);
  EXPECT_EQ(config->simulated.failed_runs_ppm, 10);
  EXPECT_EQ(config->simulated.deaths_ppm, 0);
  EXPECT_EQ(config->simulated.output_bytes, 7);
}

TEST(ExecutorConfig, SimulatedMachinesAreNotTakenForOthers) {
  const auto with = [](const std::string& machines, const std::string& simulated) {
    return Fault(With("accel = \"tcg\"", "driver = \"simulated\"\n" + machines) + "[simulated]\n" + simulated);
  };
  EXPECT_EQ(with("", "seed = 7"), "");
  EXPECT_NE(with("require_kvm = true", "").find("'machines.require_kvm' cannot hold"), std::string::npos);
  EXPECT_NE(with("accel = \"kvm\"", "").find("'machines.accel' cannot hold"), std::string::npos);
  EXPECT_NE(with("", "run = \"fast\"").find("'simulated.run' must be a time in ms"), std::string::npos);
  EXPECT_NE(with("", "run = 5").find("'simulated.run' must be a string"), std::string::npos);
  EXPECT_NE(with("", "deaths_ppm = 1000001").find("'simulated.deaths_ppm' must be from 0 to 1000000"),
            std::string::npos);
  EXPECT_NE(Fault(With("accel = \"tcg\"", "driver = \"firecracker\"")).find("must be one of libvirt, simulated"),
            std::string::npos);
}

TEST(ExecutorConfig, AMachineWithoutNetworkCanBeDemanded) {
  EXPECT_FALSE(ParseConfig(kGood, "x")->require_no_network);
  const auto config = ParseConfig(With("accel = \"tcg\"", "require_no_network = true"), "x");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->require_no_network);
}

TEST(ExecutorConfig, UsersMayHaveLimitsOfTheirOwn) {
  const std::string users = "[[user]]\nname = \"ada\"\ncontainer_idle_s = 60\nmax_starts = 1\n";
  const auto config = ParseConfig(kGood + users, "executor.toml");
  ASSERT_TRUE(config) << config.error().message;
  const auto& limits = config->core.users.at(UserId("ada"));
  EXPECT_EQ(limits.container_idle_ms, 60'000);
  EXPECT_EQ(limits.machine_idle_ms, 0) << "as everybody";
  EXPECT_EQ(limits.max_starts, 1);
  EXPECT_EQ(config->core.profiles[0].shells, 2);
  const auto twice = ParseConfig(kGood + users + users, "executor.toml");
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("two users"), std::string::npos);
  EXPECT_FALSE(ParseConfig(kGood + std::string("[[user]]\nname = \"a/b\"\n"), "executor.toml"));
}

TEST(ExecutorConfig, TheLinkLeavesTheHostOnlyWhereItIsSaid) {
  std::string tcp = kGood;
  tcp.replace(tcp.find("unix:/run/hearth/e.sock"), 23, "tcp:10.0.0.7:7000");
  EXPECT_FALSE(ParseConfig(tcp, "executor.toml"));
  EXPECT_FALSE(ParseConfig(tcp + "[link]\nallow_plain = true\n", "executor.toml")) << "and never without a secret";
  EXPECT_FALSE(ParseConfig(kGood + std::string("[link]\nsecret_file = \"/nowhere\"\n"), "executor.toml"));
}

TEST(ExecutorConfig, WhatIsAdvertisedCanBeDialled) {
  const auto with = [](const std::string& line) { return With("run_dir =", line + "\nrun_dir ="); };
  const auto config = ParseConfig(with("advertise = \"unix:/mnt/e.sock\"\nhttp_advertise = \"executor-1:9102\""), "x");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->advertised, "unix:/mnt/e.sock");
  EXPECT_EQ(config->status.Address(7), "executor-1:9102");
  EXPECT_EQ(ParseConfig(kGood, "x")->status.Address(7), "127.0.0.1:7");
  for (const char* odd : {"http_advertise = \"0.0.0.0:9102\"", "http_advertise = \"executor-1:0\"",
                          "http_advertise = \"executor-1\"", "advertise = \"executor-1:9201\""}) {
    EXPECT_NE(Fault(with(odd)).find("executor.toml:4: '"), std::string::npos) << odd;
  }
  EXPECT_NE(Fault(with("advertise = \"tcp:executor-1:9201\"")).find("link.secret_file"), std::string::npos)
      << "as strict as listen";
}

TEST(ExecutorConfig, AWildcardThatIsNotAdvertisedIsTold) {
  EXPECT_NE(WarnOfWildcard("tcp:0.0.0.0:9201", "", "advertise", {}).find("advertise is not set"), std::string::npos);
  EXPECT_NE(WarnOfWildcard("tcp::::9201", "", "advertise", {}), "");
  EXPECT_EQ(WarnOfWildcard("tcp:0.0.0.0:9201", "tcp:executor-1:9201", "advertise", {}), "");
  EXPECT_EQ(WarnOfWildcard("unix:/run/e.sock", "", "advertise", {}), "");
  EXPECT_EQ(WarnOfWildcard("tcp:10.0.0.7:9201", "", "advertise", {}), "");
}

TEST(ExecutorConfig, RepliesStayOutOfHearthsOwnTopics) {
  const auto config = ParseConfig(kGood, "executor.toml");
  ASSERT_TRUE(config) << config.error().message;
  for (const char* own :
       {"hearth.functions", "hearth.settings", "hearth.usage", "hearth.ledger", "hearth.undeliverable",
        "hearth.dead-letter", "hearth.invoke.rt", "hearth.invoke.std", "hearth.invoke.batch", "hearth.batches",
        "hearth.batch.items", "hearth.batch.state", "hearth.batch.results"}) {
    EXPECT_FALSE(ReplyTopicAllowed(config->core.replies, own)) << own;
  }
  EXPECT_TRUE(ReplyTopicAllowed(config->core.replies, "orders.reply"));
}

TEST(ExecutorConfig, TheWayToStartMachinesMayBeForced) {
  const std::pair<const char*, StartChoice> choices[] = {
      {"template", StartChoice::kTemplate}, {"save", StartChoice::kSave}, {"boot", StartChoice::kBoot}};
  for (const auto& [word, choice] : choices) {
    const auto config = ParseConfig(
        With("accel = \"tcg\"", std::string("start = \"") + word + "\"\ntemplate_dir = \"/dev/shm/hearth\""), "x");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->start, choice);
    EXPECT_EQ(config->template_dir, "/dev/shm/hearth");
  }
  EXPECT_NE(Fault(With("accel = \"tcg\"", "start = \"magic\"")).find("executor.toml:13"), std::string::npos);
  EXPECT_NE(Fault(With("accel = \"tcg\"", "template_dir = \"here\"")).find("template_dir"), std::string::npos);
  EXPECT_NE(Fault(With("pool_max = 2", "shells = -1")).find("shells"), std::string::npos);
}

TEST(ExecutorConfig, AProfileMayShareNoTemplateWhateverTheOthersDo) {
  const auto config = ParseConfig(With("pool_max = 2", "start = \"boot\""), "x");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->start, StartChoice::kAuto);
  EXPECT_EQ(config->profile_start, (std::map<std::string, StartChoice>{{"small", StartChoice::kBoot}}));
  EXPECT_TRUE(ParseConfig(kGood, "x")->profile_start.empty());
  EXPECT_NE(Fault(With("pool_max = 2", "start = \"magic\"")).find("executor.toml:18"), std::string::npos);
}

TEST(ExecutorConfig, FaultsNameTheLine) {
  EXPECT_NE(Fault(With("accel = \"tcg\"", "accel = \"warp\"")).find("executor.toml:13"), std::string::npos);
  EXPECT_NE(Fault(With("pool_max = 2", "pool_max = \"two\"")).find("executor.toml:18"), std::string::npos);
  EXPECT_NE(Fault(With("pool_max = 2", "pool_size = 2")).find("pool_size"), std::string::npos);
  EXPECT_NE(Fault(With("reserve_mib = 128", "reserve_mib = 256")).find("reserve_mib"), std::string::npos);
  EXPECT_NE(Fault(With("id = \"executor-1\"", "")).find("id"), std::string::npos);
  EXPECT_NE(Fault(With("id = \"executor-1\"", "id = \"a/b\"")).find("id"), std::string::npos);
  EXPECT_NE(Fault("id = ").find("executor.toml:1"), std::string::npos);
}

TEST(ExecutorConfig, APathTooLongForASocketIsRefused) {
  EXPECT_NE(Fault(With("/run/hearth/e\"", "/run/" + std::string(100, 'x') + "\"")), "");
}

}  // namespace
}  // namespace hearth::executor
