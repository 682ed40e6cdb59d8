// Turns by themselves: whose turn it is, and what is counted of each user.
#include "dispatcher/core/turns.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

const UserId kAda("ada");
const UserId kBob("bob");
const FunctionName kSum("sum");
const FunctionName kMul("mul");

Settings AtMost(std::int32_t user_concurrency) {
  Settings settings;
  settings.user_concurrency = user_concurrency;
  return settings;
}

Function FunctionOf(const UserId& user, const FunctionName& name, std::int32_t concurrency = 0) {
  Function function;
  function.user = user;
  function.name = name;
  function.concurrency = concurrency;
  return function;
}

class TurnsTest : public testing::Test {
 protected:
  void Enter(const UserId& user, const FunctionName& function, FairQueue::Ticket ticket,
             std::int32_t memory_mib = 128) {
    turns_.Enter(RequestClass::kStandard, user, function, ticket, memory_mib);
  }
  void Place(const UserId& user, const FunctionName& function) {
    turns_.StartWaiting(user);
    turns_.StopWaiting(user);
    turns_.Place(user, function);
  }
  // Everything that is offered is taken.
  std::vector<FairQueue::Ticket> TakeAll() {
    std::vector<FairQueue::Ticket> taken;
    turns_.Offer([&](FairQueue::Ticket ticket) {
      taken.push_back(ticket);
      return FairQueue::Offered::kTaken;
    });
    return taken;
  }

  Context context_{AtMost(3)};
  Turns turns_{context_};
};

TEST_F(TurnsTest, AUserIsNewOnce) {
  EXPECT_EQ(turns_.Find(kAda), nullptr);
  EXPECT_TRUE(turns_.See(kAda).is_new);
  EXPECT_FALSE(turns_.See(kAda).is_new);
  EXPECT_EQ(turns_.users(), 1U);
}

TEST_F(TurnsTest, WhoHasSomethingWaitingOrPlacedIsRemembered) {
  turns_.StartWaiting(kAda);
  Place(kBob, kSum);
  turns_.See(UserId("idle"));
  turns_.Prune();
  EXPECT_NE(turns_.Find(kAda), nullptr);
  EXPECT_NE(turns_.Find(kBob), nullptr);
  EXPECT_EQ(turns_.users(), 2U);
  turns_.StopWaiting(kAda);
  turns_.GiveBack(kBob, kSum);
  turns_.Prune();
  EXPECT_EQ(turns_.users(), 0U);
}

TEST_F(TurnsTest, NoMoreIsLetThroughThanTheBoundsOfUserAndFunction) {
  const Function narrow = FunctionOf(kAda, kSum, 1);
  const Function wide = FunctionOf(kAda, kMul);
  EXPECT_EQ(turns_.Ask(narrow), Turn::kRun);
  Place(kAda, kSum);
  EXPECT_EQ(turns_.Ask(narrow), Turn::kFunctionAtCap);
  EXPECT_EQ(turns_.Ask(wide), Turn::kRun);
  Place(kAda, kMul);
  Place(kAda, kMul);
  EXPECT_EQ(turns_.Ask(wide), Turn::kUserAtCap);
  EXPECT_EQ(turns_.Ask(FunctionOf(kBob, kSum)), Turn::kRun) << "bounds are of one user";
  turns_.GiveBack(kAda, kSum);
  EXPECT_EQ(turns_.Ask(narrow), Turn::kRun);
  EXPECT_EQ(turns_.Find(kAda)->placed(), 2);
  EXPECT_EQ(turns_.Find(kAda)->placed(kSum), 0);
}

TEST_F(TurnsTest, CountsNeverFallBelowZero) {
  EXPECT_DEATH(turns_.StopWaiting(kAda), "fewer than none waiting");
  EXPECT_DEATH(turns_.GiveBack(kAda, kSum), "fewer than none placed");
  Place(kAda, kSum);
  EXPECT_DEATH(turns_.GiveBack(kAda, kMul), "fewer than none placed");
}

TEST_F(TurnsTest, UsersTakeTurnsAndEachGoesInTheOrderOfArrival) {
  for (FairQueue::Ticket ticket = 1; ticket <= 8; ++ticket) Enter(kAda, kSum, ticket);
  for (FairQueue::Ticket ticket = 9; ticket <= 12; ++ticket) Enter(kBob, kSum, ticket);
  EXPECT_EQ(TakeAll(), (std::vector<FairQueue::Ticket>{1, 2, 3, 4, 9, 10, 11, 12, 5, 6, 7, 8}));
  EXPECT_TRUE(turns_.empty());
}

TEST_F(TurnsTest, WhoseRunsAreLongPaysMoreForATurn) {
  for (int i = 0; i < 100; ++i) turns_.Learn(kAda, kSum, 400);
  for (FairQueue::Ticket ticket = 1; ticket <= 4; ++ticket) Enter(kAda, kSum, ticket);
  for (FairQueue::Ticket ticket = 5; ticket <= 8; ++ticket) Enter(kBob, kSum, ticket);
  EXPECT_EQ(TakeAll(), (std::vector<FairQueue::Ticket>{1, 5, 6, 7, 8, 2, 3, 4}));
}

TEST_F(TurnsTest, WhatLeftIsNotOffered) {
  Enter(kAda, kSum, 1);
  Enter(kAda, kSum, 2);
  turns_.Leave(RequestClass::kStandard, kAda, kSum, 1);
  EXPECT_EQ(TakeAll(), std::vector<FairQueue::Ticket>{2});
}

TEST_F(TurnsTest, DemandIsToldWithTheRoomThatTheUserHasLeft) {
  Place(kAda, kSum);
  for (FairQueue::Ticket ticket = 1; ticket <= 4; ++ticket) Enter(kAda, kSum, ticket);
  Enter(kBob, kMul, 5);
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> told;
  turns_.Walk(10, [&](const UserId& user, const FunctionName& function, std::int64_t queued, std::int64_t user_room) {
    told[user.value + "/" + function.value] = {queued, user_room};
  });
  EXPECT_EQ(told,
            (std::map<std::string, std::pair<std::int64_t, std::int64_t>>{{"ada/sum", {4, 2}}, {"bob/mul", {1, 3}}}));
}

}  // namespace
}  // namespace hearth::dispatcher
