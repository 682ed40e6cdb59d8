// Who reads back next, and what becomes of a log that cannot be read.
#include "dispatcher/core/reading_back.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "dispatcher/core/partition.h"

namespace hearth::dispatcher {
namespace {

class ReadingBackTest : public testing::Test {
 protected:
  Backlog::Lane& LaneOf(const std::string& user, const std::string& function = "sum") {
    return backlog_.LaneOf(UserId(user), FunctionName(function), false);
  }
  // Lanes are told by their user, and what is unread by "-".
  std::vector<std::string> Order() {
    std::vector<std::string> order;
    while (const auto want = reading_.Next()) order.push_back(want->lane == nullptr ? "-" : want->lane->user().value);
    return order;
  }

  ReadingBack reading_;
  Backlog backlog_;
  Partition first_{{"hearth.invoke.std", 0}, RequestClass::kStandard, Ledger(0, {})};
  Partition second_{{"hearth.invoke.std", 1}, RequestClass::kStandard, Ledger(0, {})};
};

TEST_F(ReadingBackTest, UsersTakeTurnsWhateverLiesInTheirLanes) {
  for (const char* function : {"a", "b", "c"}) reading_.Add({&first_, &LaneOf("ada", function)});
  reading_.Add({&first_, &LaneOf("bob")});
  reading_.Add({&second_, nullptr});
  EXPECT_EQ(Order(), (std::vector<std::string>{"ada", "bob", "-", "ada", "ada"}));
  EXPECT_FALSE(reading_.Next());
}

TEST_F(ReadingBackTest, WithinAUserLanesTakeTurns) {
  Backlog::Lane& one = LaneOf("ada", "one");
  Backlog::Lane& two = LaneOf("ada", "two");
  reading_.Add({&first_, &one});
  reading_.Add({&second_, &two});
  auto next = reading_.Next();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->lane, &one);
  EXPECT_EQ(next->partition, &first_);
  reading_.Add({&first_, &one});
  next = reading_.Next();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->lane, &two);
  EXPECT_EQ(next->partition, &second_);
}

TEST_F(ReadingBackTest, APartitionThatIsGivenUpWantsNothing) {
  reading_.Add({&first_, &LaneOf("ada", "one")});
  reading_.Add({&second_, &LaneOf("ada", "two")});
  reading_.Add({&first_, &LaneOf("bob")});
  reading_.Add({&first_, nullptr});
  reading_.Forget(first_);
  EXPECT_EQ(Order(), std::vector<std::string>{"ada"});
  reading_.Add({&second_, &LaneOf("bob")});
  EXPECT_EQ(Order(), std::vector<std::string>{"bob"}) << "a user who was forgotten can want again";
}

TEST_F(ReadingBackTest, AnAnswerIsForThePartitionThatAskedAsItIsOwnedNow) {
  EXPECT_FALSE(reading_.busy());
  reading_.Begin(first_);
  EXPECT_TRUE(reading_.busy());
  EXPECT_EQ(reading_.End(), &first_);
  EXPECT_FALSE(reading_.busy());
  reading_.Begin(first_);
  reading_.Forget(first_);
  EXPECT_TRUE(reading_.busy()) << "the reader still reads";
  EXPECT_EQ(reading_.End(), nullptr) << "although it lies in the same place again";
  EXPECT_FALSE(reading_.busy());
  reading_.Begin(first_);
  reading_.Forget(second_);
  EXPECT_EQ(reading_.End(), &first_) << "another one was given up";
}

TEST_F(ReadingBackTest, ALogThatCannotBeReadIsTriedLaterEachTimeUpToABound) {
  std::int64_t now_us = 1'000'000;
  EXPECT_TRUE(reading_.TakeRetries(now_us).empty());
  for (std::int64_t wait_ms = kReadRetryMs; wait_ms < 100 * kMaxReadRetryMs; wait_ms *= 2) {
    const std::int64_t wait_us = std::min(wait_ms, kMaxReadRetryMs) * kMicrosPerMilli;
    reading_.Fail(first_.id(), now_us);
    EXPECT_TRUE(reading_.TakeRetries(now_us + wait_us - 1).empty()) << wait_ms;
    EXPECT_EQ(reading_.TakeRetries(now_us + wait_us), std::vector<PartitionId>{first_.id()}) << wait_ms;
    EXPECT_TRUE(reading_.TakeRetries(now_us + wait_us).empty()) << "it is being tried";
    now_us += wait_us;
  }
  reading_.Succeed(first_.id());
  reading_.Fail(first_.id(), now_us);
  EXPECT_EQ(reading_.TakeRetries(now_us + kReadRetryMs * kMicrosPerMilli).size(), 1U) << "from the beginning";
}

TEST_F(ReadingBackTest, OneLogThatCannotBeReadIsNotAnother) {
  reading_.Fail(first_.id(), 0);
  reading_.Fail(first_.id(), 0);
  reading_.Fail(second_.id(), 0);
  const std::int64_t at_us = kReadRetryMs * kMicrosPerMilli;
  EXPECT_EQ(reading_.TakeRetries(at_us), std::vector<PartitionId>{second_.id()});
  reading_.Forget(first_);
  EXPECT_TRUE(reading_.TakeRetries(at_us * 100).empty()) << "it was given up";
}

}  // namespace
}  // namespace hearth::dispatcher
