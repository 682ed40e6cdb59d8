// Turns by themselves: whose turn it is, and what is counted of each user.
#include "tests/unit/dispatcher/turns_fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "dispatcher/core/shares.h"

namespace hearth::dispatcher {
namespace {

TEST_F(TurnsTest, AUserIsNewOnce) {
  EXPECT_EQ(turns_.Find(kAda), nullptr);
  EXPECT_TRUE(turns_.See(kAda).is_new);
  EXPECT_FALSE(turns_.See(kAda).is_new);
  EXPECT_EQ(turns_.users(), 1U);
}

TEST_F(TurnsTest, WhoHasSomethingWaitingOrPlacedIsRemembered) {
  std::vector<std::string> forgotten;
  const auto forget = [&](const UserId& user) { forgotten.push_back(user.value); };
  turns_.StartWaiting(kAda);
  Place(kBob, kSum);
  turns_.See(UserId("idle"));
  turns_.Prune(0, forget);
  EXPECT_EQ(forgotten, std::vector<std::string>{"idle"});
  EXPECT_EQ(turns_.users(), 2U);
  turns_.GiveBack(kBob, kSum);
  turns_.StopWaiting(kAda);
  turns_.Prune(1, forget);
  EXPECT_EQ(forgotten.back(), "bob") << "who has been idle for longest goes first";
  turns_.Prune(0, forget);
  EXPECT_EQ(turns_.users(), 0U);
}

TEST_F(TurnsTest, CountsNeverFallBelowZero) {
  EXPECT_DEATH(turns_.StopWaiting(kAda), "fewer than none waiting");
  EXPECT_DEATH(turns_.GiveBack(kAda, kSum), "fewer than none placed");
  Place(kAda, kSum);
  EXPECT_DEATH(turns_.GiveBack(kAda, kMul), "fewer than none placed");
}

// ---- machines

// What is offered, in order. All of it is refused for want of a machine, but for users who are `warm`.
class MachineNeedTest : public TurnsTest {
 protected:
  MachineNeedTest() : TurnsTest(1000) {}
  std::vector<Number> OfferAll(Offered refusal = Offered::kNoFirst) {
    std::vector<Number> offered;
    turns_.Offer([&](Ticket of) {
      const Number ticket = of.serial;
      offered.push_back(ticket);
      return warm_.contains(who_[ticket].first) ? Offered::kPlaced : refusal;
    });
    return offered;
  }
  std::set<UserId> warm_;
};

TEST_F(MachineNeedTest, WhoWaitsForAMachineKeepsNobodyWaitingWhoIsWarm) {
  for (Number ticket = 1; ticket <= 3; ++ticket) Wait(kAda, kSum, ticket);
  for (Number ticket = 4; ticket <= 6; ++ticket) Wait(kBob, kSum, ticket);
  warm_ = {kBob};
  const auto offered = OfferAll();
  EXPECT_EQ(std::set<Number>(offered.begin(), offered.end()), (std::set<Number>{1, 4, 5, 6}));
  EXPECT_EQ(WhyNot(kAda, kSum), "waiting_room");
  EXPECT_EQ(OfferAll(), std::vector<Number>{}) << "nothing has happened";
}

TEST_F(MachineNeedTest, AChanceIsOfferedToOneAndTheNextToAnother) {
  for (Number ticket = 1; ticket <= 3; ++ticket) Wait(UserId("user" + std::to_string(ticket)), kSum, ticket);
  EXPECT_EQ(OfferAll().size(), 4U) << "each once, and one of those that then wait";
  std::set<Number> met;
  for (int chance = 0; chance < 3; ++chance) {
    places_.NoteChance();
    const auto offered = OfferAll();
    EXPECT_EQ(offered.size(), 1U);
    met.insert(offered.begin(), offered.end());
  }
  EXPECT_EQ(met.size(), 3U) << "who cannot be taken on stands in nobody's way";
}

TEST_F(MachineNeedTest, WhoHasNoMachineAtAllIsOfferedBesidesThoseWhoWantAFurtherOne) {
  Wait(kAda, kSum, 1);
  OfferAll(Offered::kNoFurther);
  Wait(kBob, kSum, 2);
  OfferAll(Offered::kNoFirst);
  places_.NoteChance();
  std::vector<Number> placed;
  turns_.Offer([&](Ticket of) {
    const Number ticket = of.serial;
    if (ticket == 1) return Offered::kNoFurther;
    placed.push_back(ticket);
    return Offered::kPlaced;
  });
  EXPECT_EQ(placed, std::vector<Number>{2});
}

TEST_F(MachineNeedTest, WhatTheUserHasOfItsOwnEndsIt) {
  Wait(kAda, kSum, 1);
  Wait(kAda, kSum, 2);
  for (const Happening happening : {Happening::kSlotsTold, Happening::kGivenBack}) {
    OfferAll();
    ASSERT_EQ(WhyNot(kAda, kSum), "waiting_room");
    turns_.Tell(happening, kAda);
    EXPECT_EQ(WhyNot(kAda, kSum), "");
    EXPECT_EQ(OfferAll().front(), 1U);
  }
  warm_ = {kAda};
  turns_.Tell(Happening::kSlotsTold, kAda);
  EXPECT_EQ(OfferAll(), (std::vector<Number>{1, 2}));
}

TEST_F(MachineNeedTest, WhoWasRefusedIsOfferedAgainWhenItsExecutorHasSpokenOrTheTimeIsOver) {
  Wait(kAda, kSum, 1);
  EXPECT_EQ(OfferAll(Offered::kRefused), std::vector<Number>{1});
  EXPECT_EQ(WhyNot(kAda, kSum), "no_machine");
  places_.NoteChance();
  EXPECT_EQ(OfferAll(), std::vector<Number>{}) << "others may be taken on, not this user";
  turns_.Tell(Happening::kExecutorChanged, kAda);
  EXPECT_EQ(OfferAll(Offered::kRefused), std::vector<Number>{1});
  Pass(link::kHeartbeatMs + 1);
  EXPECT_EQ(OfferAll(Offered::kRefused), std::vector<Number>{1});
  EXPECT_EQ(turns_.missed_wakeups(), 0);
}

// ---- order

TEST_F(TurnsTest, AUserGoesInTheOrderOfArrival) {
  for (const Number ticket : {3U, 1U, 2U}) Enter(kAda, kSum, ticket);
  Enter(kAda, kMul, 4);
  EXPECT_EQ(TakeAll(), (std::vector<Number>{1, 2, 3, 4}));
  EXPECT_TRUE(turns_.empty());
}

TEST_F(TurnsTest, UsersTakeTurns) {
  for (Number ticket = 1; ticket <= 1000; ++ticket) Enter(kAda, kSum, ticket);
  for (Number ticket = 1001; ticket <= 1010; ++ticket) Enter(kBob, kSum, ticket);
  const auto taken = Take(20);
  EXPECT_EQ(std::count_if(taken.begin(), taken.end(), [](Number ticket) { return ticket > 1000; }), 10);
}

TEST_F(TurnsTest, WhoseRunsAreLongPaysMoreForATurn) {
  Know(kAda, kSum, 900);
  Know(kBob, kSum, 300);
  for (Number ticket = 1; ticket <= 1000; ++ticket) Enter(kAda, kSum, ticket);
  for (Number ticket = 1001; ticket <= 2000; ++ticket) Enter(kBob, kSum, ticket);
  int of_bob = 0;
  for (int i = 0; i < 400; ++i) of_bob += Take(1).at(0) > 1000 ? 1 : 0;
  EXPECT_NEAR(of_bob, 300, 10);
}

TEST_F(TurnsTest, WhoWasAwaySavesUpNothing) {
  for (Number ticket = 1; ticket <= 1000; ++ticket) Enter(kAda, kSum, ticket);
  EXPECT_EQ(Take(500).size(), 500U);
  for (Number ticket = 1001; ticket <= 1100; ++ticket) Enter(kBob, kSum, ticket);
  const auto taken = Take(20);
  EXPECT_NEAR(static_cast<double>(std::count_if(taken.begin(), taken.end(), [](Number t) { return t > 1000; })), 10, 1);
}

TEST_F(TurnsTest, ANewcomerGoesFirst) {
  Know(kAda, kSum);
  Know(kBob, kSum);
  Place(kAda, kSum);
  Enter(kAda, kSum, 1);
  Enter(kBob, kSum, 2);
  EXPECT_EQ(Take(1), std::vector<Number>{2});
}

TEST_F(TurnsTest, HoweverManyNewcomersComeWhoHoldsAPlaceGetsTurnsToo) {
  Place(kAda, kMul);
  for (Number ticket = 1; ticket <= 100; ++ticket) Enter(kAda, kSum, ticket);
  for (Number ticket = 101; ticket <= 1000; ++ticket) Enter(UserId("u" + std::to_string(ticket % 9)), kSum, ticket);
  const auto taken = Take(200);
  const auto of_ada = std::count_if(taken.begin(), taken.end(), [](Number ticket) { return ticket <= 100; });
  EXPECT_NEAR(static_cast<double>(of_ada), 20, 4) << "one of ten users";
}

TEST_F(TurnsTest, RealtimeFirstAndEveryClassGetsItsShare) {
  for (Number ticket = 0; ticket < 1000; ++ticket) {
    Enter(kAda, kSum, ticket, 0, RequestClass::kRealtime);
    Enter(kAda, kSum, 1000 + ticket, 0, RequestClass::kStandard);
    Enter(kAda, kSum, 2000 + ticket, 0, RequestClass::kBatch);
  }
  int counts[3] = {};
  const auto taken = Take(160);
  for (const Number ticket : taken) ++counts[ticket / 1000];
  EXPECT_LT(taken.front(), 1000U);
  EXPECT_EQ(counts[0], 120);
  EXPECT_EQ(counts[1], 30);
  EXPECT_EQ(counts[2], 10);
}

TEST_F(TurnsTest, AnIdleClassLeavesItsShareToTheOthers) {
  for (Number ticket = 0; ticket < 50; ++ticket) Enter(kAda, kSum, ticket, 0, RequestClass::kBatch);
  EXPECT_EQ(TakeAll().size(), 50U);
}

TEST_F(TurnsTest, WhatLeftIsNotOffered) {
  Enter(kAda, kSum, 1);
  Enter(kAda, kSum, 2);
  EXPECT_TRUE(turns_.Leave(RequestClass::kStandard, kAda, kSum, {0, 1}));
  EXPECT_FALSE(turns_.Leave(RequestClass::kStandard, kAda, kSum, {0, 1}));
  EXPECT_FALSE(turns_.Leave(RequestClass::kBatch, kAda, kSum, {0, 2}));
  EXPECT_EQ(TakeAll(), std::vector<Number>{2});
}

// ---- sleep

TEST_F(TurnsTest, AFunctionAtItsBoundSleepsUntilOneOfItsAttemptsEnds) {
  Know(kAda, kSum);
  for (Number ticket = 1; ticket <= 3; ++ticket) Wait(kAda, kSum, ticket, 1);
  Wait(kAda, kMul, 4);
  EXPECT_EQ(Take(10, true), (std::vector<Number>{1, 4}));
  EXPECT_EQ(WhyNot(kAda, kSum), "function_cap");
  EXPECT_EQ(turns_.sleeping(), 1);
  const auto before = turns_.offers();
  for (int i = 0; i < 100; ++i) Take(10);
  EXPECT_EQ(turns_.offers(), before) << "a step with nothing to place does nothing";
  turns_.GiveBack(kAda, kMul);
  EXPECT_TRUE(Take(10, true).empty());
  turns_.GiveBack(kAda, kSum);
  EXPECT_EQ(Take(10, true), std::vector<Number>{2});
  EXPECT_EQ(turns_.missed_wakeups(), 0);
}

TEST_F(TurnsTest, ABoundThatIsRaisedWakesItsFunction) {
  Know(kAda, kSum);
  for (Number ticket = 1; ticket <= 3; ++ticket) Wait(kAda, kSum, ticket, 1);
  EXPECT_EQ(Take(10, true).size(), 1U);
  turns_.Deploy(kAda, kSum, Need(2));
  EXPECT_EQ(Take(10, true).size(), 1U);
}

TEST_F(TurnsTest, AUserAtItsBoundSleepsWithAllItsFunctions) {
  Know(kAda, kSum);
  Know(kAda, kMul);
  for (Number ticket = 1; ticket <= 6; ++ticket) Wait(kAda, ticket % 2 == 0 ? kSum : kMul, ticket);
  Wait(kBob, kSum, 7);
  EXPECT_EQ(Take(10, true).size(), 4U) << "three of Ada's, and Bob's";
  EXPECT_EQ(WhyNot(kAda, kSum), "user_cap");
  EXPECT_EQ(turns_.wanting(), 0) << "at its own bound a user wants no place";
  const auto before = turns_.offers();
  EXPECT_TRUE(Take(10).empty());
  EXPECT_EQ(turns_.offers(), before);
  turns_.GiveBack(kAda, kMul);
  EXPECT_EQ(Take(10, true).size(), 1U);
}

TEST_F(TurnsTest, WithoutAPlaceNothingIsOfferedAndItIsSaidWhy) {
  for (Number ticket = 1; ticket <= 1000; ++ticket) Enter(UserId("u" + std::to_string(ticket)), kSum, ticket);
  SetPlaces(4, Places::Standing::kFull);
  EXPECT_TRUE(TakeAll().empty());
  EXPECT_EQ(turns_.offers(), 0);
  EXPECT_EQ(WhyNot(UserId("u1"), kSum), "credit");
  EXPECT_EQ(turns_.wanting(), 1000);
  SetPlaces(4);
  EXPECT_EQ(Take(1), std::vector<Number>{1});
  EXPECT_LE(turns_.offers(), 2);
}

TEST_F(TurnsTest, WhoNeedsWhatNobodyHasWantsNoPlace) {
  const Places::Kind other = places_.KindOf("large", Runtime::kPython3);
  turns_.Enter(RequestClass::kStandard, kAda, kSum, {0, 1}, {other, 128, 0});
  turns_.Enter(RequestClass::kStandard, kBob, kSum, {0, 2}, {kind_, 1024, 0});
  EXPECT_TRUE(TakeAll().empty());
  EXPECT_EQ(turns_.wanting(), 0);
  EXPECT_EQ(turns_.Sleeps(RequestClass::kStandard, kAda, kSum), Reason::kPlace);
  EXPECT_EQ(WhyNot(kAda, kSum), "profile");
  EXPECT_EQ(WhyNot(kBob, kSum), "memory");
  places_.Add({Places::Standing::kFree, {{other, 512, Places::Standing::kFree}}, 4, {}});
  EXPECT_EQ(TakeAll(), std::vector<Number>{1});
}

TEST_F(TurnsTest, AClaimIsWaitedForUntilItIsAnsweredOrLate) {
  Enter(kAda, kSum, 1);
  const auto claim = [this] {
    int offered = 0;
    turns_.Offer([&](Ticket) {
      ++offered;
      return Offered::kClaim;
    });
    return offered;
  };
  EXPECT_EQ(claim(), 1);
  EXPECT_EQ(claim(), 0);
  EXPECT_EQ(WhyNot(kAda, kSum), "claim");
  turns_.Tell(Happening::kClaimAnswered, kBob);
  EXPECT_EQ(claim(), 0);
  turns_.Tell(Happening::kClaimAnswered, kAda);
  EXPECT_EQ(claim(), 1);
  Pass(49);
  EXPECT_EQ(claim(), 0);
  Pass(1);
  EXPECT_EQ(claim(), 1);
  turns_.Leave(RequestClass::kStandard, kAda, kSum, {0, 1});
  EXPECT_EQ(turns_.sleeping(), 0);
  Pass(1000);
  EXPECT_EQ(turns_.missed_wakeups(), 0);
}

TEST_F(TurnsTest, WhoseFunctionIsRemovedIsOfferedToBeRefused) {
  SetPlaces(4, Places::Standing::kFull);
  Enter(kAda, kSum, 1);
  EXPECT_TRUE(TakeAll().empty());
  turns_.Deploy(kAda, kSum, {});
  EXPECT_EQ(TakeAll(), std::vector<Number>{1});
}

TEST_F(TurnsTest, APlaceThatIsThereAlthoughItIsNotKnownIsFound) {
  SetPlaces(4, Places::Standing::kFull);
  Enter(kAda, kSum, 1);
  EXPECT_TRUE(TakeAll().empty());
  context_.Begin(Time{context_.After(1000), 0}, effects_);
  Number asked = 0;
  turns_.Tick([&](Ticket of) {
    const Number ticket = of.serial;
    asked = ticket;
    return true;
  });
  EXPECT_EQ(asked, 1U);
  EXPECT_EQ(turns_.missed_wakeups(), 1);
}

// What stands in line and what sleeps costs nothing, however much it is: counted in looks, not in time.
TEST_F(TurnsTest, ATurnCostsTheSameHoweverManyWait) {
  for (const int users : {10, 1000, 100'000}) {
    Turns turns(context_, places_);
    for (int i = 0; i < users; ++i) {
      const UserId user("u" + std::to_string(i));
      turns.Learn(user, kSum, 10);
      turns.Learn(user, kMul, 10);
      (void)turns.Place(user, kSum);
      for (Number ticket = 1; ticket <= 2; ++ticket) {
        turns.Enter(RequestClass::kStandard, user, kSum, {0, static_cast<Number>(i) * 4 + ticket}, Need(1));
        turns.Enter(RequestClass::kStandard, user, kMul, {0, static_cast<Number>(i) * 4 + 2 + ticket}, Need());
      }
    }
    EXPECT_EQ(turns.sleeping(), users);
    const auto before = turns.offers();
    for (int i = 0; i < 5; ++i) {
      turns.GiveBack(UserId("u" + std::to_string(i)), kSum);
      std::size_t taken = 0;
      turns.Offer([&](Ticket) { return taken++ == 0 ? Offered::kPlaced : Offered::kNoPlace; });
    }
    EXPECT_LE(turns.offers() - before, 20) << users;
  }
}

// Whose share has shrunk is found out at its turn. However many those are, one step looks at some of them only.
TEST_F(TurnsTest, OneStepLooksAtABoundedNumberOfThoseWhoHoldTheirShare) {
  constexpr int kUsers = 10'000;
  for (int i = 0; i < kUsers; ++i) {
    const UserId user("u" + std::to_string(i));
    (void)turns_.Place(user, kSum);
    Enter(user, kSum, static_cast<Number>(i) + 1);
  }
  std::int64_t before = 0;
  int steps = 0;
  do {
    before = turns_.offers();
    EXPECT_TRUE(TakeAll().empty());
    EXPECT_LE(turns_.offers() - before, 256);
    ++steps;
  } while (turns_.offers() > before);
  EXPECT_GT(steps, kUsers / 256);
  Enter(kAda, kSum, kUsers + 1);
  EXPECT_EQ(TakeAll().size(), 1U);
}

// ---- shares

class Sharing : public TurnsTest {
 protected:
  Sharing() : TurnsTest(64) {}
  void WaitLong(const UserId& user, Number first, Number last) {
    Know(user, kSum, 60'000);
    for (Number ticket = first; ticket <= last; ++ticket) Wait(user, kSum, ticket);
  }
  std::pair<int, int> Placed() const { return {turns_.Find(kAda)->placed(), turns_.Find(kBob)->placed()}; }
};
using Both = std::pair<int, int>;

TEST_F(Sharing, WhoWaitsAloneMayHaveAll) {
  SetPlaces(9);
  WaitLong(kAda, 1, 20);
  EXPECT_EQ(Take(100, true).size(), 20U) << "nobody counts the places here";
}

TEST_F(Sharing, WhileOthersWantAPlaceNobodyGetsAFurtherOneBeyondItsShare) {
  SetPlaces(9);
  WaitLong(kAda, 1, 20);
  WaitLong(kBob, 21, 40);
  Place(kAda, kMul);
  Place(kAda, kMul);
  Take(100, true);
  EXPECT_EQ(Placed(), Both(3, 3)) << "a third of nine: there are two, and one may come";
  EXPECT_EQ(WhyNot(kAda, kSum), "share");
  const auto before = turns_.offers();
  EXPECT_TRUE(Take(100, true).empty());
  EXPECT_EQ(turns_.offers(), before);
  turns_.GiveBack(kAda, kMul);
  Take(100, true);
  EXPECT_EQ(Placed(), Both(3, 3));
}

TEST_F(Sharing, OnePlaceEverybodyMayHold) {
  SetPlaces(1);
  WaitLong(kAda, 1, 20);
  WaitLong(kBob, 21, 40);
  Take(100, true);
  EXPECT_EQ(Placed(), Both(1, 1));
}

TEST_F(Sharing, AShareEndsWhenNobodyElseWantsAPlace) {
  SetPlaces(3);
  WaitLong(kAda, 1, 20);
  WaitLong(kBob, 21, 22);
  Take(100, true);
  EXPECT_EQ(Placed(), Both(1, 1));
  turns_.Leave(RequestClass::kStandard, kBob, kSum, {0, 22});
  EXPECT_EQ(Take(100, true).size(), 19U);
}

TEST_F(Sharing, AShareGrowsWithTheCredit) {
  SetPlaces(3);
  WaitLong(kAda, 1, 20);
  WaitLong(kBob, 21, 40);
  Take(100, true);
  EXPECT_EQ(Placed(), Both(1, 1));
  SetPlaces(12);
  Take(100, true);
  EXPECT_EQ(Placed(), Both(4, 4));
}

TEST_F(Sharing, WhatIsShortIsBoundByNoShare) {
  SetPlaces(3);
  WaitLong(kAda, 1, 20);
  WaitLong(kBob, 21, 40);
  Take(100, true);
  Know(kAda, kMul, 100);
  for (Number ticket = 51; ticket <= 55; ++ticket) Wait(kAda, kMul, ticket);
  EXPECT_EQ(Take(100, true), (std::vector<Number>{51, 52, 53, 54, 55}));
  EXPECT_EQ(WhyNot(kAda, kSum), "share");
}

TEST_F(Sharing, AFunctionOfWhichNothingHasEndedTakesLong) {
  SetPlaces(3);
  WaitLong(kBob, 21, 40);
  for (Number ticket = 1; ticket <= 5; ++ticket) Wait(kAda, kMul, ticket);
  Take(100, true);
  EXPECT_EQ(Placed(), Both(1, 1));
  turns_.Learn(kAda, kMul, 10);
  Take(100, true);
  EXPECT_EQ(Placed().first, 5);
}

TEST_F(Sharing, WhatHasBegunToTakeLongIsBoundWhateverItTookBefore) {
  SetPlaces(3);
  WaitLong(kBob, 21, 40);
  WaitLong(kAda, 51, 60);
  Know(kAda, kMul, 10);
  Wait(kAda, kMul, 1);
  Take(100, true);
  Pass(kShortMs + 1);
  for (Number ticket = 2; ticket <= 5; ++ticket) Wait(kAda, kMul, ticket);
  EXPECT_TRUE(Take(100, true).empty());
  EXPECT_EQ(WhyNot(kAda, kMul), "share");
  turns_.GiveBack(kAda, kMul);
  EXPECT_EQ(Take(100, true).size(), 4U);
}

TEST_F(Sharing, WhatTakesLongLeavesTheReserveAndNewcomersMayHaveIt) {
  SetPlaces(16);
  places_.Add({Places::Standing::kFree, {}, 0, {0, 14, 0}});  // two of sixteen are kept for newcomers
  WaitLong(kAda, 1, 20);
  Place(kAda, kSum);
  EXPECT_TRUE(Take(100, true).empty());
  EXPECT_EQ(WhyNot(kAda, kSum), "reserve");
  WaitLong(kBob, 21, 40);
  EXPECT_EQ(Take(100, true), std::vector<Number>{21});
  places_.Remove({Places::Standing::kFree, {}, 0, {0, 1, 0}});
  EXPECT_FALSE(Take(1, true).empty());
}

TEST_F(Sharing, WhatWaitsForAMachineIsNoRoomForMoreOfThoseWhoHaveSomething) {
  SetPlaces(16);
  places_.Add({Places::Standing::kFree, {}, 0, {0, 14, 0}, 4});
  WaitLong(kAda, 1, 20);
  Place(kAda, kSum);
  EXPECT_TRUE(Take(100, true).empty()) << "four of the fourteen wait, and will run";
  EXPECT_EQ(WhyNot(kAda, kSum), "reserve");
  places_.Add({Places::Standing::kFree, {}, 0, {0, 3, 0}});
  WaitLong(kBob, 21, 40);
  EXPECT_EQ(Take(100, true), std::vector<Number>{21}) << "seventeen are held, but only thirteen of them run";
}

// ---- demand

TEST_F(TurnsTest, DemandIsToldWithinTheRoomThatUsersHaveLeft) {
  Place(kAda, kSum);
  for (Number ticket = 1; ticket <= 4; ++ticket) Enter(kAda, kSum, ticket);
  Enter(kBob, kMul, 5);
  EXPECT_EQ(turns_.Demand(), (std::map<std::string, std::int64_t>{{"default", 3}})) << "Ada's two, and Bob's";
  Place(kAda, kSum);
  EXPECT_EQ(turns_.Demand().at("default"), 2);
  turns_.Leave(RequestClass::kStandard, kBob, kMul, {0, 5});
  EXPECT_EQ(turns_.Demand().at("default"), 1);
}

}  // namespace
}  // namespace hearth::dispatcher
