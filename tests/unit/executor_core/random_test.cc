// Many steps at random, audited: nothing changes its user, nobody starts more than is needed, nothing leaks, and a step
// costs the same with a thousand machines.
#include <algorithm>
#include <chrono>
#include <random>

#include "tests/unit/executor_core/recount.h"
#include "tests/unit/executor_core/small_world.h"

namespace hearth::executor {
namespace {

Settings Host(std::int32_t memory_mib, std::int32_t credit, std::int32_t pool_max = 4, std::int32_t shells = 4) {
  Settings settings;
  settings.id = ExecutorId("ex");
  settings.incarnation = "0123456789abcdef";
  settings.acceleration = "simulated";
  settings.profiles = {Profile{"default", 512, 160, 1, 1, pool_max, shells}};
  settings.memory_mib = memory_mib;
  settings.credit = credit;
  settings.waiting = 1000;
  return settings;
}

// Bursts of a few users and functions of different sizes, some of them on a host that is too small.
std::string Bursts(std::uint64_t seed, Mutant mutant) {
  std::mt19937_64 random(seed);
  const auto roll = [&](std::uint64_t most) { return static_cast<std::int64_t>(random() % most); };
  const Settings settings = Host(seed % 3 == 0 ? 1536 : 16'384, 200);
  SmallWorld world(settings, mutant);
  if (seed % 5 == 0) {  // everything is counted anew after each step
    world.after_step = [&] {
      world.auditor.Object(WhatIsWrong(world.core.machines(), settings));
      world.auditor.Object(WhatIsWrong(world.core.attempts(), world.core.machines()));
    };
  }
  if (seed % 4 == 0) world.restore_ms = 0;  // no shells: machines are booted
  world.run_ms = 1 + roll(200);
  for (int burst = 0; burst < 12; ++burst) {
    const auto user = "user" + std::to_string(roll(5));
    const auto function = "f" + std::to_string(roll(3));
    const auto memory_mib = static_cast<std::int32_t>(64 + 64 * roll(4));
    const auto count = 1 + roll(12);
    for (std::int64_t i = 0; i < count; ++i) world.Exec(user, function, memory_mib);
    world.Pass(roll(3000));
  }
  world.Pass(60'000);
  const auto gauges = world.core.ReadGauges();
  if (gauges.held != 0) world.auditor.Object("attempts are left: " + std::to_string(gauges.held));
  return world.auditor.objection;
}

TEST(RandomBursts, KeepEveryPromise) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    ASSERT_EQ(Bursts(seed, Mutant::kNone), "") << "seed " << seed;
  }
}

class Mutants : public testing::TestWithParam<std::pair<Mutant, const char*>> {};

TEST_P(Mutants, AreCaught) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    if (Bursts(seed, GetParam().first).find(GetParam().second) != std::string::npos) return;
  }
  FAIL() << "nothing objected";
}

INSTANTIATE_TEST_SUITE_P(All, Mutants,
                         testing::Values(std::pair(Mutant::kSwapUser, "changed its user"),
                                         std::pair(Mutant::kDoubleStart, "more starts"),
                                         std::pair(Mutant::kReapBusy, "busy container was idle"),
                                         std::pair(Mutant::kGreedyRefill, "left to requests")));

TEST(Bursts, NWaitingForOneFunctionCauseAtMostNStarts) {
  for (int n = 1; n <= 40; ++n) {
    SmallWorld world(Host(65'536, 200, 0));
    world.restore_ms = n % 2 == 0 ? 60 : 0;
    for (int i = 0; i < n; ++i) world.Exec("ada", "f", 256);  // one fits into a machine
    world.Pass(120'000);
    EXPECT_LE(world.auditor.starts_for_requests, n);
    EXPECT_EQ(world.outcomes[link::Outcome::kPublished], n);
    EXPECT_EQ(world.auditor.objection, "");
  }
}

TEST(Bursts, OneUserNeverHasMoreThanItsBoundOfStartsAtOnce) {
  auto settings = Host(65'536, 200, 0, 50);
  settings.user_starts = 3;
  settings.users[UserId("bob")].max_starts = 1;
  settings.concurrent_activations = 6;
  const auto starts = [&](const std::vector<std::string>& users) {
    SmallWorld world(settings);
    world.Pass(15'000);  // the shells are there
    for (int i = 0; i < 20; ++i) {
      for (const auto& user : users) world.Exec(user, "f", 256);
    }
    const auto at_once = world.auditor.starts_for_requests;
    world.Pass(60'000);
    EXPECT_EQ(world.outcomes[link::Outcome::kPublished], static_cast<int>(users.size()) * 20);
    EXPECT_EQ(world.auditor.objection, "");
    return at_once;
  };
  EXPECT_EQ(starts({"ada"}), 3);
  EXPECT_EQ(starts({"bob"}), 1) << "a bound of its own";
  EXPECT_EQ(starts({"ada", "bob", "eve", "zoe"}), 6) << "the host's bound";
}

TEST(Leaks, AThousandLivesLeaveNothing) {
  auto settings = Host(8192, 64, 2);
  settings.container_idle_ms = 1000;
  settings.machine_idle_ms = 1000;
  SmallWorld world(settings);
  world.Pass(5000);
  const auto before = world.core.ReadGauges();
  std::int64_t first_ms = 0;
  for (int life = 0; life < 1000; ++life) {
    const auto begun_us = world.now.mono_us;
    world.Exec("user" + std::to_string(life), "f");
    while (world.core.ReadGauges().held > 0) world.Pass(10);
    const auto took_ms = (world.now.mono_us - begun_us) / kMicrosPerMilli;
    if (life == 0) first_ms = took_ms;
    ASSERT_LE(took_ms, first_ms + 200) << "life " << life << ": starts take longer";
    world.Pass(2500);  // idle, and gone
  }
  world.Pass(120'000);
  const auto after = world.core.ReadGauges();
  EXPECT_EQ(after.assigned, 0);
  EXPECT_EQ(after.containers, 0);
  EXPECT_EQ(after.held, 0);
  EXPECT_EQ(after.machines, before.machines) << "the pool, as it was";
  EXPECT_EQ(after.indexed, after.machines * 3) << "each has its name, its deadline and its next ping, and no more";
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 1000);
  EXPECT_EQ(world.auditor.objection, "");
}

// The median of many warm invocations with a few and with many machines beside them. Medians of the same process in the
// same minute: a loaded host slows both.
double WarmMicros(int machines) {
  auto settings = Host(machines * 512 + 4096, machines + 64, 0, 0);
  settings.user_starts = 64;
  settings.concurrent_starts = 64;
  settings.container_idle_ms = 3'600'000;
  SmallWorld world(settings);
  world.restore_ms = 0;
  for (int i = 0; i < machines; ++i) {
    world.Exec("user" + std::to_string(i), "f");
    if (i % 20 == 19) world.Pass(1700);
  }
  world.Pass(10'000);
  EXPECT_EQ(world.core.ReadGauges().assigned, machines);
  std::vector<double> times;
  std::vector<Effect> effects;
  for (std::int64_t i = 0; i < 2000; ++i) {
    link::Exec exec;
    exec.ref = {{"t", 0}, 1'000'000 + i, 1, 1};
    exec.id = InvocationId("warm" + std::to_string(i));
    exec.final_try = true;
    exec.reply_to = "hearth.reply";
    exec.timeout_ms = 60'000;
    Function described;
    described.user = UserId("user" + std::to_string(i % machines));
    described.name = FunctionName("f");
    described.version = 1;
    described.code = CodeHash(std::string(64, 'a'));
    described.memory_mib = 128;
    exec.function = std::make_shared<const Function>(std::move(described));
    guest::Ended ended;
    ended.id = exec.id;
    ended.attempt = exec.try_number;
    const auto begun = std::chrono::steady_clock::now();
    effects.clear();
    world.core.Step(DispatcherMessage{SmallWorld::kLink, exec}, world.now, effects);
    const SendToGuest* run = nullptr;
    for (const auto& effect : effects) {
      const auto* send = std::get_if<SendToGuest>(&effect);
      if (send != nullptr && std::holds_alternative<guest::Run>(send->frame.message)) run = send;
    }
    if (run == nullptr) return ADD_FAILURE() << "not warm", 0;
    const GuestMessage answer{run->machine, {run->frame.stream, ended}};
    const GuestMessage checked{run->machine, {run->frame.stream, guest::Checked{0, true}}};
    world.core.Step(answer, world.now, effects);
    world.core.Step(checked, world.now, effects);
    const auto took = std::chrono::steady_clock::now() - begun;
    times.push_back(std::chrono::duration<double, std::micro>(took).count());
    std::vector<std::uint64_t> tokens;
    for (const auto& effect : effects) {
      if (const auto* publish = std::get_if<Publish>(&effect)) tokens.push_back(publish->token);
    }
    for (const auto token : tokens) world.core.Step(PublishFinished{token, true, ""}, world.now, effects);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

TEST(Cost, AWarmInvocationCostsTheSameWithAThousandMachines) {
  const double few = WarmMicros(10);
  const double many = WarmMicros(1000);
  std::printf("a warm invocation costs the core %.1f us with 10 machines, %.1f us with 1,000\n", few, many);
  RecordProperty("few_us", std::to_string(few));
  RecordProperty("many_us", std::to_string(many));
  // A hundred times the machines: a walk over all of them would show as tens of times the cost.
  EXPECT_LT(many, few * 8);
}

}  // namespace
}  // namespace hearth::executor
