// Stories about owning partitions: epochs, adoption, commits, back-pressure, order, draining.
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

using Kind = Trace::Kind;
using link::Outcome;

class Partitions : public CoreStory {};

TEST_F(Partitions, NothingRunsBeforeTheEpochIsCommitted) {
  Connect("e1");
  Assign("std/0", 40, EncodeLedgerMap({.epoch = 6, .incomplete = {}}).text);
  const auto claim = LastCommit("std/0");
  ASSERT_TRUE(claim.has_value());
  EXPECT_FALSE(claim->sync) << "a claim does not block the loop";
  EXPECT_EQ(claim->offset, 40);
  EXPECT_EQ(claim->epoch, 7);
  EXPECT_EQ(DecodeLedgerMap(claim->metadata)->epoch, 7);
  Receive("std/0", 40);
  PassAlive(3000);
  ExpectNoExec();

  CommitEnds("std/0");
  ASSERT_EQ(Fences("std/0").size(), 1U);
  EXPECT_EQ(Fences("std/0")[0].second.epoch, 7);
  EXPECT_EQ(Fences("std/0")[0].second.committed_offset, 40);
  ExpectNoExec();
  Report("e1", "std/0", 7, {});
  const auto exec = ExpectExec("e1", 40);
  EXPECT_EQ(exec.ref, InForce({Part("std/0"), 40, 7, 1}));
  EXPECT_EQ(exec.payload, "1+1");
  EXPECT_EQ(exec.reply_to, "hearth.reply");
  EXPECT_EQ(exec.function->handler, "main.handle");
  EXPECT_EQ(exec.try_number, 1);
  EXPECT_FALSE(exec.final_try);
  EXPECT_EQ(exec.times.enqueued_us, StampMs(exec.ref.partition, 40) * kMicrosPerMilli);
  EXPECT_EQ(exec.times.placed_us - exec.times.received_us, 3000 * kMicrosPerMilli) << "it waited for the claim";
}

TEST_F(Partitions, RecordsOfSeveralPartitionsAreTakenInOneStep) {
  Connect("e1");
  Own("std/0");
  Own("std/1");
  Forget();
  Step(RecordsReceived{{Write("std/0", 0), Write("std/1", 0), Write("std/9", 0), Write("std/0", 1)}});
  std::vector<std::pair<std::int32_t, std::int64_t>> placed;
  for (const auto& [executor, exec] : Execs()) placed.emplace_back(exec.ref.partition.partition, exec.ref.offset);
  std::ranges::sort(placed);
  EXPECT_EQ(placed, (std::vector<std::pair<std::int32_t, std::int64_t>>{{0, 0}, {0, 1}, {1, 0}}));
  EXPECT_EQ(Numbers().received, 3);
}

TEST_F(Partitions, AFailedClaimIsTriedAgainAndNothingRunsBefore) {
  Connect("e1");
  Assign("std/0");
  Receive("std/0", 0);
  CommitEnds("std/0", false);
  Forget();
  PassAlive(50);
  EXPECT_FALSE(LastCommit("std/0").has_value());
  PassAlive(100);
  ASSERT_TRUE(LastCommit("std/0").has_value());
  ExpectNoExec();
  CommitEnds("std/0");
  Report("e1", "std/0", 1, {});
  ExpectExec("e1", 0);
}

TEST_F(Partitions, APartitionThatComesBackIsReadAgainWhateverTheClientRemembersOfIt) {
  Connect("e1", 0);
  Own("std/0");
  Revoke("std/0");
  Forget();
  Own("std/0");
  EXPECT_EQ(All<ResumeIntake>().size(), 1U);
}

TEST_F(Partitions, ControlRecordsAtTheEndAreCommittedPast) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Done("e1", ExpectExec("e1", 0).ref);
  Step(CaughtUp{Part("std/0"), 4});
  const auto commit = CommitNow("std/0");
  ASSERT_TRUE(commit.has_value());
  EXPECT_EQ(commit->offset, 4);
}

TEST_F(Partitions, WhatRetentionRemovedIsPassedAndTheMapAboveItStands) {
  Connect("e1");
  for (std::int64_t offset = 14; offset < 20; ++offset) Write("std/0", offset);
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 10, .incomplete = {{0, 5}, {8, 2}}}).text);
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {});
  Forget();
  ReadAllBack();
  std::vector<std::int64_t> ran;
  for (const auto& [executor, exec] : Execs()) ran.push_back(exec.ref.offset);
  EXPECT_EQ(ran, (std::vector<std::int64_t>{14, 18, 19}));
  EXPECT_EQ(CommitNow("std/0")->offset, 14);
}

TEST_F(Partitions, WhatRetentionRemovedBeforeAnybodyReadItIsPassedAndTold) {
  Connect("e1");
  Own("std/0");
  Step(LogStartMoved{Part("std/0"), 14});
  EXPECT_TRUE(Traced(Kind::kFenced, "retention_passed_unread_records"));
  EXPECT_EQ(CommitNow("std/0")->offset, 14);
}

TEST_F(Partitions, KeysBelongToTheirUser) {
  Connect("e1");
  Deploy("bob", "sum");
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.order_key = "1"});
  Receive("std/0", 1, {.user = "bob", .order_key = "1"});
  EXPECT_EQ(Execs().size(), 2U);
}

TEST_F(Partitions, TheNewOwnerAdoptsWhatRunsAndTakesWhatIsFinished) {
  Connect("e1");
  Connect("e2");
  Assign("std/0", 10,
         EncodeLedgerMap({.epoch = 1, .span = 5, .incomplete = {{0, 1}, {2, 3}}}).text);  // 11 was complete
  CommitEnds("std/0");
  Receive("std/0", 10);
  Receive("std/0", 11);
  Receive("std/0", 12);
  const link::AttemptRef ten{Part("std/0"), 10, 2, 1};
  const link::AttemptRef twelve{Part("std/0"), 12, 1, 2};
  const link::AttemptRef thirteen{Part("std/0"), 13, 2, 1};
  const link::AttemptRef fourteen{Part("std/0"), 14, 1, 1};
  Report("e1", "std/0", 2, {ten, thirteen}, {MakeDone(twelve, Outcome::kPublished, Status::kOk)});
  Report("e2", "std/0", 2, {}, {MakeDone(fourteen, Outcome::kPublished, Status::kOk)});
  Receive("std/0", 13);
  Receive("std/0", 14);
  ExpectNoExec();
  EXPECT_EQ(Numbers().placed, 2);
  EXPECT_EQ(Numbers().in_flight, 2);
  EXPECT_EQ(Numbers().complete, 3);
  EXPECT_TRUE(Traced(Kind::kAdopted));
  Done("e1", ten);
  Done("e1", thirteen);
  EXPECT_EQ(CommitNow("std/0")->offset, 15);
}

TEST_F(Partitions, AnAdoptedTryThatFailedIsRetriedNotForgotten) {
  Connect("e1");
  Assign("std/0");
  CommitEnds("std/0");
  const link::AttemptRef ref{Part("std/0"), 0, 0, 1};
  Report("e1", "std/0", 1, {}, {MakeDone(ref, Outcome::kFailed, Status::kError)});
  Receive("std/0", 0);
  ExpectNoExec();
  PassAlive(1400);
  const auto exec = ExpectExec("e1", 0);
  EXPECT_EQ(exec.ref.attempt, 2);
  EXPECT_EQ(exec.try_number, 2);
}

TEST_F(Partitions, CommitsTheLowestIncompleteWithAMapOfWhatIsAbove) {
  Connect("e1");
  Own("std/0");
  std::map<std::int64_t, link::AttemptRef> refs;
  for (std::int64_t offset : {0, 1, 2, 5}) {
    Forget();
    Receive("std/0", offset);
    refs[offset] = ExpectExec("e1", offset).ref;
  }
  Done("e1", refs[1]);
  Done("e1", refs[2]);
  auto commit = CommitNow("std/0");
  ASSERT_TRUE(commit.has_value());
  EXPECT_FALSE(commit->sync);
  EXPECT_EQ(commit->offset, 0);
  const auto map = DecodeLedgerMap(commit->metadata);
  EXPECT_FALSE(map->Claims(0));
  EXPECT_TRUE(map->Claims(1));
  EXPECT_TRUE(map->Claims(4)) << "offsets that do not exist are complete";
  EXPECT_FALSE(map->Claims(5));
  CommitEnds("std/0");
  Done("e1", refs[0]);
  commit = CommitNow("std/0");
  EXPECT_EQ(commit->offset, 5);
  CommitEnds("std/0");
  EXPECT_FALSE(CommitNow("std/0").has_value()) << "nothing changed";
}

TEST_F(Partitions, AFailedCommitIsMadeAgain) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Done("e1", ExpectExec("e1", 0).ref);
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0", false);
  EXPECT_EQ(CommitNow("std/0")->offset, 1);
}

TEST_F(Partitions, ARebalanceReplaysNothingThatIsComplete) {
  Connect("e1");
  Own("std/0");
  for (std::int64_t offset = 0; offset < 6; ++offset) Receive("std/0", offset);
  const auto execs = Execs();
  ASSERT_EQ(execs.size(), 6U);
  Done("e1", execs[1].second.ref);
  Done("e1", execs[4].second.ref);
  Forget();
  Revoke("std/0");
  const auto last = LastCommit("std/0");
  ASSERT_TRUE(last.has_value());
  EXPECT_TRUE(last->sync);
  EXPECT_EQ(Numbers().in_flight, 0);
  EXPECT_EQ(Numbers().placed, 0);
  EXPECT_EQ(Numbers().partitions, 0);
  kafka_["std/0"] = {last->offset, last->metadata};

  Own("std/0");
  Forget();
  EXPECT_EQ(IntakePosition(last->offset, last->metadata), 6) << "what is new is read at once";
  ReadAllBack();
  std::vector<std::int64_t> ran;
  for (const auto& [id, exec] : Execs()) {
    ran.push_back(exec.ref.offset);
    EXPECT_EQ(exec.ref.epoch, 2);
  }
  EXPECT_EQ(ran, (std::vector<std::int64_t>{0, 2, 3, 5}));
}

TEST_F(Partitions, ACompletionOfAnOldEpochCountsForNothing) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto old = ExpectExec("e1", 0).ref;
  Revoke("std/0", true);
  EXPECT_FALSE(LastCommit("std/0").has_value()) << "lost: it is somebody else's";
  Own("std/0");
  Receive("std/0", 0);
  Forget();
  Done("e1", old);
  EXPECT_EQ(Numbers().complete, 0);
  EXPECT_TRUE(Sent<link::DoneAck>().empty()) << "it stays owed to whoever asks under the epoch in force";
}

TEST_F(Partitions, AnUnreadableMapClaimsNothing) {
  Connect("e1");
  Assign("std/0", 7, "!! not a map !!");
  EXPECT_EQ(LastCommit("std/0")->offset, 7);
  EXPECT_EQ(LastCommit("std/0")->epoch, 1);
}

TEST_F(Partitions, AnExecutorThatKnowsAHigherEpochStopsUsUntilACommitProvesUs) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Nack("e1", ref, link::NackReason::kFenced);
  Receive("std/0", 1);
  PassAlive(50);
  ExpectNoExec();
  ASSERT_EQ(LastCommit("std/0")->epoch, 2);
  CommitEnds("std/0");
  Forget();
  Report("e1", "std/0", 2, {});
  Forget();
  link::FenceReport refusal{Part("std/0"), 2, {}, {}};  // another one holds the very same epoch
  refusal.refused = true;
  Step(ExecutorMessage{ExecutorId("e1"), refusal});
  ASSERT_EQ(LastCommit("std/0")->epoch, 3) << "no report, and not an empty one either";
  CommitEnds("std/0");
  Forget();
  refusal.epoch = 9;  // still lower than what it obeys
  Step(ExecutorMessage{ExecutorId("e1"), refusal});
  ASSERT_EQ(LastCommit("std/0")->epoch, 10);
  CommitEnds("std/0");
  ExpectNoExec();
  Report("e1", "std/0", 10, {});
  ASSERT_EQ(Execs().size(), 2U);
  EXPECT_EQ(Execs()[0].second.ref.epoch, 10);
}

TEST_F(Partitions, OneInFlightForEachOrderKey) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.order_key = "k"});
  const auto first = ExpectExec("e1", 0).ref;
  Receive("std/0", 1, {.order_key = "k"});
  Receive("std/0", 2, {.order_key = "k"});
  ExpectNoExec();
  Receive("std/0", 3, {.order_key = "other"});
  ExpectExec("e1", 3);
  Done("e1", first, Outcome::kFailed, Status::kError);
  PassAlive(500);
  ExpectNoExec();  // the key waits for the retry in place
  PassAlive(1000);
  const auto second_try = ExpectExec("e1", 0).ref;
  Done("e1", second_try);
  Done("e1", ExpectExec("e1", 1).ref);
  ExpectExec("e1", 2);
}

TEST_F(Partitions, OrderedKeysWaitForExecutorsThatDoNotAnswer) {
  Connect("e1");
  Connect("e2");
  Assign("std/0");
  CommitEnds("std/0");
  Report("e1", "std/0", 1, {});
  Receive("std/0", 0, {.order_key = "k"});
  Receive("std/0", 1);
  Forget();
  PassAlive(10'000, {"e1", "e2"});
  ExpectNoExec();
  Report("e2", "std/0", 1, {});
  EXPECT_EQ(Execs().size(), 2U);
}

TEST_F(Partitions, AFloodPausesNothingAndIsParked) {
  Connect("e1", 0);
  Own("std/0");
  Forget();
  for (std::int64_t offset = 0; offset < 24'002; ++offset) {
    Receive("std/0", offset, {.user = "u" + std::to_string(offset % 5)});
  }
  EXPECT_TRUE(All<PauseIntake>().empty());
  EXPECT_EQ(Numbers().in_flight, 24'002);
  EXPECT_EQ(Numbers().parked, 24'002 - 5 * room_.lane_records);
  EXPECT_EQ(Numbers().backlog_lanes, 5);
}

TEST_F(Partitions, ASlowHeadDoesNotStopIntakeWhileLittleIsOpen) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  ExpectExec("e1", 0);
  for (std::int64_t offset = 1; offset < 30'000; ++offset) {
    Receive("std/0", offset);
    Done("e1", ExpectExec("e1", offset).ref);
    ASSERT_TRUE(All<PauseIntake>().empty()) << offset;
  }
  EXPECT_EQ(Numbers().window_max, 30'000);
  EXPECT_EQ(Numbers().incomplete_ranges_max, 1);
}

TEST_F(Partitions, WhatALaneHasNoRoomForIsParkedAndReadBackWhenHalfOfItIsGone) {
  room_.lane_records = 10;
  Start();
  Connect("e1");
  Own("std/0");
  Forget();
  std::map<std::int64_t, link::AttemptRef> refs;
  for (std::int64_t offset = 0; offset < 12; ++offset) Receive("std/0", offset);
  for (const auto& [executor, exec] : Execs()) refs[exec.ref.offset] = exec.ref;
  EXPECT_TRUE(All<PauseIntake>().empty());
  EXPECT_EQ(Numbers().parked, 2);
  for (std::int64_t offset = 0; offset < 4; ++offset) Done("e1", refs.at(offset));
  EXPECT_FALSE(reading_.has_value()) << "six are held";
  Done("e1", refs.at(4));
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 10);
  ReadBackEnds();
  EXPECT_EQ(Numbers().parked, 0);
  EXPECT_FALSE(reading_.has_value());
}

TEST_F(Partitions, BytesAreParkedToo) {
  Connect("e1", 64);
  Own("std/0");
  Deploy("ada", "slow", 3, 1, 1);
  Forget();
  const Ask big{.function = "slow", .payload = std::string(1 << 20, 'x')};
  for (std::int64_t offset = 0; offset < 20; ++offset) Receive("std/0", offset, big);
  EXPECT_TRUE(All<PauseIntake>().empty());
  EXPECT_EQ(Numbers().parked, 13) << "seven and their overhead are below 8 MiB";
  EXPECT_LE(Numbers().held_bytes, room_.lane_bytes);
  for (std::int64_t offset = 0; offset < 20; ++offset) {
    Done("e1", ExpectExec("e1", offset).ref);
    ReadAllBack(3);
    EXPECT_LE(Numbers().held_bytes, room_.lane_bytes);
  }
  EXPECT_EQ(Numbers().in_flight, 0);
}

TEST_F(Partitions, BeyondWhatAPartitionMayHoldEachLaneHasItsShare) {
  room_.bytes = 8LL << 20;
  Start();
  Connect("e1", 0);
  Own("std/0");
  Forget();
  for (std::int64_t offset = 0; offset < 64; ++offset) {
    Receive("std/0", offset, {.user = "u" + std::to_string(offset % 16), .payload = std::string(1 << 20, 'x')});
  }
  EXPECT_TRUE(All<PauseIntake>().empty());
  EXPECT_EQ(Numbers().in_flight - Numbers().parked, 16) << "one of each at least";
  EXPECT_EQ(Numbers().backlog_lanes, 16);
}

TEST_F(Partitions, DrainingPlacesNothingNewAndWaitsForWhatRuns) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Step(DrainRequested{});
  EXPECT_EQ(All<PauseIntake>().size(), 1U);
  Receive("std/0", 1);
  PassAlive(1000);
  ExpectNoExec();
  EXPECT_TRUE(All<DrainFinished>().empty());
  Done("e1", ref);
  ASSERT_EQ(All<DrainFinished>().size(), 1U);
  EXPECT_EQ(LastCommit("std/0")->offset, 1);
  EXPECT_TRUE(LastCommit("std/0")->sync);
  Forget();
  PassAlive(1000);
  EXPECT_TRUE(All<DrainFinished>().empty()) << "once";
}

TEST_F(Partitions, DrainingEndsAtItsDeadline) {
  Connect("e1");
  Own("std/0");
  Receive("std/0", 0);
  Step(DrainRequested{});
  PassAlive(29'000);
  EXPECT_TRUE(All<DrainFinished>().empty());
  PassAlive(1'100);
  EXPECT_EQ(All<DrainFinished>().size(), 1U);
}

TEST_F(Partitions, TheSameEventsGiveTheSameEffects) {
  const auto live = [this] {
    now_ = Time{1'000'000'000, 1'700'000'000'000'000};
    kafka_.clear();
    Start();
    Connect("e1", 3);
    Connect("e2", 3);
    Own("std/0");
    Own("rt/1");
    for (std::int64_t offset = 0; offset < 40; ++offset) {
      const std::string user = "user" + std::to_string(offset % 7);
      Deploy(user, "f");
      Receive(offset % 3 == 0 ? "rt/1" : "std/0", offset, {.user = user, .function = "f"});
      const auto execs = Execs();
      Done(execs.back().first.str(), execs.back().second.ref, offset % 2 == 0 ? Outcome::kPublished : Outcome::kFailed,
           offset % 2 == 0 ? Status::kOk : Status::kError);
      Pass(37);
    }
    std::string story;
    for (const Trace& trace : All<Trace>()) {
      story += std::to_string(static_cast<int>(trace.kind)) + " " + trace.partition.topic + " " +
               std::to_string(trace.offset) + " " + trace.executor.str() + " " + trace.constraint + "\n";
    }
    return story;
  };
  const std::string once = live();
  EXPECT_EQ(once, live());
  EXPECT_GT(once.size(), 1000U);
}

}  // namespace
}  // namespace hearth::dispatcher
