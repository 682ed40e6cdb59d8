// Stories about whose turn it is, told with the whole core: what sleeps, what wakes it, and what one user leaves to
// another.
#include "schemas/why.h"
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

using link::NackReason;

class CoreTurns : public CoreStory {
 protected:
  static std::string HeldBy(const link::Exec& exec) {
    for (const auto& [key, value] : ParseWhy(exec.why)) {
      if (key == "held_by") return value;
    }
    return "";
  }
};

TEST_F(CoreTurns, AFunctionAtItsBoundGoesOnWhenOneOfItEnds) {
  Connect("e1", 64);
  Deploy("ada", "one", 3, 1, 1);
  Own("std/0");
  Forget();
  for (std::int64_t offset = 0; offset < 3; ++offset) Receive("std/0", offset, {.function = "one"});
  const auto first = ExpectExec("e1", 0);
  EXPECT_EQ(Numbers().lanes_sleeping, 1);
  PassAlive(2000);
  ExpectNoExec();
  Forget();
  Done("e1", first.ref);
  const auto second = ExpectExec("e1", 1);
  EXPECT_EQ(HeldBy(second), "function_cap");
  Done("e1", second.ref);
  ExpectExec("e1", 2);
  EXPECT_EQ(Numbers().lanes_sleeping, 0);
  EXPECT_EQ(Numbers().missed_wakeups, 0);
}

TEST_F(CoreTurns, ABoundThatIsRaisedCountsAtOnce) {
  Connect("e1", 64);
  Deploy("ada", "one", 3, 1, 1);
  Own("std/0");
  Forget();
  for (std::int64_t offset = 0; offset < 3; ++offset) Receive("std/0", offset, {.function = "one"});
  EXPECT_EQ(Execs().size(), 1U);
  Deploy("ada", "one", 3, 2, 2);
  EXPECT_EQ(Execs().size(), 2U);
}

TEST_F(CoreTurns, AnotherProfileIsLookedForAtOnce) {
  Connect("e1", 64);
  const auto deploy = [this](const std::string& profile, std::int64_t version) {
    auto function = std::make_shared<Function>();
    function->user = UserId("ada");
    function->name = FunctionName("sum");
    function->version = version;
    function->profile = profile;
    Step(FunctionUpdated{function});
  };
  deploy("large", 1);
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  PassAlive(500);
  ExpectNoExec();
  deploy("default", 2);
  EXPECT_EQ(HeldBy(ExpectExec("e1", 0)), "profile");
}

// What nobody can take neither waits for an executor nor holds anybody up.
TEST_F(CoreTurns, WhoseFunctionIsRemovedIsRefusedAlsoWithoutAnyExecutor) {
  Own("std/0");
  Receive("std/0", 0);
  Pass(1000);  // settled
  Forget();
  Step(FunctionRemoved{UserId("ada"), FunctionName("sum")});
  EXPECT_EQ(All<Produce>().size(), 1U);
}

TEST_F(CoreTurns, WhatIsPlacedWhenAnExecutorHasCooledDownOrIsHeardAgain) {
  Connect("e1", 8);
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Nack("e1", ExpectExec("e1", 0).ref, NackReason::kNoCapacity);
  Pass(99);
  ExpectNoExec();
  Pass(1);
  const auto again = ExpectExec("e1", 0);
  EXPECT_EQ(HeldBy(again), "not_cooling");
  Pass(601);  // nothing was heard of it
  Receive("std/0", 1);
  ExpectNoExec();
  Beat("e1", 1);
  EXPECT_EQ(HeldBy(ExpectExec("e1", 1)), "healthy");
}

TEST_F(CoreTurns, LongRunsOfOneUserLeaveAPlaceToWhoComes) {
  user_concurrency_ = 1000;
  Start();
  Connect("e1", 16);
  Deploy("bob", "sum");
  Own("std/0");
  Own("batch/0");
  Forget();
  for (std::int64_t offset = 0; offset < 30; ++offset) Receive("batch/0", offset);
  EXPECT_EQ(Execs().size(), 12U) << "nobody knows how long they take";
  Receive("std/0", 0, {.user = "ada"});
  EXPECT_EQ(Execs().size(), 13U) << "one is kept for std";
  Receive("std/0", 1, {.user = "bob"});
  Receive("std/0", 2, {.user = "bob"});
  EXPECT_EQ(Execs().size(), 14U) << "and two for newcomers, one each";
}

TEST_F(CoreTurns, WhatEndsSoonMayHaveEveryPlace) {
  user_concurrency_ = 1000;
  Start();
  Connect("e1", 16);
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  link::Done done = MakeDone(ExpectExec("e1", 0).ref, link::Outcome::kPublished, Status::kOk);
  done.billed_ms = 20;
  Step(ExecutorMessage{ExecutorId("e1"), done});
  for (std::int64_t offset = 1; offset < 30; ++offset) Receive("std/0", offset);
  EXPECT_EQ(Execs().size(), 16U);
}

TEST_F(CoreTurns, AUserWithATenthOfTheRequestsWaitsForNobodysBacklog) {
  Connect("e1", 2);
  Deploy("bob", "sum");
  Own("std/0");
  Forget();
  for (std::int64_t offset = 0; offset < 1000; ++offset) Receive("std/0", offset);
  Receive("std/0", 1000, {.user = "bob"});
  const auto execs = Execs();
  ASSERT_FALSE(execs.empty());
  Forget();
  Done("e1", execs[0].second.ref);
  ExpectExec("e1", 1000);
}

}  // namespace
}  // namespace hearth::dispatcher
