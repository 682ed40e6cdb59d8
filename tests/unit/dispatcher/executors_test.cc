// Executors by themselves: who is there, and what each can take.
#include "dispatcher/core/executors.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

const UserId kAda("ada");
const FunctionName kSum("sum");
const ExecutorId kFirst("e1");

class ExecutorsTest : public testing::Test {
 protected:
  ExecutorsTest() {
    function_.user = kAda;
    function_.name = kSum;
    function_.version = 1;
    function_.memory_mib = 128;
    Pass(1000);
  }
  void Pass(std::int64_t ms) {
    context_.Begin(Time{context_.After(ms), 0}, effects_);
    executors_.Advance();
  }
  bool AnyOpen() {
    return executors_.places().Fits(executors_.places().KindOf(function_.profile, function_.runtime),
                                    function_.memory_mib);
  }
  // Time goes by in steps that are no stall.
  void Tick(std::int64_t ms) {
    for (std::int64_t gone = 0; gone < ms; gone += 500) {
      Pass(500);
      executors_.Tick();
    }
  }
  Executor& Connect(const std::string& id = "e1", std::int32_t credit = 2) {
    link::ExecutorHello hello;
    hello.executor = ExecutorId(id);
    hello.incarnation = "first";
    hello.credit = credit;
    hello.profiles = {{"default", 1, 2, 3}};
    return executors_.Connect(hello);
  }
  void Place(Executor& executor) { executors_.Place(executor, kAda, kSum, 1, 128); }
  void GiveBack(Executor& executor) { executors_.GiveBack(executor.id(), kAda, kSum, 1); }
  Candidate Seen(const Executor& executor) { return executors_.Describe(executor, function_); }
  static link::Heartbeat Beat(std::int32_t credit, std::int32_t held, bool draining = false) {
    link::Heartbeat heartbeat;
    heartbeat.sequence = 7;
    heartbeat.credit = credit;
    heartbeat.held = held;
    heartbeat.draining = draining;
    heartbeat.profiles = {{"default", 1, 2, 3}};
    return heartbeat;
  }
  link::Slot Slot(const std::string& container, std::int32_t memory_mib = 0) {
    link::Slot slot;
    slot.user = kAda;
    slot.machine = MachineId("m1");
    slot.container = ContainerId(container);
    slot.function = kSum;
    slot.version = 1;
    slot.state = link::SlotState::kIdle;
    slot.memory_mib = memory_mib;
    return slot;
  }

  Function function_;
  std::vector<Effect> effects_;
  Context context_{Settings{}};
  Warm warm_;
  Claims claims_{context_, warm_};
  Executors executors_{context_, warm_, claims_};
};

TEST_F(ExecutorsTest, RoomForWhatWaitsIsSpentUntilTheNextHeartbeatSaysWhatIsLeft) {
  Executor& executor = Connect();
  auto beat = Beat(8, 0);
  beat.waiting_room = 2;
  executors_.TakeHeartbeat(executor, beat);
  executors_.Spend(executor, "default", StartPath::kPool);
  EXPECT_EQ(Seen(executor).waiting_room, 2) << "it does not wait";
  executors_.Spend(executor, "default", StartPath::kBoot);
  executors_.Spend(executor, "default", StartPath::kNone);
  EXPECT_EQ(Seen(executor).waiting_room, 0);
  executors_.TakeHeartbeat(executor, beat);
  EXPECT_EQ(Seen(executor).waiting_room, 2);
  executors_.NoteNoMachine(executor, kAda);
  EXPECT_EQ(Seen(executor).waiting_room, 0);
  EXPECT_EQ(Seen(executor).pool_ready, 0) << "else it would be offered the same again at once";
  function_.user = UserId("bob");
  EXPECT_EQ(Seen(executor).waiting_room, 2) << "another user was not refused";
  EXPECT_EQ(Seen(executor).pool_ready, 1);
  function_.user = kAda;
  executors_.TakeHeartbeat(executor, beat);
  EXPECT_EQ(Seen(executor).waiting_room, 2);
}

TEST_F(ExecutorsTest, WhatAPoolKeepsIsForWhoHasNoMachineThere) {
  Executor& executor = Connect();
  auto beat = Beat(8, 0);
  beat.profiles[0].pool_ready = 2;
  beat.profiles[0].pool_kept = 1;
  executors_.TakeHeartbeat(executor, beat);
  EXPECT_EQ(Seen(executor).pool_ready, 2);
  warm_.Apply(kFirst, Slot("", 10));
  EXPECT_EQ(Seen(executor).pool_ready, 1);
}

TEST_F(ExecutorsTest, IsOpenWhileItIsConnectedDoesNotDrainAndHasCredit) {
  EXPECT_FALSE(AnyOpen());
  Executor& executor = Connect();
  EXPECT_TRUE(AnyOpen());
  Place(executor);
  Place(executor);
  EXPECT_FALSE(AnyOpen()) << "no credit";
  GiveBack(executor);
  EXPECT_TRUE(AnyOpen());
  executors_.StopTaking(executor);
  EXPECT_FALSE(AnyOpen()) << "drains";
  executors_.TakeHeartbeat(executor, Beat(2, 1));
  EXPECT_TRUE(AnyOpen());
  executors_.TakeHeartbeat(executor, Beat(2, 2));
  EXPECT_FALSE(AnyOpen()) << "what others have placed holds credit too";
  executors_.TakeHeartbeat(executor, Beat(2, 0));
  EXPECT_TRUE(AnyOpen());
  executors_.Disconnect(executor);
  EXPECT_FALSE(AnyOpen());
}

TEST_F(ExecutorsTest, WhoIsSilentForAMomentGetsNothingNew) {
  Executor& executor = Connect();
  Pass(link::kSuspectMs);
  EXPECT_TRUE(AnyOpen());
  EXPECT_FALSE(Seen(executor).suspect);
  Pass(1);
  EXPECT_FALSE(AnyOpen());
  EXPECT_TRUE(Seen(executor).suspect);
  EXPECT_FALSE(executors_.Hear(executor));
  EXPECT_TRUE(AnyOpen());
}

TEST_F(ExecutorsTest, ALeaseEndsOnceAndIsOverUntilSomethingIsHeard) {
  Executor& executor = Connect();
  Tick(link::kLeaseMs);
  EXPECT_TRUE(executors_.TakeSilent().empty());
  Tick(500);
  EXPECT_EQ(executors_.TakeSilent(), std::vector<ExecutorId>{kFirst});
  EXPECT_TRUE(executor.lease_over());
  EXPECT_TRUE(executors_.TakeSilent().empty());
  EXPECT_TRUE(executors_.Hear(executor)) << "what it may run was placed again";
  EXPECT_FALSE(executors_.Hear(executor));
}

TEST_F(ExecutorsTest, AStallOfOurOwnIsNobodysSilence) {
  Connect();
  executors_.Tick();
  Pass(link::kLeaseMs + kStallMs);
  executors_.Tick();
  EXPECT_FALSE(executors_.MayJudgeSilence());
  EXPECT_TRUE(executors_.TakeSilent().empty());
  Tick(kStallGraceMs);
  EXPECT_TRUE(executors_.MayJudgeSilence());
  EXPECT_EQ(executors_.TakeSilent().size(), 1U);
}

TEST_F(ExecutorsTest, WhatIsPromisedIsNotOfferedAgain) {
  Executor& executor = Connect("e1", 8);
  warm_.Apply(kFirst, Slot("", 512));
  warm_.Apply(kFirst, Slot("m1/1"));
  EXPECT_EQ(Seen(executor).idle_containers, 1);
  EXPECT_EQ(Seen(executor).machine_room_mib, 512);
  Place(executor);
  EXPECT_EQ(Seen(executor).idle_containers, 0);
  EXPECT_EQ(Seen(executor).machine_room_mib, 512) << "it takes the container that is there";
  Place(executor);
  EXPECT_EQ(Seen(executor).machine_room_mib, 384) << "and the next one needs a new one";
  EXPECT_EQ(Seen(executor).held, 2);
  EXPECT_EQ(Seen(executor).free_credit, 6);
  GiveBack(executor);
  GiveBack(executor);
  EXPECT_EQ(Seen(executor).idle_containers, 1);
  EXPECT_EQ(Seen(executor).machine_room_mib, 512);
}

TEST_F(ExecutorsTest, GivesBackOnlyWhatItWasPromised) {
  Executor& executor = Connect();
  EXPECT_DEATH(GiveBack(executor), "not promised");
  Place(executor);
  EXPECT_DEATH(executors_.GiveBack(kFirst, kAda, kSum, 2), "not promised");
  EXPECT_DEATH(executors_.Erase(kFirst), "still placed");
}

TEST_F(ExecutorsTest, WhatItHasSaidToHaveIsSpentUntilTheNextHeartbeat) {
  Executor& executor = Connect();
  executors_.Spend(executor, "default", StartPath::kPool);
  executors_.Spend(executor, "default", StartPath::kRestore);
  executors_.Spend(executor, "default", StartPath::kBoot);
  executors_.Spend(executor, "default", StartPath::kContainer);
  EXPECT_EQ(Seen(executor).pool_ready, 0);
  EXPECT_EQ(Seen(executor).shells, 1);
  EXPECT_EQ(Seen(executor).can_start, 2);
  executors_.TakeHeartbeat(executor, Beat(2, 0));
  EXPECT_EQ(Seen(executor).pool_ready, 1);
}

TEST_F(ExecutorsTest, WhoRefusedGetsNothingOfTheKindForAMoment) {
  Executor& executor = Connect();
  executors_.Cool(executor, "other", 100);
  EXPECT_FALSE(Seen(executor).cooling);
  executors_.Cool(executor, "default", 100);
  EXPECT_TRUE(Seen(executor).cooling);
  Pass(100);
  EXPECT_FALSE(Seen(executor).cooling);
  executors_.Cool(executor, "", 100);
  EXPECT_TRUE(Seen(executor).cooling);
  Connect();
  EXPECT_FALSE(Seen(executor).cooling) << "a new connection begins anew";
}

TEST_F(ExecutorsTest, CreditIsWhatWeMayUseOfThoseWhoTake) {
  Executor& first = Connect("e1", 8);
  Executor& second = Connect("e2", 4);
  EXPECT_EQ(executors_.places().credit(), 12);
  executors_.Place(first, kAda, kSum, 1, 128, {RequestClass::kBatch, true});
  executors_.Place(first, kAda, kSum, 1, 128);
  EXPECT_EQ(executors_.places().credit(), 12) << "what we hold ourselves counts";
  EXPECT_EQ(executors_.places().held(), (std::array<std::int64_t, 3>{0, 0, 1})) << "only what takes long";
  executors_.TakeHeartbeat(first, Beat(8, 5));
  EXPECT_EQ(executors_.places().credit(), 9) << "three are held by others";
  executors_.StopTaking(first);
  EXPECT_EQ(executors_.places().credit(), 4);
  EXPECT_EQ(executors_.places().held()[2], 0) << "what runs where nothing more is placed is in nobody's way";
  executors_.TakeHeartbeat(first, Beat(8, 2));
  executors_.GiveBack(first.id(), kAda, kSum, 1, {RequestClass::kBatch, true});
  EXPECT_EQ(executors_.places().held()[2], 0);
  executors_.Disconnect(second);
  EXPECT_EQ(executors_.places().credit(), 8);
}

TEST_F(ExecutorsTest, WhatWaitsForAMachineIsToldOnTopOfTheCreditAndIsNoneOfIt) {
  Executor& executor = Connect("e1", 8);
  auto beat = Beat(8 + 3, 3);
  beat.waiting = 3;
  for (int i = 0; i < 3; ++i) Place(executor);
  executors_.TakeHeartbeat(executor, beat);
  EXPECT_EQ(executors_.places().credit(), 8);
  EXPECT_EQ(executors_.places().waiting(), 3);
  EXPECT_EQ(Seen(executor).free_credit, 8) << "those that wait take nobody's place";
}

TEST_F(ExecutorsTest, DemandIsToldWhereItDiffers) {
  Connect("e1");
  Executor& other = Connect("e2");
  const std::vector<link::ProfileDemand> share = {{"default", 3}};
  executors_.TellDemand(share);
  EXPECT_EQ(effects_.size(), 2U);
  executors_.TellDemand(share);
  EXPECT_EQ(effects_.size(), 2U);
  executors_.StopTaking(other);
  EXPECT_EQ(executors_.takers(), 1);
  executors_.TellDemand(share);
  ASSERT_EQ(effects_.size(), 3U) << "who drains is told that nothing waits";
  EXPECT_EQ(std::get<SendToExecutor>(effects_[2]).executor, ExecutorId("e2"));
}

}  // namespace
}  // namespace hearth::dispatcher
