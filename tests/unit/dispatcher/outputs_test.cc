// The last records of an invocation, and its tries, each by itself.
#include "dispatcher/core/outputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "dispatcher/core/tries.h"

namespace hearth::dispatcher {
namespace {

using Remedy = Outputs::Remedy;

Output Make(Output::Kind kind) {
  Output output;
  output.kind = kind;
  output.record = Share({"topic", "", std::string(5000, 'x'), {}});
  return output;
}

TEST(Outputs, TheNextOneIsSentWhenTheOneBeforeIsDurable) {
  Outputs outputs;
  EXPECT_TRUE(outputs.empty());
  outputs.Assign({Make(Output::Kind::kDeadLetter), Make(Output::Kind::kReply)});
  EXPECT_EQ(outputs.next().kind, Output::Kind::kDeadLetter);
  outputs.Delivered();
  EXPECT_EQ(outputs.next().kind, Output::Kind::kReply);
  outputs.Delivered();
  EXPECT_TRUE(outputs.empty());
}

TEST(Outputs, AReplyThatIsRefusedGoesToUndeliverableAndIsBackedOffThere) {
  Outputs outputs;
  outputs.Assign({Make(Output::Kind::kReply)});
  EXPECT_EQ(outputs.Refused("unknown topic", true, "undeliverable"), Remedy::kSend);
  EXPECT_EQ(outputs.next().record->topic, "undeliverable");
  EXPECT_EQ(outputs.Refused("timed out", false, "undeliverable"), Remedy::kBackOff);
  EXPECT_EQ(outputs.backoff_ms(), kProduceRetryMs);
}

TEST(Outputs, TheBackOffDoublesToItsLimitAndBeginsAnewWithTheNextOne) {
  Outputs outputs;
  outputs.Assign({Make(Output::Kind::kDeadLetter), Make(Output::Kind::kDeadLetter)});
  std::int64_t expected_ms = kProduceRetryMs;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(outputs.Refused("timed out", false, ""), Remedy::kBackOff);
    EXPECT_EQ(outputs.backoff_ms(), expected_ms);
    expected_ms = std::min(kMaxRetryMs, expected_ms * 2);
  }
  outputs.Delivered();
  EXPECT_EQ(outputs.Refused("timed out", false, ""), Remedy::kBackOff);
  EXPECT_EQ(outputs.backoff_ms(), kProduceRetryMs);
}

TEST(Outputs, WhatItsTopicCannotTakeIsCutAndThenLetGo) {
  Outputs outputs;
  outputs.Assign({Make(Output::Kind::kDeadLetter), Make(Output::Kind::kDeadLetter)});
  EXPECT_EQ(outputs.Refused("too large", true, ""), Remedy::kSend);
  EXPECT_TRUE(outputs.next().record->value.empty());
  EXPECT_EQ(outputs.next().record->headers.size(), 2U) << "its length and its hash stay";
  EXPECT_EQ(outputs.Refused("too large", true, ""), Remedy::kLetGo);
  EXPECT_FALSE(outputs.next().cut) << "the next one";
  outputs.Delivered();
  EXPECT_TRUE(outputs.empty());
}

TEST(Tries, WhatCountsAgainstTheFunctionAndWhatDoesNot) {
  Tries tries;
  tries.Start();
  tries.Return();
  tries.Start();
  tries.LoseMachine();
  tries.Start();
  tries.Fail(0, 3);
  EXPECT_EQ(tries.attempt(), 3);
  EXPECT_EQ(tries.failed(), 1);
  EXPECT_EQ(tries.infrastructure_failures(), 1);
  EXPECT_EQ(tries.returned(), 1);
}

TEST(Tries, AFailureThatIsToldTwiceCountsOnceWhereItsNumberIsTold) {
  Tries tries;
  tries.See(2);
  tries.Fail(2, 5);
  tries.Fail(2, 5);
  EXPECT_EQ(tries.failed(), 2);
  tries.Fail(1, 5);
  EXPECT_EQ(tries.failed(), 2);
}

TEST(Tries, AtLeastOneMoreIsOwedAfterAFailedTry) {
  Tries tries;
  tries.See(9);
  tries.Fail(9, 3);
  EXPECT_EQ(tries.failed(), 2);
  tries.FailFinally();
  EXPECT_EQ(tries.failed(), 3);
}

TEST(Tries, NumbersOfAttemptsNeverFall) {
  Tries tries;
  tries.See(4);
  tries.See(2);
  EXPECT_EQ(tries.attempt(), 4);
}

}  // namespace
}  // namespace hearth::dispatcher
