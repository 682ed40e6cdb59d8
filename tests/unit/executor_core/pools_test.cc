// Pools by themselves: which starts they order, and which machines they give up.
#include "executor/core/pools.h"

#include <gtest/gtest.h>

#include <vector>

namespace hearth::executor {
namespace {

class PoolsTest : public testing::Test {
 protected:
  explicit PoolsTest(const Settings& settings = SettingsOf())
      : context(settings), machines(context), pools(context, machines) {
    context.Begin(Time{1'000'000, 1'700'000'000'000'000}, effects);
  }
  static Settings SettingsOf() {
    Settings settings;
    settings.id = ExecutorId("ex");
    settings.profiles = {Profile{"small", 512, 112, 1, 1, 4, 0}, Profile{"large", 1024, 24, 1, 0, 2, 0}};
    settings.memory_mib = 4096;
    return settings;
  }
  void Pass(std::int64_t ms) {
    context.Begin(Time{context.now_us() + ms * kMicrosPerMilli, context.now().wall_us + ms * kMicrosPerMilli}, effects);
  }
  // The starts that were ordered since the last call.
  std::vector<StartMachine> Starts() {
    std::vector<StartMachine> starts;
    for (const auto& effect : effects) {
      if (const auto* start = std::get_if<StartMachine>(&effect)) starts.push_back(*start);
    }
    effects.clear();
    return starts;
  }
  void Ready(const MachineId& id, StartPath path = StartPath::kBoot) {
    Machine& machine = *machines.Find(id);
    pools.Started(machine, path, {Runtime::kPython3});
    machines.TurnWarm(machine, path, {Runtime::kPython3});
  }
  std::size_t Warm(std::size_t profile = 0) { return machines.index().Warm(profile).size(); }

  std::vector<Effect> effects;
  Context context;
  Machines machines;
  Pools pools;
  const UserId ada{"ada"};
};

TEST_F(PoolsTest, RefillBringsAPoolToItsTargetAndNoFurther) {
  pools.Refill(Starved::kNobody);
  const auto starts = Starts();
  ASSERT_EQ(starts.size(), 1U);
  EXPECT_EQ(starts[0].profile, "small");
  EXPECT_TRUE(starts[0].warm_up);
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Starts().size(), 0U) << "it is starting";
  Ready(starts[0].machine);
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Starts().size(), 0U);
}

TEST_F(PoolsTest, RefillYieldsToRequestsAndToAHostThatIsShort) {
  pools.Refill(Starved::kNewcomer);
  EXPECT_EQ(Starts().size(), 0U) << "a request waits for a start";
  pools.SetPressure({Shortage::kMemoryShortMib - 1, 0});
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Starts().size(), 0U);
  pools.SetPressure({Shortage::kMemoryFineMib, 0});
  context.Drain();
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Starts().size(), 0U);
}

TEST_F(PoolsTest, RefillStaysWithinTheBoundOfStartsAndOneForARequestCounts) {
  pools.Resize({"small", 4, 4, 0});
  pools.Start(1, ada);
  EXPECT_FALSE(Starts().at(0).warm_up);
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Starts().size(), 1U) << "two at once";
}

TEST_F(PoolsTest, AProfileWhoseStartFailedWaitsForItsBackOff) {
  pools.Refill(Starved::kNobody);
  const auto first = Starts().at(0).machine;
  EXPECT_FALSE(pools.StartFailed(0));
  machines.Erase(*machines.Find(first));
  EXPECT_FALSE(pools.Describe(0, ada, false, 0).may_start);
  EXPECT_TRUE(pools.Describe(1, ada, false, 0).may_start) << "the other profile is not to blame";
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Starts().size(), 0U);
  Pass(StartBackoffMs(1));
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Starts().size(), 1U);
}

TEST_F(PoolsTest, WhoWaitsIsToldAfterSoManyFailuresInARow) {
  pools.Start(0, ada);
  for (int i = 1; i < kStartFailuresGiveUp; ++i) EXPECT_FALSE(pools.StartFailed(0));
  Ready(Starts().at(0).machine);
  for (int i = 1; i < kStartFailuresGiveUp; ++i) EXPECT_FALSE(pools.StartFailed(0)) << "one that came up between them";
  EXPECT_TRUE(pools.StartFailed(0));
}

TEST_F(PoolsTest, AStartTakesAShellWhereOneWaits) {
  pools.Resize({"small", 0, 0, 2});
  pools.SetShells({"small", 1});
  pools.Start(0, ada);
  EXPECT_EQ(machines.index().activating(), 1);
  EXPECT_EQ(pools.Describe(0, ada, false, 0).shells, 0);
  pools.Start(0, ada);
  EXPECT_EQ(machines.index().activating(), 1) << "there is none any more";
  EXPECT_EQ(machines.index().starting(), 1);
}

TEST_F(PoolsTest, AnAttemptWaitsForAShellForAWhileWhereTheyComeAndGo) {
  pools.Resize({"small", 0, 0, 2});
  pools.Refill(Starved::kNobody);
  EXPECT_FALSE(pools.Describe(0, ada, false, context.now_us()).shell_coming) << "none was seen";
  pools.SetShells({"small", 1});
  pools.Start(0, ada);
  const auto accepted_us = context.now_us();
  EXPECT_TRUE(pools.Describe(0, ada, false, accepted_us).shell_coming);
  Pass(kShellWaitMs);
  EXPECT_FALSE(pools.Describe(0, ada, false, accepted_us).shell_coming);
}

TEST_F(PoolsTest, AUserStartsWithinItsBound) {
  for (int i = 0; i < context.settings().user_starts; ++i) {
    pools.SetShells({"small", 1});
    EXPECT_TRUE(pools.Describe(0, ada, false, 0).may_activate);
    pools.Start(0, ada);
  }
  EXPECT_FALSE(pools.Describe(0, ada, false, 0).may_activate);
  EXPECT_TRUE(pools.Describe(0, UserId("bob"), false, 0).may_activate);
}

TEST_F(PoolsTest, TheBacklogIsThatOfAllConnections) {
  pools.SetBacklog(1, {{{"small", 2}}});
  pools.SetBacklog(2, {{{"small", 1}, {"large", 0}}});
  EXPECT_EQ(pools.Status()[0].backlog, 3);
  pools.SetBacklog(1, {{{"small", 1}}});
  EXPECT_EQ(pools.Status()[0].backlog, 2) << "what is said last replaces what was said before";
  pools.ForgetBacklog(2);
  EXPECT_EQ(pools.Status()[0].backlog, 1);
  EXPECT_EQ(pools.Status()[1].backlog, 0);
}

TEST_F(PoolsTest, AMachineOfAnOlderImageGoesWhenItsReplacementIsThere) {
  pools.Refill(Starved::kNobody);
  Ready(Starts().at(0).machine);
  pools.SetImage({"small", "newer"});
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Warm(), 1U) << "it serves until then";
  Ready(Starts().at(0).machine);
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Warm(), 1U);
  EXPECT_EQ(machines.Get(*machines.index().Warm(0).begin()).image(), "newer");
}

TEST_F(PoolsTest, WhatIsTooMuchGoesOneByOneAfterAWhile) {
  pools.Resize({"small", 2, 2, 0});
  pools.Refill(Starved::kNobody);
  for (const auto& start : Starts()) Ready(start.machine);
  pools.Resize({"small", 0, 0, 0});
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Warm(), 2U);
  Pass(kSurplusMs + 1);
  pools.Refill(Starved::kNobody);
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Warm(), 1U);
  Pass(kSurplusMs + 1);
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(Warm(), 0U);
}

TEST_F(PoolsTest, AHostShortOfMemoryTakesOneMachineForEachReport) {
  pools.Resize({"small", 2, 2, 0});
  pools.Refill(Starved::kNobody);
  for (const auto& start : Starts()) Ready(start.machine);
  pools.SetPressure({0, 0});
  EXPECT_EQ(Warm(), 1U);
  pools.SetPressure({0, 0});
  EXPECT_EQ(Warm(), 1U) << "what it gives back was not measured yet";
}

TEST_F(PoolsTest, ARuntimeIsThereUntilAMachineHasShownOtherwise) {
  EXPECT_TRUE(pools.Runs(0, Runtime::kNative));
  pools.Start(0, ada);
  Ready(Starts().at(0).machine);
  EXPECT_FALSE(pools.Runs(0, Runtime::kNative));
  EXPECT_TRUE(pools.Runs(0, Runtime::kPython3));
  EXPECT_TRUE(pools.Runs(1, Runtime::kNative));
}

// ---- what is kept for users who have no machine --------------------------------------------------------------------
class KeptTest : public PoolsTest {
 protected:
  static Settings SettingsOf(std::int32_t pool_min) {
    Settings settings;
    settings.id = ExecutorId("ex");
    settings.profiles = {Profile{"small", 512, 112, 1, pool_min, 4, 0}, Profile{"large", 1024, 24, 1, 0, 2, 0}};
    settings.memory_mib = 2048;
    return settings;
  }
  explicit KeptTest(std::int32_t pool_min = 1) : PoolsTest(SettingsOf(pool_min)) {}
  std::uint64_t Give(const UserId& user, std::size_t profile = 0) {
    Machine& machine = machines.Add(profile, user, "", false, 1000);
    pools.Started(machine, StartPath::kBoot, {Runtime::kPython3});
    machines.TurnWarm(machine, StartPath::kBoot, {Runtime::kPython3});
    machines.Assign(machine, user);
    return machine.number();
  }
  bool IsThere(std::uint64_t number) { return machines.Get(number).state() == MachineState::kAssigned; }
  const UserId bob{"bob"};
};

TEST_F(KeptTest, RoomIsMadeAheadOfRequestsByWhoHasSeveralAndTheLongestIdleFirst) {
  const auto bobs = Give(bob);
  Pass(5);
  const auto first = Give(ada);
  Pass(5);
  const auto second = Give(ada);
  const auto third = Give(ada);
  pools.Refill(Starved::kNobody);
  EXPECT_TRUE(IsThere(first)) << "it was in use a moment ago";
  Pass(kSeveralIdleMs);
  pools.Refill(Starved::kNobody);
  pools.Refill(Starved::kNobody);
  EXPECT_FALSE(IsThere(first));
  EXPECT_TRUE(IsThere(bobs) && IsThere(second) && IsThere(third)) << "one makes room for one";
  EXPECT_TRUE(Starts().empty()) << "its memory is not free yet";
  machines.Erase(machines.Get(first));
  pools.Refill(Starved::kHolder);
  EXPECT_EQ(Starts().size(), 1U) << "also while somebody who has a machine waits for another";
}

TEST_F(KeptTest, AnOnlyMachineIsTakenLastAndNotWhileItIsUsedNowAndThen) {
  std::vector<std::uint64_t> only;
  for (const char* user : {"u1", "u2", "u3", "u4"}) {
    only.push_back(Give(UserId(user)));
    Pass(1);
  }
  Pass(kOnlyIdleMs - 10);
  pools.Refill(Starved::kNobody);
  for (const auto number : only) EXPECT_TRUE(IsThere(number));
  Pass(10);
  pools.Refill(Starved::kNobody);
  EXPECT_FALSE(IsThere(only[0]));
  for (const auto number : {only[1], only[2], only[3]}) EXPECT_TRUE(IsThere(number));
}

TEST_F(KeptTest, WhoHasAMachineLeavesWhatIsKeptToOthers) {
  pools.Refill(Starved::kNobody);
  Ready(Starts().at(0).machine);
  EXPECT_TRUE(pools.MaySpare(0)) << "there is memory for another";
  for (int i = 0; i < 3; ++i) Give(ada);
  EXPECT_FALSE(pools.MaySpare(0));
  EXPECT_EQ(pools.Describe(0, ada, true, 0).free_mib, 0);
  machines.Drain(machines.Get(*machines.index().Warm(0).begin()), "test");
  machines.Erase(machines.Get(1));
  EXPECT_EQ(pools.Describe(0, ada, true, 0).free_mib, 0) << "it is owed to the pool";
  EXPECT_EQ(pools.Describe(0, bob, false, 0).free_mib, 512) << "for users like this one";
  EXPECT_EQ(pools.Capacities()[0].can_start, 0);
}

TEST_F(KeptTest, NothingIsGivenUpForAPoolThatCannotStart) {
  for (int i = 0; i < 4; ++i) Give(ada);
  EXPECT_FALSE(pools.StartFailed(0));
  Pass(kStartBackoffMinMs / 2);
  const auto before = machines.index().freeing_mib();
  pools.Refill(Starved::kNobody);
  EXPECT_EQ(machines.index().freeing_mib(), before);
}

TEST_F(KeptTest, NothingIsGivenUpWhereItWouldNotMakeRoomForAMachine) {
  pools.Resize({"small", 0, 0, 0});
  pools.Resize({"large", 1, 1, 0});
  const auto idle = Give(ada);
  for (int i = 0; i < 3; ++i) {
    const auto number = Give(ada);
    Function function;
    function.user = ada;
    function.memory_mib = 100;
    machines.AddContainer(machines.Get(number), function, {i, 1, 1, PartitionId{"t", 0}});
  }
  Pass(kSeveralIdleMs + kOnlyIdleMs);
  pools.Refill(Starved::kNobody);
  EXPECT_TRUE(IsThere(idle)) << "512 of the 1024 MiB that a machine takes";
}

TEST_F(KeptTest, ThoseWhoHaveAMachineStartOneAtATimeWhileProcessorsAreShort) {
  pools.SetPressure({4000, Shortage::kCpuShortPpm + 1});
  EXPECT_TRUE(pools.Describe(0, ada, true, 0).may_start);
  pools.Start(0, ada);
  EXPECT_FALSE(pools.Describe(0, ada, true, 0).may_start);
  EXPECT_TRUE(pools.Describe(0, bob, false, 0).may_start) << "who has none is not held back";
  pools.SetPressure({4000, Shortage::kCpuFinePpm});
  EXPECT_TRUE(pools.Describe(0, ada, true, 0).may_start);
}

}  // namespace
}  // namespace hearth::executor
