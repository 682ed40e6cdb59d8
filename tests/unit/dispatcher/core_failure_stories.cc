// Stories about refusals, retries, poison, and records that cannot be delivered.
#include "dispatcher/core/admission.h"
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

using Kind = Trace::Kind;
using link::Outcome;

class Failures : public CoreStory {
 protected:
  Failures() {
    Connect("e1", 100);
    Own("std/0");
    Forget();
  }
  Status StatusOf(const Produce& produce) const {
    return ParseStatus(HeaderOf(*produce.record, "hearth-status")).value_or(Status::kOk);
  }
};

TEST_F(Failures, AnUnknownFunctionIsAwaitedForAMomentThenRejected) {
  Receive("std/0", 0, {.function = "nope", .reply_to = "mine.replies"});
  EXPECT_TRUE(All<Produce>().empty());
  PassAlive(1100);
  const auto reply = ExpectProduce("mine.replies");
  EXPECT_EQ(StatusOf(reply), Status::kRejected);
  EXPECT_EQ(HeaderOf(*reply.record, "hearth-id"), "i0");
  EXPECT_EQ(Numbers().complete, 0) << "not before the reply is durable";
  Delivered(reply);
  EXPECT_EQ(Numbers().complete, 1);
}

TEST_F(Failures, AFunctionThatWasJustDeployedRuns) {
  Receive("std/0", 0, {.function = "fresh"});
  PassAlive(100);
  Forget();
  Deploy("ada", "fresh");
  ExpectExec("e1", 0);
}

// Whoever may write to the topic of the class rt would go before everybody else.
TEST_F(Failures, TheClassRtIsGrantedNotTaken) {
  realtime_users_ = {"eve", "ops-*"};
  Start();
  Connect("e1");
  Own("rt/0");
  Own("std/0");
  Forget();
  Receive("rt/0", 0);
  const auto reply = ExpectProduce("hearth.reply");
  EXPECT_EQ(StatusOf(reply), Status::kRejected);
  EXPECT_EQ(HeaderOf(*reply.record, "hearth-error-type"), "class_not_granted");
  ExpectNoExec();
  Receive("std/0", 0);
  ExpectExec("e1", 0);
  Receive("rt/0", 1, {.reply_to = "somebody.elses"});
  EXPECT_EQ(HeaderOf(*ExpectProduce("hearth.dead-letter").record, "hearth-dead-reason"), "reply_topic_not_allowed")
      << "and no refusal goes where no reply may";
}

TEST(Admission, TheClassRtBelongsToWhomItIsGranted) {
  const std::vector<std::string> granted = {"eve", "ops-*"};
  EXPECT_FALSE(AdmitClass(RequestClass::kRealtime, UserId("eve"), granted));
  EXPECT_FALSE(AdmitClass(RequestClass::kRealtime, UserId("ops-1"), granted));
  EXPECT_FALSE(AdmitClass(RequestClass::kStandard, UserId("ada"), granted));
  EXPECT_FALSE(AdmitClass(RequestClass::kBatch, UserId("ada"), granted));
  EXPECT_EQ(AdmitClass(RequestClass::kRealtime, UserId("ada"), granted)->reason, "class_not_granted");
  EXPECT_TRUE(AdmitClass(RequestClass::kRealtime, UserId("ada"), {})) << "by default nobody has it";
}

TEST_F(Failures, ARemovedFunctionRunsNoMore) {
  Step(FunctionRemoved{UserId("ada"), FunctionName("sum")});
  Receive("std/0", 0);
  PassAlive(1100);
  ExpectNoExec();
  EXPECT_EQ(StatusOf(ExpectProduce("hearth.reply")), Status::kRejected);
}

TEST_F(Failures, AReplyTopicThatIsNotAllowedGoesToTheDeadLetters) {
  Receive("std/0", 0, {.reply_to = "somebody.elses"});
  const auto dead = ExpectProduce("hearth.dead-letter");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-reason"), "reply_topic_not_allowed");
  EXPECT_EQ(dead.record->value, "1+1");
  EXPECT_EQ(dead.record->key, "key");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-fn"), "sum");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-offset"), "0");
}

TEST_F(Failures, WhatIsNoRequestKeepsItsBytes) {
  ReceiveRaw("std/0", 0, std::string("\x00\xff junk", 7), {{"some", "header"}});
  const auto dead = ExpectProduce("hearth.dead-letter");
  EXPECT_EQ(dead.record->value, std::string("\x00\xff junk", 7));
  EXPECT_EQ(HeaderOf(*dead.record, "some"), "header");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-reason"), "unreadable");
  Delivered(dead);
  EXPECT_EQ(CommitNow("std/0")->offset, 1);
}

TEST_F(Failures, WhoCouldBeReadIsToldWhatIsWrongAndTheRecordIsKept) {
  const std::vector<Header> good = {
      {"hearth-fn", "sum"}, {"hearth-user", "ada"}, {"hearth-id", "mine"}, {"hearth-reply-to", "mine.replies"}};
  std::vector<Header> late = good;
  late.push_back({"hearth-timeout-ms", "3600000"});
  ReceiveRaw("std/0", 0, "1+1", late);
  const auto reply = ExpectProduce("mine.replies");
  EXPECT_EQ(StatusOf(reply), Status::kRejected);
  EXPECT_EQ(HeaderOf(*reply.record, "hearth-id"), "mine");
  EXPECT_NE(HeaderOf(*reply.record, "hearth-error-message").find("hearth-timeout-ms"), std::string::npos);
  Delivered(reply);
  const auto dead = ExpectProduce("hearth.dead-letter");
  EXPECT_EQ(dead.record->value, "1+1");
  EXPECT_EQ(Numbers().complete, 0);
  Delivered(dead);
  EXPECT_EQ(Numbers().complete, 1);
}

// Nothing that was not checked becomes a key, a line in the log or a command to Redis.
TEST_F(Failures, NamesThatAreNoneGoNowhere) {
  const std::string giant(1'000'000, 'a');
  std::int64_t offset = 0;
  for (const char* name : {"hearth-id", "hearth-user", "hearth-fn", "hearth-reply-to"}) {
    std::vector<Header> headers = {{"hearth-fn", "sum"}, {"hearth-user", "eve"}};
    headers.push_back({name, giant});
    ReceiveRaw("std/0", offset++, "1+1", headers);
    for (const LoadUser& load : All<LoadUser>()) EXPECT_LE(load.user.value.size(), kMaxIdentifierBytes);
    for (const Trace& trace : All<Trace>()) {
      EXPECT_LE(trace.id.value.size() + trace.user.value.size() + trace.function.value.size(), 3 * kMaxIdentifierBytes);
    }
    for (const Produce& produce : All<Produce>()) {
      EXPECT_NE(produce.record->topic, giant);
      EXPECT_LE(produce.record->key.size(), kMaxIdentifierBytes);
    }
    Forget();
  }
}

TEST_F(Failures, ADeadLetterIsTheRecordAsItWas) {
  auto record = std::make_shared<Record>();
  record->partition = Part("std/0");
  record->null_key = true;
  record->null_value = true;
  record->headers = {{"empty", ""}, {"null", "", true}, {"twice", "1"}, {"twice", "2"}};
  Step(RecordsReceived{{record}});
  auto dead = ExpectProduce("hearth.dead-letter");
  EXPECT_TRUE(dead.record->null_key);
  EXPECT_TRUE(dead.record->null_value);
  for (std::size_t i = 0; i < record->headers.size(); ++i) EXPECT_EQ(dead.record->headers[i], record->headers[i]);
}

TEST_F(Failures, ADeadLetterThatIsSentAgainDoesNotGrow) {
  ReceiveRaw("std/0", 0, "junk", {{"x", "y"}, {"hearth-undeliverable-error", "z"}, {"hearth-cut-value-bytes", "9"}});
  auto dead = ExpectProduce("hearth.dead-letter");
  const std::size_t headers = dead.record->headers.size();
  for (std::int64_t offset = 1; offset < 10; ++offset) {
    ReceiveRaw("std/0", offset, dead.record->value, dead.record->headers);
    dead = ExpectProduce("hearth.dead-letter");
    EXPECT_EQ(dead.record->headers.size(), headers);
  }
}

TEST_F(Failures, ATimeThatIsNotKnownIsAbsent) {
  auto record = std::make_shared<Record>();
  record->partition = Part("std/0");
  record->timestamp_ms = -1;
  record->headers = {{"hearth-fn", "nope"}, {"hearth-user", "ada"}};
  Step(RecordsReceived{{record}});
  PassAlive(1100);
  EXPECT_EQ(HeaderOf(*ExpectProduce("hearth.reply").record, "hearth-enqueued-us"), "");
}

TEST_F(Failures, AFailedDeadLetterIsNeverComplete) {
  ReceiveRaw("std/0", 0, "junk");
  auto dead = ExpectProduce("hearth.dead-letter");
  for (int round = 0; round < 5; ++round) {
    Delivered(dead, false);
    EXPECT_EQ(Numbers().complete, 0);
    EXPECT_TRUE(All<Produce>().empty()) << "backs off first";
    PassAlive(100 << round);
    dead = ExpectProduce("hearth.dead-letter");
  }
  Delivered(dead);
  EXPECT_EQ(Numbers().complete, 1);
  EXPECT_EQ(Numbers().output_failures, 5);
}

TEST_F(Failures, ADeadLetterThatIsTooLargeIsCutAndNeverStopsItsPartition) {
  ReceiveRaw("std/0", 0, std::string(1U << 22, 'a'));
  auto dead = ExpectProduce("hearth.dead-letter");
  Step(ProduceFinished{dead.token, false, "too large", true});
  const auto cut = ExpectProduce("hearth.dead-letter");
  EXPECT_LT(cut.record->value.size(), 1024U);
  EXPECT_EQ(HeaderOf(*cut.record, "hearth-cut-value-bytes"), std::to_string(1U << 22));
  EXPECT_EQ(HeaderOf(*cut.record, "hearth-cut-value-sha256").size(), 64U);
  Step(ProduceFinished{cut.token, false, "too large", true});
  EXPECT_EQ(Numbers().complete, 1) << "and even where nothing of it can be written";
}

TEST_F(Failures, AReplyThatIsRefusedGoesToUndeliverable) {
  Receive("std/0", 0, {.function = "nope"});
  PassAlive(1100);
  const auto reply = ExpectProduce("hearth.reply");
  Delivered(reply, false);
  const auto kept = ExpectProduce("hearth.undeliverable");
  EXPECT_EQ(HeaderOf(*kept.record, "hearth-undeliverable-topic"), "hearth.reply");
  EXPECT_EQ(HeaderOf(*kept.record, "hearth-id"), "i0");
  EXPECT_EQ(Numbers().complete, 0);
  Delivered(kept);
  EXPECT_EQ(Numbers().complete, 1);
}

TEST_F(Failures, ExpiredOnArrival) {
  Receive("std/0", 0, {.expires_in_ms = -1});
  EXPECT_EQ(StatusOf(ExpectProduce("hearth.reply")), Status::kExpired);
}

TEST_F(Failures, ExpiredWhileWaiting) {
  Deploy("ada", "one", 3, 1, 1);
  Receive("std/0", 0, {.function = "one"});
  ExpectExec("e1", 0);
  Receive("std/0", 1, {.function = "one", .expires_in_ms = 500});
  PassAlive(400);
  EXPECT_TRUE(All<Produce>().empty());
  PassAlive(200);
  EXPECT_EQ(StatusOf(ExpectProduce("hearth.reply")), Status::kExpired);
  EXPECT_EQ(Numbers().queued, 0);
}

TEST_F(Failures, ExpiredAtTheExecutor) {
  Receive("std/0", 0, {.expires_in_ms = 500});
  Done("e1", ExpectExec("e1", 0).ref, Outcome::kExpired, Status::kExpired);
  EXPECT_EQ(StatusOf(ExpectProduce("hearth.reply")), Status::kExpired);
}

// It did start, and whoever hears of its failure later than this comes to the same result.
TEST_F(Failures, WhatHasFailedAndExpiresBeforeItsNextTryEndsAsItFailed) {
  Deploy("ada", "one", 3, 1, 1);
  for (const bool at_executor : {true, false}) {
    const std::int64_t offset = at_executor ? 0 : 10;
    Receive("std/0", offset, {.function = "one", .expires_in_ms = 4000});
    Done("e1", ExpectExec("e1", offset).ref, Outcome::kFailed, Status::kTimeout);
    if (at_executor) {
      PassAlive(1500);
      Done("e1", ExpectExec("e1", offset).ref, Outcome::kExpired, Status::kExpired);
    } else {
      Receive("std/0", offset + 1, {.function = "one"});
      ExpectExec("e1", offset + 1);
      PassAlive(4100);
    }
    const auto dead = ExpectProduce("hearth.dead-letter");
    EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-error"), "no such number");
    Delivered(dead);
    const auto reply = ExpectProduce("hearth.reply");
    EXPECT_EQ(StatusOf(reply), Status::kTimeout);
    EXPECT_EQ(HeaderOf(*reply.record, "hearth-error-type"), "ValueError");
    Delivered(reply);
    Forget();
  }
}

TEST_F(Failures, TriesBackOffAndTheLastOneIsFinal) {
  Receive("std/0", 0);
  auto exec = ExpectExec("e1", 0);
  Done("e1", exec.ref, Outcome::kFailed, Status::kError);
  EXPECT_TRUE(Traced(Kind::kRetried, "ValueError"));
  PassAlive(700);
  ExpectNoExec();
  PassAlive(600);
  exec = ExpectExec("e1", 0);
  EXPECT_EQ(exec.try_number, 2);
  EXPECT_FALSE(exec.final_try);
  Done("e1", exec.ref, Outcome::kFailed, Status::kTimeout);
  PassAlive(2900);
  ExpectNoExec();
  PassAlive(2200);
  exec = ExpectExec("e1", 0);
  EXPECT_EQ(exec.try_number, 3);
  EXPECT_TRUE(exec.final_try);
  Done("e1", exec.ref, Outcome::kPublished, Status::kError);
  EXPECT_EQ(Numbers().complete, 0) << "the dead-letter copy comes first";
  const auto dead = ExpectProduce("hearth.dead-letter");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-attempts"), "3");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-error"), "no such number");
  Delivered(dead);
  EXPECT_EQ(Numbers().complete, 1);
}

TEST_F(Failures, ATryWhoseNextWouldComeTooLateIsFinal) {
  Receive("std/0", 0, {.expires_in_ms = 600});
  EXPECT_TRUE(ExpectExec("e1", 0).final_try);
}

TEST_F(Failures, ThreeDeadMachinesArePoison) {
  Receive("std/0", 0);
  for (int death = 1; death <= 2; ++death) {
    const auto exec = ExpectExec("e1", 0);
    EXPECT_EQ(exec.try_number, 1) << "counted apart";
    EXPECT_EQ(exec.ref.attempt, death);
    Done("e1", exec.ref, Outcome::kInfrastructure, Status::kError);
  }
  Done("e1", ExpectExec("e1", 0).ref, Outcome::kInfrastructure, Status::kError);
  const auto dead = ExpectProduce("hearth.dead-letter");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-reason"), "poison");
  Delivered(dead);
  EXPECT_EQ(Numbers().complete, 0);
  const auto reply = ExpectProduce("hearth.reply");
  EXPECT_EQ(StatusOf(reply), Status::kPoison);
  Delivered(reply);
  EXPECT_EQ(Numbers().complete, 1);
}

TEST_F(Failures, AtMostOnceWhereOneAttemptIsAllAFunctionMayHave) {
  Deploy("ada", "once", 1);
  Receive("std/0", 0, {.function = "once"});
  const auto exec = ExpectExec("e1", 0);
  EXPECT_TRUE(exec.final_try);
  Done("e1", exec.ref, Outcome::kInfrastructure, Status::kError);
  ExpectNoExec();
  const auto dead = ExpectProduce("hearth.dead-letter");
  EXPECT_EQ(HeaderOf(*dead.record, "hearth-dead-reason"), "attempt_lost");

  Receive("std/0", 1, {.function = "once"});
  const auto never_leased = MakeDone(ExpectExec("e1", 1).ref, Outcome::kInfrastructure, Status::kError, false);
  Step(ExecutorMessage{ExecutorId("e1"), never_leased});
  ExpectExec("e1", 1);  // it had no container yet, so it cannot have begun
}

TEST_F(Failures, ADoneThatComesTwiceCountsOnce) {
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Done("e1", ref);
  Done("e1", ref);
  EXPECT_EQ(Numbers().complete, 1);
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  EXPECT_EQ(Sent<link::DoneAck>().size(), 2U);
}

TEST_F(Failures, ARecordThatComesTwiceCountsOnce) {
  Receive("std/0", 0);
  Receive("std/0", 0);
  EXPECT_EQ(Execs().size(), 1U);
  EXPECT_EQ(Numbers().received, 1);
}

TEST_F(Failures, AnswersForARevokedPartitionDoNoHarm) {
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  ReceiveRaw("std/0", 1, "junk");
  const auto dead = ExpectProduce("hearth.dead-letter");
  Revoke("std/0");
  Done("e1", ref);
  Delivered(dead);
  Receive("std/0", 2);
  EXPECT_EQ(Numbers().received, 0);
}

TEST_F(Failures, AUserStaysWithinItsConcurrency) {
  for (std::int64_t offset = 0; offset < 80; ++offset) Receive("std/0", offset);
  Deploy("bob", "sum");
  EXPECT_EQ(Execs().size(), 64U);
  Receive("std/0", 80, {.user = "bob"});
  EXPECT_EQ(Execs().size(), 65U) << "its neighbour is not held up";
}

// An owner that has read the record anew knows of no earlier try.
TEST_F(Failures, WhatTheMachineryLostOfALaterTryTellsThatThoseBeforeHaveFailed) {
  Receive("std/0", 0);
  auto lost = MakeDone(ExpectExec("e1", 0).ref, Outcome::kInfrastructure, Status::kError);
  lost.try_number = 3;
  Step(ExecutorMessage{ExecutorId("e1"), lost});
  const auto exec = ExpectExec("e1", 0);
  EXPECT_EQ(exec.try_number, 3);
  EXPECT_TRUE(exec.final_try);
}

}  // namespace
}  // namespace hearth::dispatcher
