#include "dispatcher/core/fair_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

using Offered = FairQueue::Offered;
using Ticket = FairQueue::Ticket;
const FunctionName kF("f");
const FunctionName kG("g");

std::vector<Ticket> TakeUpTo(FairQueue& queue, std::size_t most) {
  std::vector<Ticket> taken;
  if (most == 0) return taken;
  queue.Offer([&](Ticket ticket) {
    if (taken.size() == most) return Offered::kStop;
    taken.push_back(ticket);
    return Offered::kTaken;
  });
  return taken;
}

TEST(FairQueue, OneUserGoesInOrderOfArrival) {
  FairQueue queue;
  for (Ticket t : {3U, 1U, 2U}) queue.Push(RequestClass::kStandard, UserId("a"), kF, t, 4);
  EXPECT_EQ(TakeUpTo(queue, 10), (std::vector<Ticket>{1, 2, 3}));
  EXPECT_EQ(queue.size(), 0);
}

TEST(FairQueue, AFloodDoesNotDelayItsNeighbour) {
  FairQueue queue;
  for (Ticket t = 1; t <= 1000; ++t) queue.Push(RequestClass::kStandard, UserId("flood"), kF, t, 16);
  for (Ticket t = 1001; t <= 1010; ++t) queue.Push(RequestClass::kStandard, UserId("calm"), kF, t, 16);
  const auto taken = TakeUpTo(queue, 20);
  EXPECT_EQ(std::count_if(taken.begin(), taken.end(), [](Ticket t) { return t > 1000; }), 10);
}

TEST(FairQueue, SharesAreByCostAlsoWhenTakenOneByOne) {
  FairQueue queue;
  for (Ticket t = 1; t <= 1000; ++t) queue.Push(RequestClass::kStandard, UserId("heavy"), kF, t, 48);
  for (Ticket t = 1001; t <= 2000; ++t) queue.Push(RequestClass::kStandard, UserId("light"), kF, t, 16);
  int heavy = 0;
  int light = 0;
  for (int i = 0; i < 400; ++i) {
    for (Ticket t : TakeUpTo(queue, 1)) ++(t <= 1000 ? heavy : light);
  }
  EXPECT_NEAR(heavy, 100, 5);
  EXPECT_NEAR(light, 300, 5);
}

TEST(FairQueue, RealtimeFirstAndEveryClassGetsItsShare) {
  FairQueue queue;
  for (Ticket t = 0; t < 1000; ++t) {
    queue.Push(RequestClass::kRealtime, UserId("a"), kF, t, 1);
    queue.Push(RequestClass::kStandard, UserId("a"), kF, 1000 + t, 1);
    queue.Push(RequestClass::kBatch, UserId("a"), kF, 2000 + t, 1);
  }
  int counts[3] = {};
  const auto taken = TakeUpTo(queue, 160);
  for (Ticket t : taken) ++counts[t / 1000];
  EXPECT_LT(taken.front(), 1000U);
  EXPECT_EQ(counts[0], 120);
  EXPECT_EQ(counts[1], 30);
  EXPECT_EQ(counts[2], 10);
}

TEST(FairQueue, AnIdleClassLeavesItsShareToTheOthers) {
  FairQueue queue;
  for (Ticket t = 0; t < 50; ++t) queue.Push(RequestClass::kBatch, UserId("a"), kF, t, 1);
  EXPECT_EQ(TakeUpTo(queue, 50).size(), 50U);
}

TEST(FairQueue, WhatIsSkippedIsNotOfferedTwiceAndKeepsItsPlace) {
  FairQueue queue;
  for (Ticket t = 1; t <= 3; ++t) queue.Push(RequestClass::kStandard, UserId("a"), kF, t, 4);
  queue.Push(RequestClass::kStandard, UserId("a"), kG, 4, 4);
  queue.Push(RequestClass::kStandard, UserId("b"), kF, 5, 4);
  queue.Push(RequestClass::kStandard, UserId("c"), kF, 6, 4);
  std::map<Ticket, int> offered;
  queue.Offer([&](Ticket t) {
    ++offered[t];
    if (t == 1) return Offered::kSkipFunction;
    if (t == 5) return Offered::kSkipUser;
    return Offered::kTaken;
  });
  EXPECT_EQ(offered, (std::map<Ticket, int>{{1, 1}, {4, 1}, {5, 1}, {6, 1}}));
  EXPECT_EQ(queue.size(), 4);
  const auto rest = TakeUpTo(queue, 10);
  EXPECT_EQ(std::set<Ticket>(rest.begin(), rest.end()), (std::set<Ticket>{1, 2, 3, 5}));
}

TEST(FairQueue, RemovedTicketsAreGone) {
  FairQueue queue;
  queue.Push(RequestClass::kRealtime, UserId("a"), kF, 1, 4);
  queue.Push(RequestClass::kRealtime, UserId("a"), kF, 2, 4);
  EXPECT_TRUE(queue.Remove(RequestClass::kRealtime, UserId("a"), kF, 1));
  EXPECT_FALSE(queue.Remove(RequestClass::kRealtime, UserId("a"), kF, 1));
  EXPECT_FALSE(queue.Remove(RequestClass::kBatch, UserId("a"), kF, 2));
  EXPECT_EQ(TakeUpTo(queue, 10), (std::vector<Ticket>{2}));
  queue.Push(RequestClass::kRealtime, UserId("a"), kF, 3, 4);  // an emptied user comes back
  EXPECT_EQ(TakeUpTo(queue, 10), (std::vector<Ticket>{3}));
}

}  // namespace
}  // namespace hearth::dispatcher
