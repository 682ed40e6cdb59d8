// Stories about batches whose dispatcher dies, loses its partition, or comes back.
#include "tests/unit/dispatcher/core_batch_stories.h"

namespace hearth::dispatcher {
namespace {

TEST_F(BatchStory, TheNextOwnerGoesOnWhereTheLastOneWas) {
  OwnHome();
  Submit(Stored(InOrder(500), 500));
  for (int i = 0; i < 100; ++i) End();
  WaitFor(300);
  End();  // its page is not written
  LoseHome();
  TakeOver();
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
  EXPECT_EQ(State().counts[ItemStatus::kOk], 500);
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
  EXPECT_TRUE(owed_.empty());
}

TEST_F(BatchStory, NothingIsAcknowledgedBeforeItsPageIsDurable) {
  OwnHome();
  pages_work_ = false;
  Submit(Counted(10));
  while (!placed_.empty()) End();
  WaitFor(1000);
  EXPECT_EQ(owed_.size(), 10U);
  EXPECT_NE(Phase(), BatchPhase::kEnded);
  pages_work_ = true;
  WaitFor(1000);
  EXPECT_TRUE(owed_.empty());
  EXPECT_EQ(Phase(), BatchPhase::kEnded);
}

// A former owner writes a page and acknowledges what it says as long as executors obey it.
TEST_F(BatchStory, PagesAreReadWhenNoExecutorObeysAFormerOwnerAnyMore) {
  OwnHome();
  pages_work_ = false;
  Submit(Counted(10));
  while (!placed_.empty()) End();
  WaitFor(1000);
  ASSERT_FALSE(writing_.empty());
  const std::vector<WritePage> late = writing_;
  LoseHome();
  pages_work_ = true;
  reports_work_ = false;
  TakeOver();
  WaitFor(100);
  for (const WritePage& page : late) pages_[page.key] = page.value;
  owed_.clear();
  AnswerFences();
  RunAll();
  EXPECT_EQ(State().counts[ItemStatus::kOk], 10);
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
}

// Its report is late, and so is what it says of what the pages do not.
TEST_F(BatchStory, WhatAnExecutorTellsBeforePagesAreReadIsJudgedByThem) {
  OwnHome();
  BatchSpec spec = Stored(InOrder(40), 40);
  spec.concurrency = 8;
  Submit(spec);
  for (int i = 0; i < 4; ++i) End();
  WaitFor(300);
  pages_work_ = false;
  for (int i = 0; i < 4; ++i) End();  // no page says so
  LoseHome();
  pages_work_ = true;
  TakeOver();
  RunAll();
  EXPECT_EQ(State().counts[ItemStatus::kOk], 40);
  EXPECT_TRUE(owed_.empty());
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
}

TEST_F(BatchStory, AnExecutorThatComesWhilePagesAreReadIsAskedBeforeTheyCount) {
  OwnHome();
  Submit(Counted(10));
  for (int i = 0; i < 5; ++i) End();
  WaitFor(300);
  LoseHome();
  Start();
  Connect("e1", 64);
  pages_wait_ = true;
  OwnHome();
  ASSERT_TRUE(asks_for_pages_.has_value());
  reports_work_ = false;
  Connect("e2", 64);
  PagesAreRead();
  Settle();
  EXPECT_TRUE(starts_.size() == 10U && placed_.size() == 5U) << "what it may have ended was begun again";
  EXPECT_FALSE(asks_for_pages_.has_value());
  AnswerFences();
  PassAlive(100);
  Settle();
  EXPECT_TRUE(asks_for_pages_.has_value()) << "they are not read again";
  pages_wait_ = false;
  RunAll();
  EXPECT_EQ(State().counts[ItemStatus::kOk], 10);
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
}

TEST_F(BatchStory, WithItsExecutorGoneTooItemsRunAgainAndCountOnce) {
  OwnHome();
  pages_work_ = false;
  Submit(Counted(10));
  while (!placed_.empty()) End();
  LoseHome();
  owed_.clear();
  pages_work_ = true;
  Start();
  Connect("e1", 64, "second");
  OwnHome();
  RunAll();
  EXPECT_EQ(State().counts[ItemStatus::kOk], 10);
}

TEST_F(BatchStory, ItemsInAnotherOrderAreFoundAgainAfterATakeOver) {
  OwnHome();
  std::vector<std::int64_t> mixed = InOrder(60);
  std::ranges::reverse(mixed);
  BatchSpec spec = Stored(mixed, 60);
  spec.concurrency = 4;
  Submit(spec);
  for (int i = 0; i < 20; ++i) End();
  WaitFor(300);
  LoseHome();
  TakeOver();
  RunAll();
  EXPECT_EQ(State().counts[ItemStatus::kOk], 60);
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
}

TEST_F(BatchStory, EpochsOfPagesRiseWhenTheOffsetsAreSetBack) {
  OwnHome();
  BatchSpec spec = Counted(10);
  spec.concurrency = 1;
  Submit(spec);
  for (int owners = 0; owners < 3; ++owners) {
    End();
    WaitFor(300);
    LoseHome();
    if (owners == 2) committed_ = {};
    TakeOver();
    std::int64_t before = 0;
    for (const auto& [key, value] : pages_) before = std::max(before, key.epoch);
    End();
    WaitFor(300);
    for (const auto& [key, value] : pages_) EXPECT_GE(key.epoch, before);
    EXPECT_EQ(State().counts[ItemStatus::kOk], 2 * (owners + 1));
  }
}

TEST_F(BatchStory, ABatchThatHasEndedStaysSo) {
  OwnHome();
  Submit(Counted(5));
  RunAll();
  const std::string frozen = EncodeBatchState(State());
  LoseHome();
  TakeOver();
  WaitFor(500);
  EXPECT_EQ(EncodeBatchState(State()), frozen);
  EXPECT_EQ(starts_.size(), 5U);
}

TEST_F(BatchStory, AStateThatAFormerOwnerWritesAfterOursIsReplaced) {
  OwnHome();
  Submit(Counted(10));
  LoseHome();
  const BatchState late = states_[Ref()];
  TakeOver();
  RunAll();
  const BatchState ended = State();
  ASSERT_EQ(ended.phase, BatchPhase::kEnded);
  ASSERT_LT(late.epoch, ended.epoch);
  states_[Ref()] = late;
  WaitFor(2 * kFirstLookMs);
  EXPECT_EQ(Phase(), BatchPhase::kEnded);
  EXPECT_EQ(State().counts, ended.counts);
  EXPECT_EQ(State().times.ended_ms, ended.times.ended_ms);
  const std::size_t written = state_texts_[Ref()].size();
  WaitFor(10 * kFirstLookMs);
  EXPECT_EQ(state_texts_[Ref()].size(), written) << "what stands there is ours, and is written again";
}

TEST_F(BatchStory, ARedriveIsTakenUpByTheNextOwner) {
  OwnHome();
  Deploy("ada", "sum", 1);
  Submit(Counted(8));
  RunAll([](auto) { return Status::kError; });
  LoseHome();
  Start();
  Deploy("ada", "sum", 1);
  Connect("e1", 64);
  OwnHome();
  Wish(WantRedrive{1});
  End();
  WaitFor(300);
  LoseHome();
  TakeOver();
  RunAll();
  EXPECT_EQ(State().generation, 1);
  EXPECT_EQ(State().counts[ItemStatus::kOk], 8);
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
}

}  // namespace
}  // namespace hearth::dispatcher
