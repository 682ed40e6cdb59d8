// Stories of a partition that comes from another owner: who is waited for, what is adopted, dropped and owed.
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

using Kind = Trace::Kind;
using link::Outcome;

class Takeovers : public CoreStory {};

TEST_F(Takeovers, WhatAFormerOwnerMayHavePlacedWaitsForReportsOrLeases) {
  Connect("e1");
  Connect("e2", 0);
  Assign("std/0", 0, "", 1);
  CommitEnds("std/0");
  Report("e1", "std/0", 1, {});
  Forget();
  Receive("std/0", 0);
  ExpectNoExec();
  Receive("std/0", 1);
  ExpectExec("e1", 1);  // it came after the assignment
  PassAlive(24'000, {"e1"});
  ExpectNoExec();
  PassAlive(2'000, {"e1"});
  ExpectExec("e1", 0);
}

TEST_F(Takeovers, AnExecutorThatHasDrainedAndIsGoneIsWaitedForByNobody) {
  for (const bool leaves : {false, true}) {
    Start();
    Connect("e1");
    Connect("e2");
    link::Heartbeat last;
    last.draining = true;
    last.leaves = leaves;
    Step(ExecutorMessage{ExecutorId("e2"), last});
    Disconnect("e2");
    EXPECT_EQ(All<DirectoryDropExecutor>().size(), leaves ? 1U : 0U);
    Assign("std/0", 0, "", 1);
    CommitEnds("std/0");
    Report("e1", "std/0", 1, {});
    Forget();
    Receive("std/0", 0);
    if (leaves) {
      ExpectExec("e1", 0);
    } else {
      ExpectNoExec();
    }
  }
}

TEST_F(Takeovers, ANewRecordThatMustNotRunTwiceWaitsTooForAFormerOwnerMayNotKnowOfUs) {
  Connect("e1");
  Connect("e2", 0);
  Deploy("ada", "once", 1);
  Assign("std/0", 0, "", 0);
  CommitEnds("std/0");
  Report("e1", "std/0", 1, {});
  Forget();
  Receive("std/0", 0, {.function = "once"});
  ExpectNoExec();
  Receive("std/0", 1);
  ExpectExec("e1", 1);
  Forget();
  Report("e2", "std/0", 1, {});
  EXPECT_EQ(Execs().size(), 1U);
}

TEST_F(Takeovers, AnExecutorThatIsKnownAndNotHeardOfYetIsWaitedFor) {
  Step(ExecutorsExpected{{"unix:/e1", "unix:/e2", "unix:/e3"}});
  Assign("std/0");
  CommitEnds("std/0");
  Receive("std/0", 0);
  Connect("e1");
  Step(ExecutorAbsent{"unix:/e1"});  // as a hello from there says it
  Report("e1", "std/0", 1, {});
  ExpectNoExec();
  Step(ExecutorAbsent{"unix:/e3"});
  ExpectNoExec();
  link::ExecutorHello hello;
  hello.executor = ExecutorId("e2");
  hello.incarnation = "first";
  Step(ExecutorConnected{hello, "unix:/e2"});
  ExpectNoExec();
  Report("e2", "std/0", 1, {{Part("std/0"), 0, 0, 1}});
  ExpectNoExec();
  EXPECT_EQ(Numbers().placed, 1) << "adopted";
}

TEST_F(Takeovers, ARunningAttemptThatIsReportedTooLateIsDropped) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Connect("e2");
  Report("e2", "std/0", 1, {ref});  // the same record, somewhere else
  ASSERT_EQ(Sent<link::Drop>().size(), 1U);
  EXPECT_EQ(Sent<link::Drop>()[0].first, ExecutorId("e2"));
  Done("e1", ref);
  Forget();
  Connect("e3");
  Report("e3", "std/0", 1, {ref});  // it is complete
  ASSERT_EQ(Sent<link::Drop>().size(), 1U);
  EXPECT_EQ(Sent<link::Drop>()[0].first, ExecutorId("e3"));
}

TEST_F(Takeovers, AnExecutorThatConnectsHoldsNothingUpThatIsSettled) {
  Connect("e1");
  Own("std/0");
  Forget();
  Connect("e2");  // and does not answer its fence
  Receive("std/0", 0, {.order_key = "k"});
  EXPECT_EQ(Execs().size(), 1U);
}

TEST_F(Takeovers, AReportOfSeveralFramesIsOneReport) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Receive("std/0", 1);
  const auto execs = Execs();
  ASSERT_EQ(execs.size(), 2U);
  Disconnect("e1");
  Connect("e1");
  Forget();
  link::FenceReport first{Part("std/0"), 1, {}, {}};
  first.more = true;
  first.running = {{execs[0].second.ref, execs[0].second.id, execs[0].second.times.enqueued_us}};
  Step(ExecutorMessage{ExecutorId("e1"), first});
  ExpectNoExec();  // the second one may still come
  link::FenceReport last{Part("std/0"), 1, {}, {}};
  last.running = {{execs[1].second.ref, execs[1].second.id, execs[1].second.times.enqueued_us}};
  Step(ExecutorMessage{ExecutorId("e1"), last});
  ExpectNoExec();
  EXPECT_EQ(Numbers().placed, 2);
}

TEST_F(Takeovers, AnEndIsAcknowledgedWhenTheCommitThatCoversItIsDurable) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Done("e1", ref);
  EXPECT_TRUE(Sent<link::DoneAck>().empty());
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0", false);
  EXPECT_TRUE(Sent<link::DoneAck>().empty()) << "that commit is not durable";
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  ASSERT_EQ(Sent<link::DoneAck>().size(), 1U);
  EXPECT_EQ(Sent<link::DoneAck>()[0].second.ref, ref);
}

TEST_F(Takeovers, ATryThatFailedStaysOwedUntilItsInvocationIsComplete) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Receive("std/0", 1);
  const auto execs = Execs();
  Done("e1", execs[0].second.ref, Outcome::kFailed, Status::kError);
  Done("e1", execs[1].second.ref);
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  ASSERT_EQ(Sent<link::DoneAck>().size(), 1U);
  EXPECT_EQ(Sent<link::DoneAck>()[0].second.ref.offset, 1);
}

TEST_F(Takeovers, OffsetsThatWereSetBackRunAgainWhateverExecutorsHaveFinished) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  const auto done = MakeDone(ref, Outcome::kPublished, Status::kOk);
  Revoke("std/0");
  kafka_["std/0"] = {0, ""};  // somebody has set them by hand: no metadata
  Assign("std/0");
  CommitEnds("std/0");
  ASSERT_FALSE(Fences("std/0").empty());
  const auto fence = Fences("std/0").back().second;
  EXPECT_NE(fence.generation, ref.generation);
  EXPECT_GT(fence.epoch, ref.epoch) << "it does not fall";
  Report("e1", "std/0", fence.epoch, {}, {done});
  Forget();
  Receive("std/0", 0);
  EXPECT_EQ(Execs().size(), 1U);
}

TEST_F(Takeovers, AnEndOfAnotherRecordAtTheSameOffsetCountsForNothing) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  auto done = MakeDone(ExpectExec("e1", 0).ref, Outcome::kPublished, Status::kOk);
  done.id = InvocationId("another");
  Step(ExecutorMessage{ExecutorId("e1"), done});
  EXPECT_EQ(Numbers().complete, 0);
  done.id = InvocationId("i0");
  ++done.times.enqueued_us;
  Step(ExecutorMessage{ExecutorId("e1"), done});
  EXPECT_EQ(Numbers().complete, 0);
}

TEST_F(Takeovers, ATopicMadeAnewIsKnownByTheRecordWhereTheCommitLeftOff) {
  Connect("e1");
  Assign("std/0", 5,
         EncodeLedgerMap({.epoch = 3, .generation = 9, .witness_ms = 1234, .span = 3, .incomplete = {{0, 1}}}).text);
  CommitEnds("std/0");
  Report("e1", "std/0", 4, {});
  Receive("std/0", 5);
  CommitEnds("std/0");
  Report("e1", "std/0", 5, {});
  Forget();
  Receive("std/0", 6);
  EXPECT_EQ(Execs().size(), 1U) << "the map claimed a record of the topic that is gone";
  EXPECT_NE(Execs()[0].second.ref.generation, 9);
}

}  // namespace
}  // namespace hearth::dispatcher
