// Stories of records that do not fit in memory: parked and read back, left unread by a former owner, lost, expired.
#include "tests/unit/dispatcher/core_backlog_stories.h"

namespace hearth::dispatcher {
namespace {

using Kind = Trace::Kind;
using link::Outcome;

class ReadBacks : public BacklogStory {};

// ---- parked, and read back

TEST_F(ReadBacks, AFloodIsParkedAndDrainedInTheOrderOfOffsets) {
  HoldAtMost(4);
  Connect("e1", 2);
  for (const std::int64_t chunk : {1, 2, 3, 100}) {  // records that are read at once
    const std::string partition = "std/" + std::to_string(chunk);
    Own(partition);
    Forget();
    ReceiveAll(partition, 0, 100);
    EXPECT_EQ(Numbers().parked, 96);
    EXPECT_FALSE(reading_.has_value());
    ASSERT_EQ(DrainAll(chunk), FromTo(0, 100)) << chunk;
    EXPECT_EQ(Numbers().parked, 0);
    EXPECT_EQ(Numbers().backlog_lanes, 0);
    EXPECT_EQ(CommitNow(partition)->offset, 100);
  }
  EXPECT_EQ(Numbers().complete, 400);
}

TEST_F(ReadBacks, AnotherUsersRecordsBehindAFloodArePlacedAtOnce) {
  HoldAtMost(4);
  Connect("e1", 8);
  Deploy("bob", "sum");
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 100);
  EXPECT_EQ(Placed(), FromTo(0, 4));
  Receive("std/0", 100, {.user = "bob"});
  EXPECT_EQ(Placed(), Offsets{100});
  Deploy("ada", "other");
  Receive("std/0", 101, {.function = "other"});
  EXPECT_EQ(Placed(), Offsets{101}) << "another function of the same user is another lane";
  EXPECT_FALSE(reading_.has_value());
}

TEST_F(ReadBacks, OneChunkServesEveryLaneWhoseRecordsLieInIt) {
  HoldAtMost(2);
  Connect("e1", 8);
  Deploy("bob", "sum");
  Own("std/0");
  Forget();
  for (std::int64_t offset = 0; offset < 12; ++offset)
    Receive("std/0", offset, {.user = offset % 2 == 0 ? "ada" : "bob"});
  EXPECT_EQ(Placed(), FromTo(0, 4));
  End(1);
  End(3);
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 5);
  End(0);
  End(2);
  ReadBackEnds();
  EXPECT_EQ(Placed(), (Offsets{5, 7})) << "ada's begin before the chunk";
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 4);
  ReadBackEnds();
  EXPECT_EQ(Placed(), (Offsets{4, 6}));
  EXPECT_FALSE(reading_.has_value()) << "nobody has room";
  End(4);
  End(5);
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 8);
  ReadBackEnds();
  Offsets placed = Placed();
  std::ranges::sort(placed);
  EXPECT_EQ(placed, (Offsets{8, 9})) << "both, of one chunk";
}

TEST_F(ReadBacks, UsersTakeTurnsWhateverLiesInTheirLanes) {
  HoldAtMost(2);
  Connect("e1", 0);
  for (const char* function : {"a", "b", "c"}) Deploy("ada", function);
  Deploy("bob", "sum");
  Own("std/0");
  std::int64_t offset = 0;
  std::map<std::int64_t, std::string> users;
  for (int i = 0; i < 4; ++i) {
    for (const char* function : {"a", "b", "c"}) Receive("std/0", offset++, {.function = function});
  }
  const std::int64_t bobs = offset;
  for (int i = 0; i < 4; ++i) Receive("std/0", offset++, {.user = "bob"});
  Forget();
  credit_["e1"] = 16;
  Beat("e1");
  for (const std::int64_t placed : Placed()) users[placed] = placed < bobs ? "ada" : "bob";
  ASSERT_EQ(users.size(), 8U) << "two of each lane";
  for (const auto& [placed, user] : users) End(placed);
  ASSERT_TRUE(reading_.has_value());
  EXPECT_LT(reading_->offset, bobs) << "ada was the first to want something";
  ReadBackEnds(1);
  EXPECT_LT(reading_->offset, bobs) << "and again, before bob did";
  ReadBackEnds(1);
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, bobs + 2) << "bob's turn, although more of ada's lanes wait";
}

TEST_F(ReadBacks, ALaneWithOneKeyKeepsItsOrderWhileOtherLanesGoOn) {
  HoldAtMost(2);
  Connect("e1", 8);
  Deploy("bob", "sum");
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 8, {.order_key = "k"});
  EXPECT_EQ(Placed(), Offsets{0});
  Receive("std/0", 8, {.user = "bob"});
  EXPECT_EQ(Placed(), Offsets{8});
  Receive("std/0", 9);
  EXPECT_EQ(Placed(), Offsets{9}) << "what has no key is another lane";
  for (std::int64_t offset = 0; offset < 8; ++offset) {
    End(offset);
    ReadAllBack(2);
    EXPECT_EQ(Placed(), offset < 7 ? Offsets{offset + 1} : Offsets{});
  }
  EXPECT_EQ(Numbers().in_flight, 2);
}

TEST_F(ReadBacks, OfTwoKeysInOneLaneNeitherOvertakesItself) {
  HoldAtMost(3);
  Connect("e1", 8);
  Own("std/0");
  Forget();
  std::map<std::string, std::int64_t> last;
  std::map<std::int64_t, std::string> keys;
  const auto receive_to = [&](std::int64_t end) {
    for (auto offset = static_cast<std::int64_t>(keys.size()); offset < end; ++offset) {
      keys[offset] = offset % 3 == 0 ? "k" : "l";
      Receive("std/0", offset, {.order_key = keys[offset]});
    }
  };
  receive_to(20);
  EXPECT_EQ(Placed(), FromTo(0, 2));
  End(0);
  receive_to(40);
  EXPECT_EQ(Placed(), Offsets{}) << "there is room, and what is parked goes first";
  for (const std::int64_t offset : DrainAll(4)) {
    EXPECT_GE(offset, last[keys[offset]]);
    last[keys[offset]] = offset;
  }
}

TEST_F(ReadBacks, ARetryThatIsDueDoesNotQueueBehindItsOwnBacklog) {
  HoldAtMost(2);
  Connect("e1", 8);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 50);
  EXPECT_EQ(Placed(), FromTo(0, 2));
  Done("e1", refs_.at(0), Outcome::kFailed, Status::kError);
  PassAlive(1400);
  EXPECT_EQ(Placed(), Offsets{0});
  EXPECT_EQ(refs_.at(0).attempt, 2);
}

TEST_F(ReadBacks, APartitionThatIsGivenUpWhileItIsReadTakesNothingOfTheAnswer) {
  HoldAtMost(2);
  Connect("e1", 8);
  Own("std/0");
  Own("std/1");
  Forget();
  ReceiveAll("std/0", 0, 8);
  ReceiveAll("std/1", 0, 8, {.user = "bob"});
  Deploy("bob", "sum");
  for (const auto& [executor, exec] : Execs()) {
    if (exec.ref.partition == Part("std/0")) refs_[exec.ref.offset] = exec.ref;
  }
  End(0);
  ASSERT_TRUE(reading_.has_value());
  Revoke("std/0", true);
  const std::int64_t in_flight = Numbers().in_flight;
  ReadBackEnds();
  EXPECT_EQ(Numbers().in_flight, in_flight);
  EXPECT_EQ(Numbers().partitions, 1);
  Forget();
  for (const std::int64_t offset : {0, 1}) {
    Done("e1", InForce({Part("std/1"), offset, 1, 1}));
  }
  ASSERT_TRUE(reading_.has_value()) << "the reader is free again";
  EXPECT_EQ(reading_->partition, Part("std/1"));
}

TEST_F(ReadBacks, WhatCannotBeDecodedIsParkedAndAnsweredLikeAnythingElse) {
  HoldAtMost(1);
  Connect("e1", 8);
  Own("std/0");
  Forget();
  ReceiveRaw("std/0", 0, "junk");
  ReceiveRaw("std/0", 1, "junk");
  ReceiveRaw("std/0", 2, "junk");
  EXPECT_EQ(Numbers().parked, 2);
  for (int i = 0; i < 3; ++i) {
    const auto produces = All<Produce>();
    ASSERT_EQ(produces.size(), 1U);
    Forget();
    Delivered(produces[0]);
    if (reading_) ReadBackEnds(1);
  }
  EXPECT_EQ(Numbers().in_flight, 0);
  EXPECT_EQ(Numbers().complete, 3);
}

// ---- what a former owner has left

TEST_F(ReadBacks, WhatIsUnreadAtATakeOverIsReadBackBesideWhatIsNew) {
  Connect("e1", 8);
  WriteAll("std/0", 10, 20);
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 10, .incomplete = {{0, 1}, {4, 2}}}).text,
         20);
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 10);
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {});
  Forget();
  Receive("std/0", 20);
  EXPECT_EQ(Placed(), Offsets{20}) << "nobody waits for the backlog";
  ReadBackEnds(3);
  EXPECT_EQ(Placed(), Offsets{10});
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 14) << "what is complete is not read";
  ReadBackEnds();
  EXPECT_EQ(Placed(), (Offsets{14, 15}));
  EXPECT_FALSE(reading_.has_value());
  EXPECT_EQ(Numbers().received, 4) << "what was complete is not received again";
}

TEST_F(ReadBacks, KeyedRecordsWaitForWhatIsUnread) {
  Connect("e1", 8);
  WriteAll("std/0", 10, 12, {.order_key = "k"});
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 2, .incomplete = {{0, 2}}}).text, 12);
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {});
  Forget();
  Receive("std/0", 12, {.order_key = "k"});
  Receive("std/0", 13, {.order_key = "another"});
  Receive("std/0", 14);
  EXPECT_EQ(Placed(), Offsets{14});
  EXPECT_EQ(Numbers().parked, 2) << "whatever room there is";
  ReadBackEnds(1);
  EXPECT_EQ(Placed(), Offsets{}) << "its lane has something parked: it goes there, before it";
  EXPECT_EQ(Numbers().parked, 3);
  ReadBackEnds(1);  // nothing is unread any more
  ReadAllBack();
  Offsets placed = Placed();
  std::ranges::sort(placed);
  EXPECT_EQ(placed, (Offsets{10, 13}));
  End(10);
  EXPECT_EQ(Placed(), Offsets{11});
  End(11);
  EXPECT_EQ(Placed(), Offsets{12});
}

TEST_F(ReadBacks, KeyedRecordsGoOnWhenNothingIsUnreadAnyMore) {
  Connect("e1", 8);
  WriteAll("std/0", 10, 12);
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 2, .incomplete = {{0, 2}}}).text, 12);
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {});
  Forget();
  Receive("std/0", 12, {.order_key = "k"});
  ReadBackEnds(2);  // nothing of their lane lies in it
  EXPECT_EQ(Placed(), (Offsets{10, 11}));
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 12);
  ReadBackEnds();
  EXPECT_EQ(Placed(), Offsets{12});
}

TEST_F(ReadBacks, KeyedRecordsThatAreUnreadAndHaveNoRoomKeepTheirPlaceBeforeWhatIsNew) {
  HoldAtMost(2);
  Connect("e1", 8);
  WriteAll("std/0", 10, 20, {.order_key = "k"});
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 10, .incomplete = {{0, 10}}}).text, 20);
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {});
  Forget();
  ReceiveAll("std/0", 20, 25, {.order_key = "k"});
  EXPECT_EQ(DrainAll(3), FromTo(10, 25));
}

TEST_F(ReadBacks, WhatIsUnreadAndNotInTheLogAnyMoreIsPassedByTheCommit) {
  Connect("e1", 8);
  WriteAll("std/0", 10, 20);
  RemoveFromLog("std/0", 10, 14);
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 10, .incomplete = {{0, 6}}}).text, 20);
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {});
  Forget();
  ReadAllBack();
  EXPECT_EQ(Placed(), (Offsets{14, 15}));
  End(14);
  End(15);
  EXPECT_EQ(CommitNow("std/0")->offset, 20);
}

TEST_F(ReadBacks, ADispatcherThatDiesInTheMiddleOfAFloodRepeatsNothing) {
  HoldAtMost(4);
  Connect("e1", 4);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 40);
  Placed();
  for (const std::int64_t offset : {0, 2, 3}) End(offset);
  ReadBackEnds(6);
  const Offsets more = Placed();
  ASSERT_EQ(more, (Offsets{4, 5, 6}));
  End(5);
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {refs_.at(1), refs_.at(4), refs_.at(6)});
  Forget();
  ReadAllBack(5);
  EXPECT_EQ(Numbers().placed, 4) << "three are adopted";
  const Offsets fresh = Placed();
  EXPECT_EQ(fresh, Offsets{7}) << "of complete ones and of those that run nothing is placed";
  const std::int64_t epoch = refs_.at(7).epoch;
  for (const std::int64_t offset : {1, 4, 6}) refs_.at(offset).epoch = epoch;
  for (const std::int64_t offset : {1, 4, 6, 7}) End(offset);
  ReadAllBack(5);
  EXPECT_EQ(DrainAll(5), FromTo(8, 40));
  EXPECT_EQ(CommitNow("std/0")->offset, 40);
}

// ---- lost, failed, expired

TEST_F(ReadBacks, RecordsGoneFromTheLogAreLostAndCountedAndTheCommitPassesThem) {
  HoldAtMost(2);
  Connect("e1", 8);
  Deploy("ada", "other");
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 10);
  Receive("std/0", 10, {.function = "other"});
  EXPECT_EQ(Placed(), (Offsets{0, 1, 10}));
  RemoveFromLog("std/0", 0, 7);
  RemoveFromLog("std/0", 10, 11);
  End(0);
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  ReadBackEnds();
  EXPECT_EQ(Numbers().lost, 5);
  EXPECT_TRUE(Traced(Kind::kFenced, std::string(kParkedLost) + ": 5"));
  EXPECT_EQ(Numbers().in_flight, 5) << "what is held stays, although the log has it no more";
  EXPECT_EQ(Placed(), Offsets{7});
  const auto commit = CommitNow("std/0");
  ASSERT_TRUE(commit.has_value()) << "although nothing has ended";
  EXPECT_EQ(commit->offset, 1);
  const auto map = DecodeLedgerMap(commit->metadata);
  EXPECT_TRUE(map->Claims(1));
  EXPECT_TRUE(map->Claims(5));
  EXPECT_FALSE(map->Claims(6));
  CommitEnds("std/0");
  Forget();
  End(1);
  ReadAllBack();
  EXPECT_EQ(CommitNow("std/0")->offset, 7);
  EXPECT_EQ(Numbers().lost, 5) << "once";
}

TEST_F(ReadBacks, AKeyGoesOnBehindWhatIsLost) {
  HoldAtMost(2);
  Connect("e1", 8);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 10, {.order_key = "k"});
  EXPECT_EQ(Placed(), Offsets{0});
  RemoveFromLog("std/0", 0, 8);
  End(0);
  ReadAllBack();
  EXPECT_EQ(Placed(), Offsets{1});
  End(1);
  ReadAllBack();
  EXPECT_EQ(Placed(), Offsets{8});
  EXPECT_EQ(Numbers().lost, 6);
}

TEST_F(ReadBacks, AFailedReadIsTriedAgainLaterAndOnlyOfThatPartition) {
  HoldAtMost(2);
  Connect("e1", 8);
  Deploy("bob", "sum");
  Own("std/0");
  Own("std/1");
  Forget();
  ReceiveAll("std/0", 0, 8);
  ReceiveAll("std/1", 100, 108, {.user = "bob"});
  Placed();
  End(0);
  ASSERT_TRUE(reading_.has_value());
  ASSERT_EQ(reading_->partition, Part("std/0"));
  ReadBackFails();
  EXPECT_FALSE(reading_.has_value()) << "not at once";
  End(1);
  EXPECT_FALSE(reading_.has_value()) << "whatever happens meanwhile";
  End(100);
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->partition, Part("std/1"));
  ReadBackEnds();
  EXPECT_FALSE(Placed().empty());
  PassAlive(kReadRetryMs - 10);
  EXPECT_FALSE(reading_.has_value());
  Pass(10);
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->partition, Part("std/0"));
  EXPECT_EQ(reading_->offset, 2) << "from where it was to be read";
  ReadBackFails();
  PassAlive(kReadRetryMs);
  EXPECT_FALSE(reading_.has_value()) << "later each time";
  PassAlive(kReadRetryMs);
  ReadBackEnds();
  EXPECT_EQ(Placed(), (Offsets{2, 3}));
}

TEST_F(ReadBacks, AReadThatBringsNothingAndDoesNotGetOnIsAFailedOne) {
  HoldAtMost(2);
  Connect("e1", 8);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 8);
  Placed();
  End(0);
  ASSERT_TRUE(reading_.has_value());
  const std::int64_t offset = reading_->offset;
  reading_.reset();
  Step(ReadBackFinished{Part("std/0"), offset, offset, {}, ""});
  EXPECT_FALSE(reading_.has_value()) << "it does not ask again and again";
  PassAlive(kReadRetryMs);
  EXPECT_TRUE(reading_.has_value());
  EXPECT_EQ(Numbers().lost, 0);
}

TEST_F(ReadBacks, WhatIsUnreadIsTriedAgainTooWhereItCouldNotBeRead) {
  Connect("e1", 8);
  WriteAll("std/0", 10, 12);
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 2, .incomplete = {{0, 2}}}).text, 12);
  ReadBackFails();
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {});
  EXPECT_FALSE(reading_.has_value());
  Forget();
  PassAlive(kReadRetryMs);
  ReadBackEnds();
  EXPECT_EQ(Placed(), (Offsets{10, 11}));
}

TEST_F(ReadBacks, WhatExpiresWhileItIsParkedIsAnsweredWithinAMinute) {
  HoldAtMost(2);
  Connect("e1", 8);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 4);
  Receive("std/0", 4, {.expires_in_ms = 5'000});
  ReceiveAll("std/0", 5, 7);
  EXPECT_EQ(Placed(), FromTo(0, 2));
  PassAlive(4'000);
  EXPECT_FALSE(reading_.has_value());
  PassAlive(62'000);
  ASSERT_TRUE(reading_.has_value()) << "although its lane is full";
  EXPECT_EQ(reading_->offset, 4);
  Forget();
  ReadBackEnds();
  const auto reply = ExpectProduce("hearth.reply");
  EXPECT_EQ(HeaderOf(*reply.record, "hearth-id"), "i4");
  EXPECT_EQ(HeaderOf(*reply.record, "hearth-status"), "expired");
  Delivered(reply);
  EXPECT_EQ(Numbers().complete, 1);
  EXPECT_EQ(Numbers().parked, 4);
  EXPECT_FALSE(reading_.has_value()) << "the others have no room";
  EXPECT_EQ(DrainAll(), (Offsets{0, 1, 2, 3, 5, 6})) << "they keep their order";
}

TEST_F(ReadBacks, ARecordWhoseTryFailedAndWhichExpiresInItsTurnEndsAsItFailed) {
  Connect("e1", 8);
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.expires_in_ms = 5'000});
  EXPECT_EQ(Placed(), Offsets{0});
  Done("e1", refs_.at(0), Outcome::kFailed, Status::kError);
  credit_["e1"] = 0;
  PassAlive(6'000);  // the other try is due, and there is no place
  const auto produces = All<Produce>();
  ASSERT_EQ(produces.size(), 1U);
  EXPECT_EQ(produces[0].record->topic, "hearth.dead-letter");
  Forget();
  Delivered(produces[0]);
  const auto reply = ExpectProduce("hearth.reply");
  EXPECT_EQ(HeaderOf(*reply.record, "hearth-status"), "error") << "and not expired";
  Delivered(reply);
  EXPECT_EQ(Numbers().complete, 1);
}

// ---- attempts of what is parked

TEST_F(ReadBacks, AnAttemptReportedForAParkedOffsetIsAdoptedWhenItsRecordIsReadAndNeverStartedAnew) {
  HoldAtMost(2);
  Connect("e1", 8);
  Connect("e2", 8);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 8);
  ASSERT_EQ(Execs().size(), 2U);
  for (const auto& [executor, exec] : Execs()) refs_[exec.ref.offset] = exec.ref;
  Forget();
  const link::AttemptRef five{Part("std/0"), 5, 1, 1};
  Report("e2", "std/0", 1, {five});
  EXPECT_TRUE(Sent<link::Drop>().empty()) << "it is kept until the record is read";
  EXPECT_EQ(Numbers().parked, 6);
  const auto executor_of = [&](std::int64_t offset) {
    for (const auto& trace : All<Trace>()) {
      if (trace.kind == Kind::kAdopted && trace.offset == offset) return trace.executor.str();
    }
    return std::string("nobody");
  };
  for (const std::int64_t offset : {0, 1}) {
    Done("e1", refs_.at(offset));
    Done("e2", refs_.at(offset));
  }
  ReadAllBack();
  EXPECT_EQ(executor_of(5), "e2");
  for (const auto& [executor, exec] : Execs()) EXPECT_NE(exec.ref.offset, 5);
  Done("e2", InForce(five));
  for (const auto& [executor, exec] : Execs()) EXPECT_NE(exec.ref.offset, 5);
  EXPECT_EQ(Numbers().complete, 3);
}

TEST_F(ReadBacks, AnEndReportedForAParkedOffsetEndsItWhenItsRecordIsRead) {
  HoldAtMost(2);
  Connect("e1", 8);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, 8);
  EXPECT_EQ(Placed(), FromTo(0, 2));
  const link::AttemptRef five{Part("std/0"), 5, 1, 1};
  Report("e1", "std/0", 1, {refs_.at(0), refs_.at(1)}, {MakeDone(five, Outcome::kPublished, Status::kOk)});
  EXPECT_EQ(Numbers().complete, 0) << "its record may owe more than the result";
  End(0);
  ReadBackEnds();
  EXPECT_EQ(Numbers().complete, 2);
  EXPECT_EQ(DrainAll(), (Offsets{1, 2, 3, 4, 6, 7}));
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  EXPECT_EQ(std::ranges::count(Acknowledged(), 5), 1) << "it is owed until then";
}

TEST_F(ReadBacks, AnAttemptReportedForWhatIsUnreadIsAdoptedWhenItsRecordIsRead) {
  HoldAtMost(1);
  Connect("e1", 8);
  WriteAll("std/0", 10, 14);
  Assign("std/0", 10, EncodeLedgerMap({.epoch = 1, .generation = 7, .span = 4, .incomplete = {{0, 4}}}).text, 14);
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {{Part("std/0"), 10, 2, 1}, {Part("std/0"), 13, 2, 1}},
         {MakeDone({Part("std/0"), 12, 2, 1}, Outcome::kPublished, Status::kOk)});
  Forget();
  ReadAllBack();
  EXPECT_EQ(Numbers().placed, 2) << "whatever room there is";
  EXPECT_EQ(Numbers().complete, 1);
  EXPECT_EQ(Placed(), Offsets{});
  EXPECT_EQ(Numbers().parked, 1);
}

}  // namespace
}  // namespace hearth::dispatcher
