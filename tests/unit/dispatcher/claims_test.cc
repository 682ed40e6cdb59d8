// Claims by themselves: which idle containers of a shared user are ours.
#include "dispatcher/core/claims.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

const UserId kAda("ada");
const ExecutorId kExecutor("e1");
const ContainerId kContainer("m1/1");

class ClaimsTest : public testing::Test {
 protected:
  ClaimsTest() {
    function_.user = kAda;
    function_.name = FunctionName("sum");
    function_.version = 1;
    Pass(0);
    warm_.Apply(kExecutor, Idle(7));
  }
  static link::Slot Idle(std::int64_t since_ms, const ContainerId& container = kContainer) {
    link::Slot slot;
    slot.user = kAda;
    slot.function = FunctionName("sum");
    slot.version = 1;
    slot.machine = MachineId("m1");
    slot.container = container;
    slot.state = link::SlotState::kIdle;
    slot.since_ms = since_ms;
    return slot;
  }
  void Pass(std::int64_t ms) { context_.Begin(Time{context_.After(ms), 0}, effects_); }
  bool Take(std::int64_t waiting = 1) { return claims_.Take(kExecutor, function_, waiting); }
  void Answer(bool granted, std::int64_t since_ms = 7) {
    claims_.Answer({kAda, kExecutor, kContainer, since_ms, granted});
  }

  Function function_;
  std::vector<Effect> effects_;
  Context context_{Settings{}};
  Warm warm_;
  Claims claims_{context_, warm_};
};

TEST_F(ClaimsTest, WhoIsNotSharedHasNoClaims) {
  EXPECT_FALSE(claims_.IsShared(kAda));
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), std::nullopt);
  claims_.Share(kAda, true);
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), 1);
  claims_.Share(kAda, false);
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), std::nullopt);
}

TEST_F(ClaimsTest, AnIdlePeriodIsAskedAboutOnceAndUsedOnce) {
  claims_.Share(kAda, true);
  EXPECT_FALSE(Take());
  EXPECT_FALSE(Take());
  ASSERT_EQ(effects_.size(), 1U);
  EXPECT_EQ(std::get<ClaimSlot>(effects_[0]).since_ms, 7);
  Answer(true, 6);
  EXPECT_FALSE(Take()) << "an answer about another period says nothing";
  Answer(true);
  EXPECT_TRUE(Take());
  EXPECT_FALSE(Take());
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), 0);
  EXPECT_EQ(effects_.size(), 1U);
}

TEST_F(ClaimsTest, AsManyAreAskedForAsWait) {
  for (int i = 2; i <= 4; ++i) warm_.Apply(kExecutor, Idle(7, ContainerId("m1/" + std::to_string(i))));
  claims_.Share(kAda, true);
  EXPECT_FALSE(Take(2));
  EXPECT_EQ(effects_.size(), 2U);
  EXPECT_FALSE(Take(2)) << "two are on their way";
  EXPECT_EQ(effects_.size(), 2U);
  EXPECT_FALSE(Take(9));
  EXPECT_EQ(effects_.size(), 4U) << "there are no more";
}

TEST_F(ClaimsTest, WhatIsRefusedIsNotOursUntilTheNextPeriod) {
  claims_.Share(kAda, true);
  EXPECT_FALSE(Take());
  Answer(false);
  EXPECT_FALSE(Take());
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), 0);
  warm_.Apply(kExecutor, Idle(9));
  claims_.Forget(kExecutor, Idle(9));
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), 1);
  EXPECT_FALSE(Take());
  EXPECT_EQ(effects_.size(), 2U) << "the new period is asked about";
}

TEST_F(ClaimsTest, AnAnswerThatDoesNotComeIsNotWaitedForLong) {
  claims_.Share(kAda, true);
  EXPECT_FALSE(Take());
  Pass(kClaimWaitMs - 1);
  EXPECT_FALSE(Take());
  Pass(1);
  EXPECT_TRUE(Take());
  Answer(false);
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), 0) << "it was used";
  Pass(kClaimVoidMs + 1);
  EXPECT_EQ(claims_.Claimable(kExecutor, function_), 1) << "a claim that came to nothing is void";
}

TEST_F(ClaimsTest, WhoIsSharedNoMoreHasNoClaims) {
  claims_.Share(kAda, true);
  EXPECT_TRUE(claims_.IsShared(kAda));
  claims_.Share(kAda, false);
  EXPECT_FALSE(claims_.IsShared(kAda));
}

}  // namespace
}  // namespace hearth::dispatcher
