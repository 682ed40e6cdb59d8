// Stories about pools, shells, time-outs and a host that is short; and the pure functions behind them.
#include <algorithm>
#include <random>

#include "executor/core/choose.h"
#include "executor/core/pool.h"
#include "tests/unit/executor_core/core_stories.h"

namespace hearth::executor {
namespace {

constexpr std::int64_t kHourUs = 3600 * kMicrosPerSecond;

class PoolStory : public Story {
 protected:
  explicit PoolStory(Settings settings = Defaults()) : Story(std::move(settings)) {}
  void Ready(const MachineId& machine, StartPath path = StartPath::kBoot) {
    guest::Hello hello;
    hello.runtimes = {"python3", "native"};
    Step(MachineReady{machine, path, hello});
  }
  PoolStatus Pool() const { return core.ReadGauges().pools.at(0); }
  void AnswerPings() {
    while (auto ping = TakeFrame<guest::Ping>())
      Step(GuestMessage{ping->first.machine, {0, guest::Pong{ping->second.sequence}}});
  }
  void Live(std::int64_t seconds) {
    for (std::int64_t i = 0; i < seconds; ++i) {
      After(1000);
      AnswerPings();
    }
  }
  int Destroyed(const std::string& reason) {
    int count = 0;
    for (const auto& effect : effects) {
      const auto* destroy = std::get_if<DestroyMachine>(&effect);
      count += destroy != nullptr && destroy->reason == reason ? 1 : 0;
    }
    return count;
  }
};

TEST_F(PoolStory, RefillLeavesHalfOfTheShellsToRequests) {
  Boot();  // the pool's one machine
  Step(ShellsChanged{"default", 2});
  effects.clear();
  Step(PoolChanged{"default", 3, 3, 2});
  EXPECT_EQ(Count<StartMachine>(), 1) << "one of two shells is taken";
  Step(ShellsChanged{"default", 1});
  EXPECT_EQ(Count<StartMachine>(), 1) << "the last one is a request's";
  Connect();
  Exec(MakeExec(0, "ada"));  // takes from the pool
  Exec(MakeExec(1, "bob"));
  int for_requests = 0;
  while (auto start = Take<StartMachine>()) for_requests += start->warm_up ? 0 : 1;
  EXPECT_EQ(for_requests, 1);
}

TEST_F(PoolStory, ShellsThatNeverComeBackHoldNothingUpForEver) {
  Boot();
  Step(ShellsChanged{"default", 1});
  effects.clear();
  Step(PoolChanged{"default", 3, 3, 2});
  Live(4);
  EXPECT_EQ(Count<StartMachine>(), 0);
  Live(3);
  EXPECT_GE(Count<StartMachine>(), 1);
}

class RoomyPoolStory : public PoolStory {
 protected:
  static Settings Roomy() {
    Settings settings = Defaults();
    settings.memory_mib = 8192;
    return settings;
  }
  RoomyPoolStory() : PoolStory(Roomy()) {}
};

TEST_F(RoomyPoolStory, WhereShellsComeAndGoARequestWaitsForTheNextAndThenForABoot) {
  Boot();
  Connect();
  Exec(MakeExec(0, "ada"));  // the pool is empty; its replacement starts
  ASSERT_TRUE(Take<StartMachine>());
  Step(ShellsChanged{"default", 1});
  Exec(MakeExec(1, "bob"));
  ASSERT_FALSE(Take<StartMachine>()->warm_up);
  Exec(MakeExec(2, "eve"));  // takes what starts for the pool
  Exec(MakeExec(3, "zoe"));
  EXPECT_EQ(Count<StartMachine>(), 0) << "a shell is being made, which is sooner than a boot";
  After(1100);
  auto start = Take<StartMachine>();
  ASSERT_TRUE(start) << "a second is enough";
  EXPECT_FALSE(start->warm_up);
  EXPECT_EQ(Count<StartMachine>(), 0) << "refill yields";
}

TEST_F(PoolStory, ShellsGiveWayToMachines) {
  EXPECT_EQ(Take<KeepShells>()->count, 2);
  Boot();
  Connect();
  Exec(MakeExec(0, "ada"));
  ASSERT_TRUE(Take<StartMachine>());
  Exec(MakeExec(1, "bob"));  // the pool's next one becomes bob's
  Exec(MakeExec(2, "eve"));
  ASSERT_TRUE(Take<StartMachine>());
  EXPECT_EQ(Take<KeepShells>()->count, 0) << "1536 MiB are three machines";
}

TEST_F(PoolStory, WhatIsSetIsHeldAndWhatIsTooMuchGoesSlowly) {
  Boot();
  Step(PoolChanged{"default", 2, 2, 0});
  Boot();
  EXPECT_EQ(Pool().ready, 2);
  EXPECT_EQ(Pool().target, 2);
  Step(PoolChanged{"default", 0, 0, 0});
  Live(50);
  EXPECT_EQ(Pool().ready, 2) << "demand may come back";
  Live(30);
  EXPECT_EQ(Destroyed("more than the target"), 1);
  Live(70);
  EXPECT_EQ(Destroyed("more than the target"), 2);
}

TEST_F(PoolStory, TheBacklogOfTheTopicsGrowsThePoolBeforeTheWorkComes) {
  Boot();
  Connect();
  EXPECT_EQ(Pool().target, 1);
  Step(DispatcherMessage{kLink, link::Demand{{{"default", 9}, {"unknown", 4}}}});
  EXPECT_EQ(Pool().target, 2) << "as much as pool_max allows";
  EXPECT_EQ(Pool().backlog, 9);
  EXPECT_TRUE(Take<StartMachine>());
  Step(DispatcherDisconnected{kLink});
  EXPECT_EQ(Pool().backlog, 0) << "who told it is gone";
}

TEST_F(PoolStory, AnOlderImageIsReplacedOneByOne) {
  const auto old_one = Boot();
  Step(ImageChanged{"default", "new"});
  EXPECT_EQ(Destroyed("outdated"), 0) << "until its replacement is there";
  auto start = Take<StartMachine>();
  ASSERT_TRUE(start);
  Ready(start->machine);
  EXPECT_EQ(Destroyed("outdated"), 1);
  EXPECT_EQ(Take<DestroyMachine>()->machine, old_one);
  Step(MachineDestroyed{old_one});
  EXPECT_EQ(Pool().ready, 1);
  EXPECT_EQ(Count<StartMachine>(), 0);
}

TEST_F(PoolStory, AnUnhealthyMachineIsReplaced) {
  const auto machine = Boot();
  Live(1);
  for (int i = 0; i < 5; ++i) After(2000);
  EXPECT_EQ(Take<DestroyMachine>()->machine, machine);
  EXPECT_TRUE(Take<StartMachine>());
}

TEST_F(PoolStory, AreReplacedByAgeWithJitter) {
  Boot();
  Live(53 * 60);
  EXPECT_EQ(Destroyed("too old"), 0);
  Live(14 * 60);
  EXPECT_GE(Destroyed("too old"), 1);
}

TEST_F(PoolStory, AHostShortOfMemoryGivesUpTheCheapestAndRefusesNobody) {
  Boot();
  Connect();
  Exec(MakeExec(0, "ada"));
  End(UntilRun());
  Published();
  Boot();  // the pool again
  effects.clear();
  Step(HostPressure{100, 0});
  EXPECT_EQ(Take<KeepShells>()->count, 0);
  EXPECT_EQ(Destroyed("memory is short"), 1) << "one at a time";
  EXPECT_EQ(Count<StartMachine>(), 0) << "and nothing is refilled";
  Step(MachineDestroyed{Take<DestroyMachine>()->machine});
  EXPECT_EQ(Pool().ready, 0) << "the pool goes before the users' machines";
  EXPECT_EQ(core.ReadGauges().assigned, 1);
  Step(HostPressure{400, 0});  // better, not fine
  EXPECT_EQ(Destroyed("memory is short"), 1) << "the longest idle";
  Exec(MakeExec(1, "bob"));
  EXPECT_FALSE(TakeMessage<link::Nack>());
  Step(HostPressure{2000, 0});
  EXPECT_FALSE(core.ReadGauges().memory_short);
  EXPECT_TRUE(Take<StartMachine>());
}

TEST_F(PoolStory, AHostShortOfCpuFillsThePoolToItsMinimumOnly) {
  Boot();
  Connect();
  Step(HostPressure{4000, 990'000});
  Step(DispatcherMessage{kLink, link::Demand{{{"default", 9}}}});
  EXPECT_EQ(Count<StartMachine>(), 0);
  Step(HostPressure{4000, 900'000});
  After(50);
  EXPECT_EQ(Count<StartMachine>(), 0) << "not fine yet";
  Step(HostPressure{4000, 500'000});
  After(50);
  EXPECT_EQ(Count<StartMachine>(), 1);
}

TEST_F(PoolStory, AMachineThatItsUserNeedsNoMoreIsThePools) {
  const auto start = Take<StartMachine>();
  Connect();
  auto exec = MakeExec(0);
  Exec(exec);  // awaits the pool's machine
  EXPECT_EQ(Pool().ready, 0);
  Step(DispatcherMessage{kLink, link::Cancel{exec.ref}});
  Ready(start->machine);
  EXPECT_EQ(Pool().ready, 1);
  EXPECT_EQ(core.ReadGauges().assigned, 0);
}

TEST_F(PoolStory, IdleTimesAreTheFunctionsThenTheUsersThenTheExecutors) {
  Settings settings = Defaults();
  settings.users[UserId("ada")].container_idle_ms = 20'000;
  settings.users[UserId("ada")].machine_idle_ms = 30'000;
  Core other(settings);
  std::vector<Effect> out;
  const auto step = [&](const Event& event) { other.Step(event, now, out); };
  const auto find_create = [&](std::uint32_t nth) {
    std::uint32_t seen = 0;
    for (const auto& effect : out) {
      const auto* send = std::get_if<SendToGuest>(&effect);
      if (send != nullptr && std::holds_alternative<guest::Create>(send->frame.message) && seen++ == nth) return *send;
    }
    return SendToGuest{};
  };
  step(Tick{});
  step(DispatcherConnected{kLink, DispatcherId("d1")});
  guest::Hello hello;
  hello.runtimes = {"python3", "native"};
  for (const auto& effect : std::vector<Effect>(out)) {
    if (const auto* start = std::get_if<StartMachine>(&effect))
      step(MachineReady{start->machine, StartPath::kBoot, hello});
  }
  auto quick = MakeExec(0);
  Function restless = *quick.function;
  restless.container_idle_s = 5;
  quick.function = std::make_shared<const Function>(std::move(restless));
  auto usual = MakeExec(1);
  Function patient = *usual.function;
  patient.name = FunctionName("g");
  usual.function = std::make_shared<const Function>(std::move(patient));
  step(DispatcherMessage{kLink, quick});
  step(DispatcherMessage{kLink, usual});
  step(CodeLoaded{quick.function->user, quick.function->code, std::make_shared<const std::string>("code"), ""});
  for (const auto& effect : std::vector<Effect>(out)) {
    if (const auto* archive = std::get_if<SendArchive>(&effect)) step(ArchiveSent{archive->machine, archive->hash});
  }
  std::vector<SendToGuest> creates{find_create(0), find_create(1)};
  for (const auto& create : creates) step(GuestMessage{create.machine, {create.frame.stream, guest::Created{}}});
  for (const auto& effect : std::vector<Effect>(out)) {
    const auto* send = std::get_if<SendToGuest>(&effect);
    if (send == nullptr || !std::holds_alternative<guest::Run>(send->frame.message)) continue;
    guest::Ended ended;
    ended.id = std::get<guest::Run>(send->frame.message).id;
    step(GuestMessage{send->machine, {send->frame.stream, ended}});
    step(GuestMessage{send->machine, {send->frame.stream, guest::Checked{0, true}}});
  }
  const auto removed = [&] {
    std::vector<std::uint32_t> streams;
    for (const auto& effect : out) {
      const auto* send = std::get_if<SendToGuest>(&effect);
      if (send != nullptr && std::holds_alternative<guest::Remove>(send->frame.message))
        streams.push_back(send->frame.stream);
    }
    return streams;
  };
  const auto after = [&](std::int64_t ms) {
    now.mono_us += ms * kMicrosPerMilli;
    step(Tick{});
  };
  after(4900);
  EXPECT_TRUE(removed().empty());
  after(200);
  EXPECT_EQ(removed(), (std::vector<std::uint32_t>{creates[0].frame.stream})) << "the function's own";
  after(15'000);
  EXPECT_EQ(removed().size(), 2U) << "the user's";
}

// ---- time ----------------------------------------------------------------------------------------------------------
TEST_F(PoolStory, AClockThatJumpsReapsAndExpiresNothing) {
  for (const std::int64_t jump_us : {kHourUs, -kHourUs}) {
    Settings settings = Defaults();
    settings.profiles[0].pool_min = 0;
    settings.profiles[0].pool_max = 0;
    settings.profiles[0].shells = 0;
    settings.concurrent_starts = 1;
    Core other(settings);
    std::vector<Effect> out;
    Time clock = now;
    other.Step(Tick{}, clock, out);
    other.Step(DispatcherConnected{kLink, DispatcherId("d1")}, clock, out);
    auto exec = MakeExec(0);
    exec.expires_ms = clock.wall_us / kMicrosPerMilli + 60'000;
    other.Step(DispatcherMessage{kLink, exec}, clock, out);
    clock.wall_us += jump_us;
    clock.mono_us += kMicrosPerMilli;
    out.clear();
    other.Step(Tick{}, clock, out);
    for (const auto& effect : out) {
      EXPECT_FALSE(std::holds_alternative<DestroyMachine>(effect));
      const auto* send = std::get_if<SendToDispatcher>(&effect);
      EXPECT_FALSE(send != nullptr && std::holds_alternative<link::Done>(send->message)) << "it expired";
    }
    EXPECT_EQ(other.ReadGauges().waiting, 1);
    clock.mono_us += 25 * kMicrosPerSecond;  // by the clock that counts it lasts on
    clock.wall_us += 25 * kMicrosPerSecond;
    for (int i = 0; i < 2; ++i) other.Step(DispatcherConnected{kLink, DispatcherId("d1")}, clock, out);
    other.Step(Tick{}, clock, out);
    EXPECT_EQ(other.ReadGauges().waiting, 1);
    clock.mono_us += 36 * kMicrosPerSecond;
    clock.wall_us += 36 * kMicrosPerSecond;
    other.Step(DispatcherConnected{kLink, DispatcherId("d1")}, clock, out);
    other.Step(Tick{}, clock, out);
    EXPECT_EQ(other.ReadGauges().waiting, 0) << "a minute is over";
  }
}

TEST_F(PoolStory, ABusyContainerIsNeverIdle) {
  Boot();
  Connect();
  auto exec = MakeExec(0);
  exec.timeout_ms = 15 * 60 * 1000;
  Exec(exec);
  const auto run = UntilRun();
  for (int i = 0; i < 14 * 60; ++i) {
    After(1000);
    AnswerPings();
    while (auto beat = TakeMessage<link::Heartbeat>())
      Step(DispatcherMessage{kLink, link::HeartbeatAck{beat->sequence, beat->sent_mono_us}});
  }
  EXPECT_FALSE(TakeFrame<guest::Remove>());
  End(run);
  EXPECT_EQ(Published().outcome, link::Outcome::kPublished);
}

// ---- demand --------------------------------------------------------------------------------------------------------
Time At(std::int64_t seconds) {
  return {seconds * kMicrosPerSecond,
          1'700'000'000'000'000 / (24 * kHourUs) * (24 * kHourUs) + seconds * kMicrosPerSecond};
}

TEST(PoolDemand, FollowsTheLargestOfItsWindows) {
  PoolDemand demand;
  EXPECT_EQ(demand.Rate(At(1)), 0);
  for (int i = 0; i < 20; ++i) demand.Arrived(At(2));
  EXPECT_DOUBLE_EQ(demand.Rate(At(3)), 2.0) << "20 in 10 s";
  EXPECT_DOUBLE_EQ(demand.Rate(At(30)), 20.0 / 60);
  EXPECT_DOUBLE_EQ(demand.Rate(At(300)), 20.0 / 600);
  EXPECT_DOUBLE_EQ(demand.Rate(At(700)), 0);
}

TEST(PoolDemand, WindowsAreExactUnderAnyOrderOfCalls) {
  std::mt19937_64 random(7);
  PoolDemand demand;
  std::vector<std::int64_t> arrivals;
  std::int64_t second = 0;
  for (int i = 0; i < 3000; ++i) {
    second += static_cast<std::int64_t>(random() % 4 == 0 ? random() % 90 : random() % 2);
    if (random() % 2 == 0) {
      demand.Arrived(At(second));
      arrivals.push_back(second);
    }
    double expected = 0;
    for (const std::int64_t window : {10, 60, 600}) {
      const auto count = std::count_if(arrivals.begin(), arrivals.end(), [&](auto at) { return at > second - window; });
      expected = std::max(expected, static_cast<double>(count) / static_cast<double>(window));
    }
    ASSERT_GE(demand.Rate(At(second)) + 1e-12, expected) << "call " << i;  // earlier days may say more, never less
  }
}

TEST(PoolDemand, TheTargetCoversOneRefillTimeWithinItsBounds) {
  PoolDemand demand;
  demand.Refilled(2 * kMicrosPerSecond);
  EXPECT_EQ(demand.Target(1, 8, At(1)), 1);
  for (int i = 0; i < 10; ++i) demand.Arrived(At(2));
  EXPECT_EQ(demand.Target(1, 100, At(2)), 6) << "one a second for two seconds: at most 6 in 99 of 100 cases";
  EXPECT_EQ(demand.Target(1, 4, At(2)), 4);
  EXPECT_EQ(demand.Target(9, 4, At(2)), 9) << "the minimum stands";
  demand.SetBacklog(5);
  EXPECT_EQ(demand.Target(1, 100, At(2)), 11);
  demand.SetBacklog(INT64_MAX);
  EXPECT_EQ(demand.Target(1, 100, At(2)), 100);
}

TEST(PoolDemand, RemembersTheSameQuarterOfEarlierDays) {
  PoolDemand demand;
  demand.Refilled(kMicrosPerSecond);
  constexpr std::int64_t kDay = 24 * 3600;
  constexpr std::int64_t kNine = 9 * 3600;
  demand.Arrived(At(kNine));
  for (int i = 1; i < 900; ++i) demand.Arrived(At(kNine + i));  // one a second, for a quarter of an hour
  static_cast<void>(demand.Rate(At(kNine + 900)));
  EXPECT_LT(demand.Rate(At(kDay + kNine - 1000)), 0.01) << "before it comes again";
  EXPECT_NEAR(demand.Rate(At(kDay + kNine)), 1.0, 0.01) << "the next day";
  static_cast<void>(demand.Rate(At(kDay + kNine + 900)));
  EXPECT_NEAR(demand.Rate(At(2 * kDay + kNine + 1)), 0.75, 0.02) << "it did not come: less is expected";
}

TEST(PoolDemand, AClockThatJumpsTeachesNothingWrong) {
  PoolDemand demand;
  Time time = At(9 * 3600);
  for (int i = 0; i < 100; ++i) demand.Arrived(time);
  for (int jump = 0; jump < 200; ++jump) {  // back and forth, a second each
    time.mono_us += kMicrosPerSecond;
    time.wall_us += (jump % 2 == 0 ? 1 : -1) * kHourUs;
    EXPECT_LE(demand.Rate(time), 10.0);
  }
  time.mono_us += 700 * kMicrosPerSecond;
  EXPECT_DOUBLE_EQ(demand.Rate(time), 0) << "no quarter was long enough to be believed";
  time.wall_us = -5;
  EXPECT_DOUBLE_EQ(demand.Rate(time), 0);
}

TEST(Shortage, HasADistanceBetweenOnAndOff) {
  Shortage shortage;
  shortage.Update(Shortage::kMemoryShortMib, Shortage::kCpuShortPpm);
  EXPECT_FALSE(shortage.memory() || shortage.cpu());
  shortage.Update(Shortage::kMemoryShortMib - 1, Shortage::kCpuShortPpm + 1);
  EXPECT_TRUE(shortage.memory() && shortage.cpu());
  shortage.Update(Shortage::kMemoryFineMib - 1, Shortage::kCpuFinePpm + 1);
  EXPECT_TRUE(shortage.memory() && shortage.cpu());
  shortage.Update(Shortage::kMemoryFineMib, Shortage::kCpuFinePpm);
  EXPECT_FALSE(shortage.memory() || shortage.cpu());
}

TEST(KeptMachines, AreTheMinimumsInOrderAsFarAsHalfOfTheMemoryGoes) {
  EXPECT_EQ(KeptMachines({{2, 512}, {1, 1024}}, 8192), (std::vector{2, 1}));
  EXPECT_EQ(KeptMachines({{2, 512}, {1, 1024}}, 4096), (std::vector{2, 1}));
  EXPECT_EQ(KeptMachines({{2, 512}, {1, 1024}}, 4000), (std::vector{2, 0})) << "the first profile goes first";
  EXPECT_EQ(KeptMachines({{1000, 512}, {1, 128}}, 2048), (std::vector{2, 0}));
  EXPECT_EQ(KeptMachines({{1, 512}}, 1000), (std::vector{0})) << "one machine is more than half of the house";
  EXPECT_EQ(KeptMachines({{1, 16384}, {1, 512}}, 2048), (std::vector{0, 1})) << "larger than the house";
  EXPECT_TRUE(KeptMachines({}, 2048).empty());
}

TEST(PlanRefill, TheEmptiestFirstAndNeverMoreThanMayBeStarted) {
  const PoolView small{2, 1, 0, 256, kMaxPool};
  const PoolView empty{4, 0, 0, 512, 2};
  EXPECT_EQ(PlanRefill({small, empty}, 10, 10'000), (std::vector<std::size_t>{1, 1, 0}));
  EXPECT_EQ(PlanRefill({small, empty}, 1, 10'000), (std::vector<std::size_t>{1}));
  EXPECT_EQ(PlanRefill({small, empty}, 10, 300), (std::vector<std::size_t>{0}));
  EXPECT_TRUE(PlanRefill({small, empty}, 0, 10'000).empty());
}

// ---- the ladder ----------------------------------------------------------------------------------------------------
House EmptyHouse() {
  House house;
  house.machine_mib = 512;
  house.free_mib = 2048;
  house.may_start = true;
  house.may_activate = true;
  return house;
}

TEST(Ladder, TheEarlierRungIsTaken) {
  House house = EmptyHouse();
  EXPECT_EQ(Choose(128, {{1, 200, 0, true, {}}}, house).rung, Rung::kCached);
  EXPECT_EQ(Choose(128, {{1, 200, 0, false, {}}}, house).rung, Rung::kMachine);
  house.pool = 7;
  house.shells = 1;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kPool);
  house.pool.reset();
  house.awaited_mib = 128;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kAwaitMachine) << "its own comes already";
  house.awaited_mib = 0;
  house.starting = 1;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kRestore);
  house.shells = 0;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kAwaitMachine);
  house.starting = 0;
  house.shell_coming = true;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kAwaitShell);
  house.shell_coming = false;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kStart);
}

TEST(Ladder, BoundsOfStartsAndActivationsAreApart) {
  House house = EmptyHouse();
  house.may_start = false;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kWait);
  house.shells = 1;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kRestore) << "refill holds no request back";
  house.may_activate = false;
  house.may_start = true;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kWait) << "a machine that starts would take the shell";
}

TEST(Ladder, PacksTheFullestAndEvictsTheCheapest) {
  House house = EmptyHouse();
  EXPECT_EQ(Choose(128, {{1, 300, 0, true, {}}, {2, 150, 0, true, {}}}, house).machine, 2U);
  house.free_mib = 0;
  house.spares = {{3, 512}, {2, 512}, {1, 512}};
  EXPECT_EQ(Choose(128, {}, house).machines, (std::vector<std::uint64_t>{3})) << "no more than it takes";
  house.machine_mib = 1500;
  EXPECT_EQ(Choose(128, {}, house).machines, (std::vector<std::uint64_t>{3, 2, 1}));
  house.free_mib = -512;
  EXPECT_EQ(Choose(128, {}, house).rung, Rung::kWait) << "what is owed to the pools comes first";
}

}  // namespace
}  // namespace hearth::executor
