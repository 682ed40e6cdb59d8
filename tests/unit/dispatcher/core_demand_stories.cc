// Stories about what executors are told of the work that has no place yet.
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

class Demand : public CoreStory {
 protected:
  std::vector<std::pair<ExecutorId, link::Demand>> Told() const { return Sent<link::Demand>(); }
};

TEST_F(Demand, WhatHasNoPlaceIsToldAndOnlyWhenItChanged) {
  Connect("e1", 1);
  Own("std/0");
  for (std::int64_t offset = 0; offset < 4; ++offset) Receive("std/0", offset);
  PassAlive(600);
  ASSERT_EQ(Told().size(), 1U);
  EXPECT_EQ(Told()[0].second.profiles, (std::vector<link::ProfileDemand>{{"default", 3}}));
  PassAlive(2000);
  EXPECT_EQ(Told().size(), 1U) << "nothing new, nothing said";
  const auto ref = Execs()[0].second.ref;
  Forget();
  Done("e1", ref);  // one more is placed
  PassAlive(600);
  ASSERT_EQ(Told().size(), 1U);
  EXPECT_EQ(Told()[0].second.profiles[0].waiting, 2);
}

TEST_F(Demand, IsToldAtMostEveryHalfSecond) {
  Connect("e1", 1);
  Own("std/0");
  for (std::int64_t offset = 0; offset < 100; ++offset) {
    Receive("std/0", offset);
    Pass(10);
    Beat("e1");
  }
  EXPECT_LE(Told().size(), 3U) << "in one second";
}

TEST_F(Demand, IsSharedAmongTheExecutors) {
  Connect("e1", 1);
  Connect("e2", 1);
  Own("std/0");
  for (std::int64_t offset = 0; offset < 7; ++offset) Receive("std/0", offset);
  PassAlive(600, {"e1", "e2"});
  ASSERT_EQ(Told().size(), 2U);
  EXPECT_EQ(Told()[0].second.profiles[0].waiting, 3) << "half of five, rounded up";
  EXPECT_EQ(Told()[1].second.profiles[0].waiting, 3);
}

TEST_F(Demand, AUserCountsForNoMoreThanMayRunAtOnce) {
  user_concurrency_ = 3;
  Start();
  Connect("e1", 1);
  Own("std/0");
  for (std::int64_t offset = 0; offset < 50; ++offset) Receive("std/0", offset);
  PassAlive(600);
  ASSERT_EQ(Told().size(), 1U);
  EXPECT_EQ(Told()[0].second.profiles[0].waiting, 2) << "one of three runs";
}

TEST_F(Demand, IsToldAnewToAnExecutorThatComesBack) {
  Connect("e1", 1);
  Own("std/0");
  for (std::int64_t offset = 0; offset < 3; ++offset) Receive("std/0", offset);
  PassAlive(600);
  Disconnect("e1");
  Forget();
  Connect("e1", 1);
  for (const auto& [executor, fence] : Fences("std/0")) Report("e1", "std/0", fence.epoch, {{Part("std/0"), 0, 1, 1}});
  PassAlive(2000);
  ASSERT_FALSE(Told().empty());
  EXPECT_EQ(Told()[0].second.profiles[0].waiting, 2);
}

}  // namespace
}  // namespace hearth::dispatcher
