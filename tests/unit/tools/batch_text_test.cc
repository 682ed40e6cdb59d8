// What people write into the options of `hearth batch`, what is decided by a state, and what is shown of it.
#include "tools/hearth/batch_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "schemas/limits.h"
#include "schemas/topics.h"
#include "tools/hearth/batch_store.h"
#include "tools/hearth/batch_watch.h"
#include "tools/hearth/context.h"

namespace hearth::tool {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kNowMs = 1'795'860'900'000;  // 2026-11-28 10:15:00 UTC

BatchState Running(std::int64_t ok, std::int64_t error, std::int64_t pending) {
  BatchState state;
  state.phase = BatchPhase::kRunning;
  state.function = FunctionName("resize");
  state.total = ok + error + pending;
  state.counts[ItemStatus::kOk] = ok;
  state.counts[ItemStatus::kError] = error;
  state.counts[ItemStatus::kPending] = pending;
  return state;
}
BatchState Ended(BatchOutcome outcome, std::int64_t ok, std::int64_t error) {
  BatchState state = Running(ok, error, 0);
  state.phase = BatchPhase::kEnded;
  state.outcome = outcome;
  return state;
}

TEST(BatchText, Spans) {
  EXPECT_EQ(ParseSpan("90s"), 90'000);
  EXPECT_EQ(ParseSpan("30m"), 1'800'000);
  EXPECT_EQ(ParseSpan("1h30m"), 5'400'000);
  EXPECT_EQ(ParseSpan("2d"), 172'800'000);
  EXPECT_EQ(ParseSpan("-5m"), -300'000);
  for (const auto* none :
       {"", "-", "6", "h", "6 h", "6x", "1h-5m", "--5m", "1e3s", "99999999999999999999s", "2000000000d"}) {
    EXPECT_FALSE(ParseSpan(none)) << none;
  }
  EXPECT_THAT(ParseSpan("soon").error().message, HasSubstr("'soon' is no time span: it is such as 90s"));
}

TEST(BatchText, ADeadlineLiesAheadAndNoLaterThanItemsAreKept) {
  EXPECT_EQ(DeadlineAfter("6h", kNowMs), kNowMs + 6 * 3'600'000);
  EXPECT_EQ(DeadlineAfter("7d", kNowMs), kNowMs + kBatchRetentionMs);
  EXPECT_THAT(DeadlineAfter("0s", kNowMs).error().message, HasSubstr("lies in the past"));
  EXPECT_THAT(DeadlineAfter("-1h", kNowMs).error().message, HasSubstr("lies in the past"));
  EXPECT_EQ(DeadlineAfter("7d1s", kNowMs).error().code, Code::kExhausted);
  EXPECT_THAT(DeadlineAfter("8d", kNowMs).error().message, HasSubstr("at most 7d"));
  EXPECT_TRUE(CheckBatchDeadline(*DeadlineAfter("7d", kNowMs), kNowMs));
}

TEST(BatchText, VersionsSelectionsAndLabels) {
  EXPECT_EQ(ParseVersion("newest"), kVersionNewest);
  EXPECT_EQ(ParseVersion("17"), 17);
  for (const auto* none : {"", "0", "-1", "1.5", "new"}) EXPECT_FALSE(ParseVersion(none)) << none;
  const auto selection = ParseSelection("error,cancelled");
  ASSERT_TRUE(selection);
  EXPECT_TRUE(selection->Has(ItemStatus::kError) && selection->Has(ItemStatus::kCancelled));
  EXPECT_FALSE(selection->Has(ItemStatus::kTimeout));
  for (const auto* none : {"", "error,", "errors", "pending"}) EXPECT_FALSE(ParseSelection(none)) << none;
  std::map<std::string, std::string> labels;
  EXPECT_TRUE(AddLabel(labels, "team=a=b"));
  EXPECT_EQ(labels.at("team"), "a=b");
  EXPECT_FALSE(AddLabel(labels, "team=c"));
  EXPECT_FALSE(AddLabel(labels, "alone"));
  EXPECT_FALSE(AddLabel(labels, "=x"));
}

TEST(BatchText, TheDefaultIdIsAnIdWhateverTheFileIsCalled) {
  const FunctionName fn("resize");
  EXPECT_EQ(DefaultBatchId("/data/items.jsonl", fn, kNowMs).str(), "items-20261128-101500");
  EXPECT_EQ(DefaultBatchId("", fn, kNowMs).str(), "resize-20261128-101500");
  EXPECT_EQ(DefaultBatchId("-", fn, kNowMs).str(), "resize-20261128-101500");
  EXPECT_EQ(DefaultBatchId("my items ä.csv", fn, kNowMs).str(), "my-items----20261128-101500");
  for (const auto& path :
       {std::string("/data/") + std::string(200, 'x') + ".jsonl", std::string(".jsonl"), std::string("/")}) {
    EXPECT_TRUE(IsBatchId(DefaultBatchId(path, FunctionName(std::string(128, 'f')), kNowMs).str())) << path;
  }
}

TEST(BatchText, ARedriveBeginsTheNextGenerationOfWhatHasEnded) {
  const auto failed = StatusSelection::Default();
  EXPECT_EQ(NextGeneration(Ended(BatchOutcome::kPartial, 3, 1), failed), 1);
  auto again = Ended(BatchOutcome::kPartial, 3, 1);
  again.generation = 4;
  EXPECT_EQ(NextGeneration(again, failed), 5);
  again.generation = kMaxBatchGeneration;
  EXPECT_EQ(NextGeneration(again, failed).error().code, Code::kExhausted);
  EXPECT_THAT(NextGeneration(Running(1, 1, 1), failed).error().message, HasSubstr("has not ended: it is running"));
  EXPECT_THAT(NextGeneration(Ended(BatchOutcome::kSucceeded, 3, 0), failed).error().message,
              HasSubstr("no item of it is error or timeout or oom or poison: they are 3 ok"));
}

TEST(BatchText, TheExitCodeSaysHowItEnded) {
  EXPECT_EQ(ExitOf(Running(1, 1, 1)), kFine);
  EXPECT_EQ(ExitOf(Ended(BatchOutcome::kSucceeded, 1, 0)), kFine);
  EXPECT_EQ(ExitOf(Ended(BatchOutcome::kPartial, 1, 1)), kFailed);
  EXPECT_EQ(ExitOf(Ended(BatchOutcome::kFailed, 0, 1)), kFailed);
  EXPECT_EQ(ExitOf(Ended(BatchOutcome::kCancelled, 1, 0)), kStopped);
  EXPECT_EQ(ExitOf(Ended(BatchOutcome::kExpired, 1, 0)), kStopped);
}

TEST(BatchText, WhatIsNoBatchIsToldApart) {
  auto refused = Ended(BatchOutcome::kFailed, 0, 0);
  refused.reason = "no function";
  EXPECT_TRUE(IsRefused(refused));
  EXPECT_FALSE(IsUnknown(refused));
  refused.reason = kUnknownBatch;
  EXPECT_FALSE(IsRefused(refused));
  EXPECT_TRUE(IsUnknown(refused));
  EXPECT_FALSE(IsRefused(Ended(BatchOutcome::kFailed, 0, 1)));
}

TEST(BatchText, ALineTellsHowFarItIs) {
  auto state = Running(50, 10, 40);
  state.rate_per_min = 600;
  state.estimate_ms = kNowMs + 75'000;
  EXPECT_EQ(ProgressLine(state, kNowMs, false), "running  60/100  10 failed  10/s  ends in 1 min 15 s");
  EXPECT_EQ(ProgressLine(state, kNowMs, true), "[############........] " + ProgressLine(state, kNowMs, false));
  state.rate_per_min = 59;
  EXPECT_THAT(ProgressLine(state, kNowMs + 80'000, false), HasSubstr("59/min  ends in 0 s"));
  EXPECT_THAT(ProgressLine(BatchState(), kNowMs, true), HasSubstr("[....................] queued  0/0"));
  auto ended = Ended(BatchOutcome::kCancelled, 1, 1);
  ended.reason = kTolerancePassed;
  ended.generation = 2;
  EXPECT_EQ(ProgressLine(ended, kNowMs, true),
            "[####################] ended: cancelled (tolerance)  2/2  1 failed  redrive 2");
}

TEST(BatchText, WithoutATerminalALineIsToldOnceAWhileAndWhenItChanges) {
  LinePace pace;
  EXPECT_TRUE(pace.Due(Running(0, 0, 9), kNowMs));
  EXPECT_FALSE(pace.Due(Running(1, 0, 8), kNowMs + 1));
  EXPECT_FALSE(pace.Due(Running(0, 0, 9), kNowMs + kLineEveryMs)) << "nothing is new";
  EXPECT_TRUE(pace.Due(Running(2, 0, 7), kNowMs + kLineEveryMs));
  EXPECT_FALSE(pace.Due(Running(3, 0, 6), kNowMs + kLineEveryMs + 1));
  EXPECT_TRUE(pace.Due(Ended(BatchOutcome::kSucceeded, 9, 0), kNowMs + kLineEveryMs + 2));
}

TEST(BatchText, AStateIsShownWholeAndCannotForgeALine) {
  auto state = Running(1, 2, 3);
  state.reason = "a\nstate        ended";
  state.version = kVersionNewest;
  state.times.submitted_ms = kNowMs;
  const auto text = ShowState({UserId("alice"), BatchId("night")}, state, kNowMs);
  for (const auto* part : {"batch        alice/night\n", "function     resize, version newest\n",
                           "3/6 done: 3 pending, 1 ok, 2 error\n", "submitted    2026-11-28 10:15:00 UTC\n"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("\nstate        ended")));
  const auto json = StateJson({UserId("alice"), BatchId("night")}, state);
  EXPECT_EQ(json["id"], "night");
  EXPECT_EQ(json["user"], "alice");
  EXPECT_EQ(json["counts"]["error"], 2);
}

std::vector<kafka::TopicInfo> Topics(int batches, int items, int states, int results) {
  std::vector<kafka::TopicInfo> topics;
  for (const auto& [topic, count] : {std::pair{Topic::kBatches, batches}, std::pair{Topic::kBatchItems, items},
                                     std::pair{Topic::kBatchState, states}, std::pair{Topic::kBatchResults, results}}) {
    if (count > 0) topics.push_back({std::string(TopicName(topic)), count});
  }
  return topics;
}

TEST(BatchText, AUserHasOnePartitionInAllTopics) {
  EXPECT_EQ(HomeIn(Topics(8, 8, 8, 8), UserId("alice"), {Topic::kBatches}), 5);  // as schemas/README.md says
  EXPECT_EQ(HomeIn(Topics(0, 0, 8, 0), UserId("alice"), {Topic::kBatchState}), 5);
  EXPECT_THAT(HomeIn(Topics(8, 8, 8, 0), UserId("alice"), {Topic::kBatchResults}).error().message,
              HasSubstr("no topic hearth.batch.results"));
  EXPECT_THAT(
      HomeIn(Topics(8, 4, 8, 8), UserId("alice"), {Topic::kBatches}).error().message,
      HasSubstr(
          "different numbers of partitions, so a batch has no place in them: hearth.batches 8, hearth.batch.items 4"));
}

}  // namespace
}  // namespace hearth::tool
