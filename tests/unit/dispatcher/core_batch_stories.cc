#include "tests/unit/dispatcher/core_batch_stories.h"

namespace hearth::dispatcher {
namespace {

TEST_F(BatchStory, ACountedBatchRunsToItsEnd) {
  OwnHome();
  Submit(Counted(300));
  ASSERT_GE(placed_.size(), 8U);
  EXPECT_EQ(placed_.front().second.payload, R"({"index":0})");
  EXPECT_EQ(placed_.front().second.reply_to, "hearth.batch.results");
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
  EXPECT_EQ(State().counts[ItemStatus::kOk], 300);
  ASSERT_TRUE(State().results.has_value());
  EXPECT_EQ(results_.size(), 300U);
  for (const auto& [item, statuses] : results_) EXPECT_EQ(statuses.size(), 1U) << item.second;
  EXPECT_TRUE(owed_.empty()) << "all is acknowledged";
  EXPECT_EQ(Numbers().in_flight, 0);
}

TEST_F(BatchStory, StoredItemsAreReadAWindowAtATime) {
  OwnHome();
  most_read_ = 700;
  Submit(Stored(InOrder(5000), 5000));
  EXPECT_LE(Numbers().in_flight, static_cast<std::int64_t>(kMaxItemsInBackOff));
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
  EXPECT_EQ(results_.size(), 5000U);
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
}

TEST_F(BatchStory, RecordsOfOthersAndItemsInAnotherOrderAreNoMatter) {
  OwnHome();
  const std::vector<std::int64_t> mixed = {2, 0, 1, 9, 4, 3, 8, 7, 5, 6};
  BatchSpec spec = Stored(mixed, 10);
  WriteItem(EncodeItem({Ref("other"), 0}, BatchItem{"x", "", "", "", 0}, "hearth.batch.items"));
  std::get<StoredItems>(spec.items).ranges[0].last += 1;
  Submit(spec);
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
  EXPECT_EQ(results_.size(), 10U);
}

TEST_F(BatchStory, WhatIsNotWhereTheSpecSaysIsGone) {
  OwnHome();
  BatchSpec spec = Stored(InOrder(3), 5);
  std::get<StoredItems>(spec.items).ranges[0].last += 2;
  Submit(spec);
  RunAll();
  WaitFor(70'000);
  EXPECT_EQ(State().outcome, BatchOutcome::kPartial);
  EXPECT_EQ(State().counts[ItemStatus::kGone], 2);
  EXPECT_EQ(State().counts[ItemStatus::kOk], 3);
}

TEST_F(BatchStory, APartitionThatDoesNotExistHasNoItems) {
  OwnHome();
  BatchSpec spec = Counted(4);
  spec.items = StoredItems{"", {{7, 0, 3}}};
  spec.digest = std::string(64, 'e');
  Submit(spec);
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kFailed);
  EXPECT_EQ(State().counts[ItemStatus::kGone], 4);
}

TEST_F(BatchStory, InlineItemsAreTheSpecs) {
  OwnHome();
  BatchSpec spec = Counted(2);
  spec.items = InlineItems{{R"({"a":1})", "7"}};
  Submit(spec);
  ASSERT_EQ(placed_.size(), 2U);
  EXPECT_EQ(placed_[1].second.payload, "7");
  EXPECT_EQ(placed_[1].second.content_type, "application/json");
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, FailuresAreTriedAgainAndCounted) {
  OwnHome();
  Submit(Counted(10));
  RunAll([](std::int64_t index) { return index % 2 == 0 ? Status::kOk : Status::kError; });
  EXPECT_EQ(State().outcome, BatchOutcome::kPartial);
  EXPECT_EQ(State().counts[ItemStatus::kError], 5);
  EXPECT_EQ(starts_["b.1"], 3);
  EXPECT_TRUE(others_.empty()) << "no dead letters of items: " << others_[0].topic;
}

TEST_F(BatchStory, MoreFailuresThanAreToleratedStopIt) {
  OwnHome();
  Deploy("ada", "sum", 1);
  BatchSpec spec = Counted(1000);
  spec.tolerance = Tolerance{5, false};
  Submit(spec);
  RunAll([](auto) { return Status::kError; });
  EXPECT_EQ(State().outcome, BatchOutcome::kCancelled);
  EXPECT_EQ(State().reason, kTolerancePassed);
  EXPECT_GE(State().counts[ItemStatus::kError], 6);
  EXPECT_GT(State().counts[ItemStatus::kCancelled], 800);
}

TEST_F(BatchStory, CancelledItemsGetTheirStatusAndNoReply) {
  OwnHome();
  Submit(Stored(InOrder(400), 400));
  const auto running = std::ssize(placed_);
  Wish(WantRun{RunWish::kCancel});
  WaitFor(100);
  EXPECT_EQ(Phase(), BatchPhase::kEnding);
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kCancelled);
  EXPECT_EQ(State().counts[ItemStatus::kOk], running);
  EXPECT_EQ(State().counts[ItemStatus::kCancelled], 400 - running);
  EXPECT_EQ(std::ssize(results_), running);
  EXPECT_TRUE(cancelled_.empty());
}

TEST_F(BatchStory, CancelNowEndsWhatRuns) {
  OwnHome();
  Submit(Counted(400));
  const auto running = placed_.size();
  Wish(WantRun{RunWish::kCancelNow});
  WaitFor(100);
  EXPECT_EQ(cancelled_.size(), running);
  RunAll([](auto) { return Status::kCancelled; });
  EXPECT_EQ(State().counts[ItemStatus::kCancelled], 400);
}

TEST_F(BatchStory, ADeadlineExpiresTheRest) {
  OwnHome();
  BatchSpec spec = Counted(500);
  spec.deadline_ms = WallMs() + 2000;
  Submit(spec);
  WaitFor(2500);
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kExpired);
  EXPECT_EQ(State().counts[ItemStatus::kExpired] + State().counts[ItemStatus::kOk], 500);
  EXPECT_GT(State().counts[ItemStatus::kExpired], 400);
}

TEST_F(BatchStory, APausedBatchStartsNothing) {
  OwnHome();
  Submit(Counted(300));
  Wish(WantRun{RunWish::kPause});
  WaitFor(50);
  const auto started = starts_.size();
  while (!placed_.empty()) End();
  WaitFor(500);
  EXPECT_EQ(starts_.size(), started);
  EXPECT_EQ(Phase(), BatchPhase::kPaused);
  Wish(WantRun{RunWish::kRun});
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, NoMoreRunThanItsConcurrency) {
  OwnHome();
  BatchSpec spec = Counted(100);
  spec.concurrency = 3;
  Submit(spec);
  EXPECT_EQ(placed_.size(), 3U);
  RunAll();
  EXPECT_EQ(most_placed_["ada/b"], 3);
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, ItsStateShowsWhatIsWishedOfIt) {
  OwnHome();
  Submit(Counted(100));
  EXPECT_EQ(State().priority, kDefaultBatchPriority);
  Wish(WantRun{RunWish::kPause});
  Wish(WantConcurrency{3});
  Wish(WantPriority{90});
  Wish(WantTolerance{Tolerance{5, true}});
  EXPECT_EQ(State().concurrency, 3);
  EXPECT_EQ(State().priority, 90);
  EXPECT_EQ(State().tolerance, (Tolerance{5, true}));
}

TEST_F(BatchStory, AnUnknownFunctionIsRefusedAndTheIdStaysFree) {
  OwnHome();
  BatchSpec spec = Counted(3);
  spec.function = FunctionName("nobody");
  Submit(spec);
  WaitFor(1500);
  EXPECT_EQ(State().outcome, BatchOutcome::kFailed);
  EXPECT_NE(State().reason.find("no function nobody"), std::string::npos) << State().reason;
  Submit(Counted(3));
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, ASecondSpecUnderTheSameIdIsNotRun) {
  OwnHome();
  Submit(Counted(3));
  Submit(Counted(900));
  RunAll();
  EXPECT_EQ(State().total, 3);
  EXPECT_EQ(results_.size(), 3U);
}

TEST_F(BatchStory, AWishForABatchThatIsNotThereIsAnswered) {
  OwnHome();
  Wish(WantRun{RunWish::kCancel}, "nothing");
  WaitFor(1500);
  EXPECT_EQ(State("nothing").reason, kUnknownBatch);
  EXPECT_EQ(Phase("nothing"), BatchPhase::kEnded);
}

TEST_F(BatchStory, WhatIsNoRecordOfABatchIsToldOfAndNotForEachOfThem) {
  const auto lines = [this] {
    return std::ranges::count_if(All<Trace>(), [](const Trace& trace) {
      return trace.constraint.starts_with("no_record_of_a_batch: key 'rubbish' at offset ") ||
             trace.constraint.starts_with("no_record_of_a_batch: key 'ada/b/want/run' at offset ");
    });
  };
  const std::string wish = FormatBatchKey({Ref(), BatchKey::Kind::kWant, WantField::kRun});
  OwnHome();
  Submit(Counted(2));
  Write("rubbish", "x");
  Write(wish, "no wish");
  Write("", "x");
  EXPECT_EQ(lines(), 1);
  WaitFor(kStrangeMs);
  Write(wish, "no wish");
  EXPECT_EQ(lines(), 1);
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, ARedriveRunsWhatFailedAndNothingElse) {
  OwnHome();
  Deploy("ada", "sum", 1);
  Submit(Counted(20));
  RunAll([](std::int64_t index) { return index < 5 ? Status::kError : Status::kOk; });
  ASSERT_EQ(State().outcome, BatchOutcome::kPartial);
  Wish(WantRedrive{1});
  RunAll();
  EXPECT_EQ(State().generation, 1);
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
  EXPECT_EQ(State().counts[ItemStatus::kOk], 20);
  EXPECT_EQ(starts_.count("b.0.g1"), 1U);
  EXPECT_EQ(starts_.count("b.7.g1"), 0U);
  Wish(WantRedrive{1});
  WaitFor(500);
  EXPECT_EQ(Phase(), BatchPhase::kEnded) << "an older number does nothing";
}

TEST_F(BatchStory, ACancelledBatchCanBeRedriven) {
  OwnHome();
  Submit(Counted(100));
  Wish(WantRun{RunWish::kCancel});
  RunAll();
  ASSERT_EQ(State().outcome, BatchOutcome::kCancelled);
  StatusSelection selection;
  selection.Add(ItemStatus::kCancelled);
  Wish(WantRedrive{1, selection});
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, OnCompleteRunsOnceWhenTheStateIsFrozen) {
  OwnHome();
  Deploy("ada", "after");
  BatchSpec spec = Counted(3);
  spec.on_complete.function = FunctionName("after");
  Submit(spec);
  for (int i = 0; i < 3; ++i) End();
  WaitFor(200);
  ASSERT_EQ(Phase(), BatchPhase::kEnded);
  ASSERT_EQ(placed_.size(), 1U);
  EXPECT_EQ(placed_[0].second.item->index, kOnCompleteIndex);
  const auto told = DecodeBatchState(placed_[0].second.payload);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->counts[ItemStatus::kOk], 3);
  End();
  EXPECT_EQ(State().on_complete, ItemStatus::kOk);
  EXPECT_EQ(starts_["b.-1"], 1);
  EXPECT_TRUE(owed_.empty());
}

TEST_F(BatchStory, OnCompleteTellsATopic) {
  OwnHome();
  BatchSpec spec = Counted(1);
  spec.on_complete.topic = "mine.done";
  Submit(spec);
  RunAll();
  WaitFor(200);
  ASSERT_EQ(others_.size(), 1U);
  EXPECT_EQ(others_[0].topic, "mine.done");
  EXPECT_EQ(State().on_complete, ItemStatus::kOk);
}

// ---- Take-overs.

TEST_F(BatchStory, AFunctionThatIsDeployedAnewPausesItUntilItIsResumed) {
  OwnHome();
  Submit(Counted(200));
  Deploy("ada", "sum", 3, WallMs() + 1000);
  while (!placed_.empty()) End();
  WaitFor(2000);
  EXPECT_EQ(Phase(), BatchPhase::kPaused);
  EXPECT_FALSE(State().reason.empty());
  Wish(WantRun{RunWish::kRun});
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, ARedriveRunsTheVersionThatItNames) {
  const auto fails_first = [](std::int64_t index) { return index == 0 ? Status::kError : Status::kOk; };
  OwnHome();
  Deploy("ada", "sum", 1);
  Submit(Counted(5));
  RunAll(fails_first);
  ASSERT_EQ(State().outcome, BatchOutcome::kPartial);
  const std::int64_t newer = WallMs() + 1000;
  Deploy("ada", "sum", 1, newer);
  WaitFor(2000);
  Wish(WantRedrive{1, StatusSelection::Default(), kVersionNewest});
  RunAll(fails_first);
  EXPECT_EQ(State().generation, 1);
  EXPECT_EQ(State().outcome, BatchOutcome::kPartial) << "it has run, and failed again";
  EXPECT_EQ(State().version, kVersionNewest);
  Wish(WantRedrive{2, StatusSelection::Default(), newer});
  RunAll(fails_first);
  EXPECT_EQ(State().version, newer);
  Wish(WantRedrive{3, StatusSelection::Default(), newer - 1});
  WaitFor(2000);
  EXPECT_EQ(Phase(), BatchPhase::kPaused) << "it is not the one that is deployed";
}

TEST_F(BatchStory, WhatWasResumedWithANewVersionIsRedrivenWithIt) {
  OwnHome();
  Deploy("ada", "sum", 1);
  Submit(Counted(200));
  const std::int64_t newer = WallMs() + 1000;
  Deploy("ada", "sum", 1, newer);
  while (!placed_.empty()) End(link::Outcome::kPublished, Status::kError);
  WaitFor(2000);
  ASSERT_EQ(Phase(), BatchPhase::kPaused);
  Wish(WantRun{RunWish::kRun});
  RunAll();
  ASSERT_EQ(State().outcome, BatchOutcome::kPartial);
  EXPECT_EQ(State().version, newer);
  Wish(WantRedrive{1});
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(BatchStory, BatchesOfAUserShareItsPlacesByPriority) {
  OwnHome();
  BatchSpec first = Counted(5000);
  first.priority = 90;
  BatchSpec second = Counted(5000);
  second.priority = 10;
  Submit(first, "a");
  for (int i = 0; i < 200; ++i) End();
  Submit(second, "c");
  starts_.clear();
  for (int i = 0; i < 1000; ++i) End();
  const auto of = [this](const std::string& batch) {
    return std::ranges::count_if(starts_, [&](const auto& each) { return each.first.starts_with(batch + "."); });
  };
  EXPECT_NEAR(static_cast<double>(of("c")), 100, 2) << "of the first thousand places too, and not only in the long run";
  EXPECT_EQ(of("a") + of("c"), 1000);
}

TEST_F(BatchStory, WhatHasEndedIsTakenAwayAfterItsTime) {
  OwnHome();
  Submit(Counted(3));
  RunAll();
  ASSERT_EQ(states_.size(), 1U);
  Stall(kBatchRetentionMs + 120'000);
  Settle();
  WaitFor(200);
  EXPECT_TRUE(states_.empty());
  EXPECT_TRUE(pages_.empty());
}

}  // namespace
}  // namespace hearth::dispatcher
