// Stories about specs: one that was refused, those of batches that wait for room, and those that are let go of and read
// again.
#include "tests/unit/dispatcher/core_batch_stories.h"

namespace hearth::dispatcher {
namespace {

class LargeSpecs : public BatchStory {
 protected:
  LargeSpecs() {
    kept_spec_bytes_ = 0;
    Reset();
  }
  // It has ended, and five of its items have failed.
  void RunWithFailures() {
    OwnHome();
    Deploy("ada", "sum", 1);
    BatchSpec spec = Counted(6);
    spec.items = InlineItems{{"0", "1", "2", "3", "4", "5"}};
    spec.labels = {{"team", "photos"}};
    Submit(spec);
    RunAll([](std::int64_t index) { return index < 5 ? Status::kError : Status::kOk; });
    ASSERT_EQ(State().outcome, BatchOutcome::kPartial);
  }
};

TEST_F(BatchStory, WhatWasRefusedStaysSoWhenItsFunctionIsDeployedLater) {
  OwnHome();
  BatchSpec spec = Counted(3);
  spec.function = FunctionName("late");
  Submit(spec);
  WaitFor(1500);
  ASSERT_EQ(State().outcome, BatchOutcome::kFailed);
  const auto said = state_texts_[Ref()].size();
  Deploy("ada", "late");
  WaitFor(2 * kExpiredBatchesMs);
  EXPECT_TRUE(placed_.empty());
  LoseHome();
  Start();
  Deploy("ada", "late");
  Connect("e1", 64);
  OwnHome();
  WaitFor(2000);
  EXPECT_TRUE(placed_.empty());
  EXPECT_EQ(state_texts_[Ref()].size(), said);
}

TEST_F(BatchStory, AWishToCancelHoldsWhileABatchWaitsForRoom) {
  OwnHome();
  for (std::int64_t i = 0; i < kMaxRunningBatchesOfUser; ++i) Submit(Counted(1000), "run-" + std::to_string(i));
  Submit(Counted(7), "waits");
  Submit(Counted(7), "too");
  WaitFor(300);
  ASSERT_EQ(Phase("waits"), BatchPhase::kQueued);
  Wish(WantRun{RunWish::kCancel}, "waits");
  WaitFor(1000);
  EXPECT_EQ(State("waits").outcome, BatchOutcome::kCancelled);
  EXPECT_EQ(State("waits").counts[ItemStatus::kCancelled], 7);
  EXPECT_EQ(Phase("too"), BatchPhase::kQueued);
  EXPECT_EQ(starts_.count("waits.0"), 0U);
}

TEST_F(BatchStory, ADeadlineHoldsWhileABatchWaitsForRoom) {
  OwnHome();
  for (std::int64_t i = 0; i < kMaxRunningBatchesOfUser; ++i) Submit(Counted(1000), "run-" + std::to_string(i));
  BatchSpec spec = Counted(7);
  spec.deadline_ms = WallMs() + 2000;
  Submit(spec, "waits");
  WaitFor(1000);
  ASSERT_EQ(Phase("waits"), BatchPhase::kQueued);
  WaitFor(2000);
  EXPECT_EQ(State("waits").outcome, BatchOutcome::kExpired);
}

TEST_F(BatchStory, LabelsStandInTheState) {
  OwnHome();
  BatchSpec spec = Counted(1);
  spec.labels = {{"team", "photos"}};
  Submit(spec);
  EXPECT_EQ(State().labels, spec.labels);
  RunAll();
  EXPECT_EQ(State().labels, spec.labels);
}

TEST_F(LargeSpecs, AreReadAgainForARedrive) {
  RunWithFailures();
  Wish(WantRedrive{1});
  ASSERT_EQ(placed_.size(), 5U);
  EXPECT_EQ(placed_[4].second.payload, "4");
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
  EXPECT_EQ(State().labels.at("team"), "photos");
  EXPECT_EQ(State().total, 6);
}

TEST_F(LargeSpecs, AreReadAgainByTheNextOwner) {
  OwnHome();
  Submit(Stored(InOrder(300), 300));
  for (int i = 0; i < 100; ++i) End();
  WaitFor(300);
  LoseHome();
  TakeOver();
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
  EXPECT_EQ(State().counts[ItemStatus::kOk], 300);
  for (const auto& [id, count] : starts_) EXPECT_EQ(count, 1) << id;
}

TEST_F(LargeSpecs, AreReadUntilSomebodyAnswers) {
  RunWithFailures();
  Write(FormatBatchKey({Ref(), BatchKey::Kind::kWant, WantField::kRedrive}), EncodeWant(WantRedrive{1}));
  while (!reading_) {
    for (const Effect& effect : std::exchange(effects_, {})) CarryOut(effect);
    PassAlive(10);
  }
  ReadBackFails();
  ASSERT_FALSE(reading_);
  WaitFor(kBatchRetryMs + 100);
  EXPECT_EQ(placed_.size(), 5U);
  RunAll();
  EXPECT_EQ(State().outcome, BatchOutcome::kSucceeded);
}

TEST_F(LargeSpecs, ThatSomebodyHasTakenAwayEndTheirBatch) {
  RunWithFailures();
  std::erase_if(logs_[Home()].records, [](const auto& one) { return one.second->key.ends_with("/accepted"); });
  Wish(WantRedrive{1});
  EXPECT_EQ(State().outcome, BatchOutcome::kFailed);
  EXPECT_EQ(State().reason, "its spec is no longer on hearth.batches");
  EXPECT_EQ(State().counts[ItemStatus::kGone], 5);
  EXPECT_EQ(State().counts[ItemStatus::kOk], 1);
  EXPECT_TRUE(placed_.empty());
  Submit(Counted(2), "other");
  EXPECT_EQ(placed_.size(), 2U) << "others go on";
}

TEST_F(LargeSpecs, OfWhatWaitsForRoomAreReadOnceThereIsSome) {
  OwnHome();
  for (std::int64_t i = 0; i < kMaxRunningBatchesOfUser; ++i) Submit(Counted(1), "run-" + std::to_string(i));
  BatchSpec spec = Counted(2);
  spec.items = InlineItems{{R"("first")", R"("second")"}};
  Submit(spec, "waits");
  WaitFor(300);
  ASSERT_EQ(Phase("waits"), BatchPhase::kQueued);
  for (int i = 0; Phase("waits") != BatchPhase::kEnded && i < 1000; ++i) {
    while (!placed_.empty()) {
      const auto& exec = placed_.front().second;
      if (exec.id.value == "waits.1") {
        EXPECT_EQ(exec.payload, R"("second")");
      }
      End();
    }
    WaitFor(100);
  }
  EXPECT_EQ(State("waits").outcome, BatchOutcome::kSucceeded);
}

}  // namespace
}  // namespace hearth::dispatcher
