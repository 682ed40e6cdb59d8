// Attempts by themselves: their lines, how their results are published, and that each ends once.
#include "executor/core/attempts.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace hearth::executor {
namespace {

class AttemptsTest : public testing::Test {
 protected:
  static constexpr LinkId kLink = 1;

  AttemptsTest()
      : context(SettingsOf()),
        machines(context),
        codes(context, machines),
        dispatchers(context),
        attempts(context, codes, dispatchers) {
    context.Begin(Time{1'000'000, 5'000'000}, effects);
    dispatchers.Connect(kLink, DispatcherId("d1"));
    EXPECT_TRUE(dispatchers.Admit(partition, 1, DispatcherId("d1"), kLink));
  }
  static Settings SettingsOf() {
    Settings settings;
    settings.id = ExecutorId("ex");
    settings.profiles = {Profile{}};
    settings.credit = 4;
    settings.orphan_grace_ms = 60'000;
    return settings;
  }
  void Pass(std::int64_t ms) {
    context.Begin(Time{context.now_us() + ms * kMicrosPerMilli, context.now().wall_us + ms * kMicrosPerMilli}, effects);
  }
  link::Exec MakeExec(std::int64_t offset, const char* function = "f") {
    link::Exec exec;
    exec.ref = {partition, offset, 1, 1};
    exec.id = InvocationId("inv" + std::to_string(offset));
    exec.reply_to = "hearth.reply";
    Function described;
    described.user = UserId("ada");
    described.name = FunctionName(function);
    described.version = 1;
    described.code = CodeHash("c0de");
    exec.function = std::make_shared<const Function>(std::move(described));
    return exec;
  }
  Attempt& Accept(const link::Exec& exec) { return attempts.Accept(KeyOf(exec.ref), exec); }
  Attempt& Waiting(std::int64_t offset, const char* function = "f") {
    Attempt& attempt = Accept(MakeExec(offset, function));
    attempts.Wait(attempt);
    return attempt;
  }
  Attempt& Running(std::int64_t offset) {
    Attempt& attempt = Accept(MakeExec(offset));
    attempts.Run(attempt, 1, 1, StartPath::kContainer);
    return attempt;
  }
  static InvocationResult ResultOf(const char* output) {
    InvocationResult result;
    result.output = output;
    return result;
  }
  // The last Publish that was asked for, if any.
  std::optional<Publish> LastPublish() {
    std::optional<Publish> last;
    for (const auto& effect : effects) {
      if (const auto* publish = std::get_if<Publish>(&effect)) last = *publish;
    }
    return last;
  }
  std::vector<link::Done> Dones() {
    std::vector<link::Done> dones;
    for (const auto& effect : effects) {
      const auto* send = std::get_if<SendToDispatcher>(&effect);
      if (send == nullptr) continue;
      if (const auto* done = std::get_if<link::Done>(&send->message)) dones.push_back(*done);
    }
    return dones;
  }

  std::vector<Effect> effects;
  Context context;
  Machines machines;
  CodeCache codes;
  Dispatchers dispatchers;
  Attempts attempts;
  const PartitionId partition{"t", 0};
};

TEST_F(AttemptsTest, AnAttemptIsInTheLineOfItsPhaseAndInNoOther) {
  Attempt& attempt = Waiting(0);
  const auto version = VersionOf(attempt.function());
  EXPECT_EQ(attempts.waiting().size(), 1U);
  EXPECT_EQ(attempts.WaitingFor(version).begin()->second, &attempt);
  EXPECT_TRUE(attempts.PromisedFor(version).empty());
  attempts.Promise(attempt, 1, 1, StartPath::kPool);
  EXPECT_TRUE(attempts.waiting().empty());
  EXPECT_TRUE(attempts.WaitingFor(version).empty());
  EXPECT_EQ(attempts.PromisedFor(version).begin()->second, &attempt);
  attempts.Run(attempt, 1, 1, attempt.path());
  EXPECT_TRUE(attempts.PromisedFor(version).empty());
  EXPECT_EQ(attempts.indexed(), 0U);
  attempts.Publish(attempt, ResultOf("out"));
  EXPECT_EQ(attempts.indexed(), 1U) << "its record is in Kafka's client";
  attempts.Published({LastPublish()->token, true, ""});
  EXPECT_EQ(attempts.held(), 0);
  EXPECT_EQ(attempts.indexed(), 0U);
}

TEST_F(AttemptsTest, LinesAreOfOneFunctionAndTheOldestIsFirst) {
  Attempt& first = Waiting(7);
  Waiting(3);
  Attempt& other = Waiting(1, "g");
  EXPECT_EQ(attempts.waiting().begin()->second, &first) << "by arrival, not by offset";
  EXPECT_EQ(attempts.WaitingFor(VersionOf(first.function())).size(), 2U);
  EXPECT_EQ(attempts.WaitingFor(VersionOf(other.function())).begin()->second, &other);
}

TEST_F(AttemptsTest, PhasesChangeAsTheTableSays) {
  Attempt& attempt = Running(0);
  EXPECT_DEATH(attempts.Wait(attempt), "");
  EXPECT_DEATH(attempts.Promise(attempt, 1, 2, StartPath::kPool), "");
  attempts.Publish(attempt, ResultOf("out"));
  EXPECT_DEATH(attempts.Run(attempt, 1, 1, StartPath::kContainer), "");
  EXPECT_DEATH(attempts.Drop(Accept(MakeExec(1))), "") << "what has arrived waits or runs";
  EXPECT_DEATH(Accept(MakeExec(0)), "") << "it is held already";
}

TEST_F(AttemptsTest, WhatEndsIsToldAndRememberedOnce) {
  Attempt& attempt = Running(0);
  const link::AttemptRef ref = attempt.exec().ref;
  const AttemptKey key = attempt.key();
  attempts.Fail(key, "lost");
  EXPECT_EQ(attempts.Find(key), nullptr);
  ASSERT_EQ(Dones().size(), 1U);
  EXPECT_EQ(Dones()[0].outcome, link::Outcome::kInfrastructure);
  EXPECT_NE(attempts.FindEnd(ref), nullptr);
  attempts.Fail(key, "lost");
  EXPECT_EQ(Dones().size(), 1U);
}

TEST_F(AttemptsTest, WhatIsRefusedOrDroppedLeavesNoEnd) {
  Attempt& refused = Waiting(0);
  Attempt& dropped = Running(1);
  attempts.Refuse(refused, link::NackReason::kNoCapacity);
  attempts.Drop(dropped);
  EXPECT_EQ(attempts.held(), 0);
  EXPECT_EQ(attempts.indexed(), 0U);
  EXPECT_EQ(attempts.ends(), 0U);
  EXPECT_TRUE(Dones().empty());
}

TEST_F(AttemptsTest, WhatPublishesGoesOnWhenItsMachineFails) {
  Attempt& attempt = Running(0);
  attempts.Publish(attempt, ResultOf("out"));
  attempts.Fail(attempt.key(), "lost");
  EXPECT_EQ(attempts.held(), 1);
  attempts.Published({LastPublish()->token, true, ""});
  EXPECT_EQ(Dones().at(0).outcome, link::Outcome::kPublished);
}

TEST_F(AttemptsTest, AResultThatItsTopicRefusesIsUndeliverableAndIsTriedAgain) {
  Attempt& attempt = Running(0);
  attempts.Publish(attempt, ResultOf("out"));
  attempts.Published({LastPublish()->token, false, "no such topic"});
  const auto second = LastPublish();
  EXPECT_EQ(second->record->topic, context.settings().undeliverable_topic);
  effects.clear();
  attempts.Published({second->token, false, "down"});
  EXPECT_FALSE(LastPublish()) << "not at once";
  EXPECT_EQ(attempts.indexed(), 1U) << "it waits for its next try";
  attempts.PublishAgain();
  EXPECT_FALSE(LastPublish());
  Pass(kPublishRetryMs);
  attempts.PublishAgain();
  ASSERT_TRUE(LastPublish());
  attempts.Published({second->token, true, ""});
  EXPECT_EQ(attempts.held(), 1) << "that was an older try";
  attempts.Published({LastPublish()->token, true, ""});
  EXPECT_EQ(attempts.held(), 0);
}

TEST_F(AttemptsTest, WhatNoTopicTakesEndsUnderTheEpochThatIsInForce) {
  attempts.Publish(Running(0), ResultOf("out"));
  const auto refuse = [&] { attempts.Published({LastPublish()->token, false, "too large", false, true}); };
  refuse();
  refuse();
  refuse();
  ASSERT_EQ(attempts.Adopt(partition, 0, 7).running.size(), 1U);
  refuse();
  EXPECT_EQ(attempts.held(), 0);
  ASSERT_EQ(Dones().size(), 1U);
  EXPECT_EQ(Dones()[0].ref.epoch, 7);
  EXPECT_EQ(Dones()[0].error_type, "result_too_large");
}

TEST_F(AttemptsTest, WhatIsDroppedWhileItsRecordTravelsIsNotAnswered) {
  Attempt& attempt = Running(0);
  attempts.Publish(attempt, ResultOf("out"));
  const auto token = LastPublish()->token;
  attempts.Drop(attempt);
  attempts.Published({token, true, ""});
  EXPECT_TRUE(Dones().empty());
  EXPECT_EQ(attempts.indexed(), 0U);
}

TEST_F(AttemptsTest, NothingIsPublishedForADispatcherWhoseLeaseIsOver) {
  Attempt& attempt = Running(0);
  attempts.Publish(attempt, ResultOf("out"));
  const auto token = LastPublish()->token;
  Attempt& later = Running(1);
  Pass(context.settings().orphan_grace_ms + 1);
  effects.clear();
  attempts.Publish(later, ResultOf("out"));
  attempts.Published({token, false, "purged", true});
  EXPECT_FALSE(LastPublish());
  EXPECT_EQ(attempts.held(), 0);
  ASSERT_EQ(Dones().size(), 2U);
  EXPECT_EQ(Dones()[0].error_type, "orphaned");
}

TEST_F(AttemptsTest, ResultsThatWaitForTheirTopicLendTheirCredit) {
  attempts.Publish(Running(0), ResultOf("out"));
  attempts.LendCredit();
  EXPECT_EQ(attempts.Credit(), 4) << "it may be written at any moment";
  Pass(kSlowPublishMs + 1);
  attempts.LendCredit();
  EXPECT_EQ(attempts.Credit(), 5);
  attempts.Published({LastPublish()->token, true, ""});
  attempts.LendCredit();
  EXPECT_EQ(attempts.Credit(), 4);
}

TEST_F(AttemptsTest, OnlyWhatWaitsExpires) {
  for (std::int64_t offset = 0; offset < 2; ++offset) {
    link::Exec exec = MakeExec(offset);
    exec.expires_ms = context.now().wall_us / kMicrosPerMilli + 100;
    attempts.Wait(Accept(exec));
  }
  attempts.Run(*attempts.Find(KeyOf(MakeExec(0).ref)), 1, 1, StartPath::kContainer);
  Pass(99);
  attempts.ExpireWaiting();
  EXPECT_TRUE(Dones().empty());
  Pass(1);
  attempts.ExpireWaiting();
  ASSERT_EQ(Dones().size(), 1U);
  EXPECT_EQ(Dones()[0].outcome, link::Outcome::kExpired);
  EXPECT_EQ(Dones()[0].ref.offset, 1);
  EXPECT_EQ(attempts.held(), 1);
}

TEST_F(AttemptsTest, ANewOwnerGetsWhatIsOfItsGeneration) {
  Running(0);
  link::Exec foreign = MakeExec(1);
  foreign.ref.generation = 9;
  Attempt& other = Accept(foreign);
  attempts.Wait(other);
  const auto holdings = attempts.Adopt(partition, 0, 7);
  ASSERT_EQ(holdings.running.size(), 1U);
  EXPECT_EQ(holdings.running[0].ref.epoch, 7);
  EXPECT_EQ(attempts.Find(KeyOf(MakeExec(0).ref))->exec().ref.epoch, 7);
  EXPECT_EQ(holdings.foreign, std::vector{&other});
  EXPECT_EQ(other.exec().ref.epoch, 1);
  EXPECT_TRUE(attempts.Adopt(PartitionId{"t", 1}, 0, 7).running.empty());
}

TEST_F(AttemptsTest, AnEndIsOwedUntilItIsAcknowledged) {
  attempts.Fail(Running(0).key(), "lost");
  attempts.Fail(Running(1).key(), "lost");
  link::Fence fence{partition, 2, 0, 0};
  EXPECT_EQ(attempts.OwedEnds(fence).size(), 2U);
  attempts.Acknowledge({partition, 0, 2, 1});
  EXPECT_EQ(attempts.OwedEnds(fence).size(), 1U);
  fence.committed_offset = 2;
  EXPECT_TRUE(attempts.OwedEnds(fence).empty());
}

}  // namespace
}  // namespace hearth::executor
