// Stories about what is kept for users who have no machine: the pool's minimum against idle machines, over time.
#include <algorithm>
#include <string>

#include "tests/unit/executor_core/small_world.h"

namespace hearth::executor {
namespace {

Settings House(std::int32_t machines, std::int32_t pool_min = 1) {
  Settings settings;
  settings.id = ExecutorId("ex");
  settings.incarnation = "0123456789abcdef";
  settings.acceleration = "simulated";
  settings.profiles = {Profile{"default", 512, 160, 1, pool_min, 4, 2}};
  settings.memory_mib = machines * 512;
  settings.credit = 200;
  settings.waiting = 400;
  return settings;
}

constexpr std::int32_t kWholeMachine = 352;  // of a container that fills one

void Fill(SmallWorld& world, const std::string& user, int machines) {
  for (int i = 0; i < machines; ++i) world.Exec(user, "f" + std::to_string(i), kWholeMachine);
  world.Pass(20'000);
}

int Assigned(const SmallWorld& world) {
  return static_cast<int>(world.core.ReadGauges().assigned);
}
std::int64_t Ready(const SmallWorld& world) {
  return world.core.ReadGauges().pools.at(0).ready;
}

TEST(Minimum, ANewUserInAHouseFullOfIdleMachinesStartsByPool) {
  SmallWorld world(House(8));
  world.Pass(5000);
  Fill(world, "ada", 16);
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 16) << "with fewer machines than functions all ran";
  EXPECT_EQ(Assigned(world), 7);
  EXPECT_EQ(Ready(world), 1);
  const auto by_pool = world.paths[StartPath::kPool];
  const auto before_ms = world.now.mono_us / kMicrosPerMilli;
  world.Exec("bob", "f");
  while (world.paths[StartPath::kPool] == by_pool && world.now.mono_us / kMicrosPerMilli < before_ms + 100)
    world.Pass(5);
  EXPECT_EQ(world.paths[StartPath::kPool], by_pool + 1) << "within 100 ms";
  world.Pass(5000);
  EXPECT_EQ(Ready(world), 1) << "one of ada's made room for the next newcomer";
  EXPECT_EQ(Assigned(world), 7);
}

TEST(Minimum, AHouseFullOfUsersWithOneIdleMachineEachMakesRoomToo) {
  SmallWorld world(House(4));
  world.Pass(5000);
  for (const char* user : {"u0", "u1", "u2", "u3"}) {
    world.Exec(user, "f");
    world.Pass(100);
  }
  world.Pass(5000);
  EXPECT_EQ(Ready(world), 0) << "all are in use until a moment ago";
  EXPECT_EQ(Assigned(world), 4);
  world.Pass(kOnlyIdleMs);
  EXPECT_EQ(Ready(world), 1);
  EXPECT_EQ(Assigned(world), 3);
  world.Exec("u4", "f");
  world.Pass(100);
  EXPECT_EQ(world.paths[StartPath::kRestore] + world.paths[StartPath::kBoot] + world.paths[StartPath::kPool], 5);
  EXPECT_GE(world.paths[StartPath::kPool], 2);
}

// Four machines for four users who come every second, and one is wanted for the pool: nobody loses a machine.
TEST(Minimum, AMachineThatIsUsedEverySecondStays) {
  SmallWorld world(House(4));
  world.Pass(5000);
  for (int second = 0; second < 60; ++second) {
    for (const char* user : {"u0", "u1", "u2", "u3"}) {
      world.Exec(user, "f");
      world.Pass(250);
    }
  }
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 240);
  EXPECT_EQ(world.paths[StartPath::kContainer], 236);
  EXPECT_EQ(Assigned(world), 4);
}

// One user whose bursts want more machines than the house leaves: what is kept is taken back once, and not every time.
TEST(Minimum, AUserWhoWantsTheWholeHouseDoesNotFlap) {
  SmallWorld world(House(4));
  world.Pass(5000);
  int gone = 0;
  std::set<std::uint64_t> seen;
  world.after_step = [&] {
    for (const auto& [number, machine] : world.core.machines().all()) {
      if (machine.state() == MachineState::kDraining && seen.insert(number).second) ++gone;
    }
  };
  for (int burst = 0; burst < 30; ++burst) {
    for (int i = 0; i < 4; ++i) world.Exec("ada", "f", kWholeMachine);
    world.Pass(3000);
    EXPECT_GE(Ready(world), 1) << "burst " << burst;
  }
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 120);
  EXPECT_EQ(gone, 0);
}

TEST(Minimum, SeveralMinimumsAreKeptInTheOrderOfTheConfiguration) {
  Settings settings = House(8);
  settings.profiles[0].pool_min = 2;
  settings.profiles.push_back(Profile{"large", 1024, 160, 1, 1, 2, 0});
  SmallWorld world(settings);
  world.restore_ms = 0;
  world.Pass(5000);
  Fill(world, "ada", 16);
  const auto gauges = world.core.ReadGauges();
  EXPECT_EQ(gauges.pools[0].ready, 2);
  EXPECT_EQ(gauges.pools[1].ready, 1);
  EXPECT_EQ(gauges.assigned, 4) << "4096 MiB less 2048";
}

// A minimum that is raised while the house is full, as by `hearth pool set`.
TEST(Minimum, ARaisedMinimumIsReclaimedFromIdleMachines) {
  SmallWorld world(House(8));
  world.Pass(5000);
  Fill(world, "ada", 16);
  world.Step(PoolChanged{"default", 3, 4, 2});
  world.Pass(5000);
  EXPECT_EQ(Ready(world), 3);
  EXPECT_EQ(Assigned(world), 5);
  world.Step(PoolChanged{"default", 1000, 1000, 2});
  world.Pass(60'000);
  EXPECT_EQ(Ready(world), 4) << "half of the house";
  EXPECT_GE(Assigned(world), 4);
}

// What is busy is not touched, whatever the minimum is.
TEST(Minimum, BusyMachinesAreNeverTaken) {
  SmallWorld world(House(4, 0));
  world.run_ms = 40'000;
  world.Pass(5000);
  for (int i = 0; i < 4; ++i) world.Exec("ada", "f", kWholeMachine);
  world.Pass(5000);
  ASSERT_EQ(Assigned(world), 4);
  world.Step(PoolChanged{"default", 2, 2, 2});
  world.Pass(25'000);
  EXPECT_EQ(Assigned(world), 4);
  world.Pass(60'000);
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 4);
  EXPECT_EQ(Ready(world), 2);
}

// ---- a host that is short
// -------------------------------------------------------------------------------------------- Bob's runs are warm ones
// before, during and after, whoever fills the house.
void ExpectBobStaysWarm(SmallWorld& world, const std::function<void()>& each_second) {
  for (int second = 0; second < 10; ++second) {
    each_second();
    for (int i = 0; i < 4; ++i) {
      const auto before = world.paths[StartPath::kContainer];
      world.Exec("bob", "f");
      world.Pass(world.run_ms + 10);
      EXPECT_EQ(world.paths[StartPath::kContainer], before + 1) << "second " << second;
      world.Pass(220);
    }
  }
}

TEST(ShortHost, MemoryIsTakenFromWhoHasSeveralMachinesWhileOthersStayWarm) {
  SmallWorld world(House(8));
  world.Pass(5000);
  world.Exec("bob", "f");
  world.Pass(2000);
  Fill(world, "ada", 16);
  world.Exec("bob", "f");
  world.Pass(2000);
  int reports = 0;
  ExpectBobStaysWarm(world, [&] {
    if (++reports <= 6) world.Step(HostPressure{100, 0});
  });
  EXPECT_EQ(Ready(world), 0) << "the pool went first";
  world.Step(HostPressure{4000, 0});
  world.Pass(5000);
  EXPECT_GE(Ready(world), 1);
  EXPECT_EQ(world.nacks, 0) << "nobody was refused for it";
}

TEST(ShortHost, SomethingElseThatTakesTheProcessorsHoldsStartsBackAndNothingElse) {
  SmallWorld world(House(16));
  world.Pass(5000);
  world.Exec("bob", "f");
  world.Pass(2000);
  int most = 0;
  world.after_step = [&] { most = std::max(most, static_cast<int>(world.core.ReadGauges().starting)); };
  world.Step(HostPressure{4000, 990'000});
  for (int i = 0; i < 8; ++i) world.Exec("ada", "f" + std::to_string(i), kWholeMachine);
  ExpectBobStaysWarm(world, [&] { world.Step(HostPressure{4000, 990'000}); });
  EXPECT_LE(most, 2) << "one of ada's, and the one that the pool lacks";
  EXPECT_EQ(world.core.ReadGauges().credit, 200) << "it is no matter of credit";
  world.Pass(30'000);
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 49) << "all of ada's ran too";
}

TEST(ShortHost, WhereAllCreditIsTakenWhatComesIsSentBackAndRunsLater) {
  Settings settings = House(8);
  settings.credit = 2;
  SmallWorld world(settings);
  world.run_ms = 60'000;
  world.Pass(5000);
  for (int i = 0; i < 2; ++i) world.Exec("ada", "f");
  world.Pass(2000);
  world.Exec("bob", "f");
  EXPECT_EQ(world.nacks, 1);
  world.Pass(120'000);
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 2);
  world.Exec("bob", "f");
  world.Pass(120'000);
  EXPECT_EQ(world.outcomes[link::Outcome::kPublished], 3);
}

}  // namespace
}  // namespace hearth::executor
