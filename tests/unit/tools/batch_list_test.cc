// Which batches of a user are listed, in which order, and the table of them.
#include "tools/hearth/batch_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/hearth/why_batch.h"

namespace hearth::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

BatchState Submitted(std::int64_t submitted_ms, BatchPhase phase) {
  BatchState state;
  state.phase = phase;
  if (phase == BatchPhase::kEnded) state.outcome = BatchOutcome::kPartial;
  state.function = FunctionName("resize");
  state.total = 10;
  state.counts[ItemStatus::kError] = 2;
  state.counts[ItemStatus::kOk] = 3;
  state.counts[ItemStatus::kPending] = 5;
  state.rate_per_min = 600;
  state.times.submitted_ms = submitted_ms;
  return state;
}

std::map<BatchId, BatchState> Some() {
  return {{BatchId("a"), Submitted(2000, BatchPhase::kRunning)},
          {BatchId("b"), Submitted(3000, BatchPhase::kEnded)},
          {BatchId("c"), Submitted(1000, BatchPhase::kPaused)},
          {BatchId("d"), Submitted(2000, BatchPhase::kQueued)}};
}

std::vector<std::string> Ids(const std::vector<ListedBatch>& batches) {
  std::vector<std::string> ids;
  for (const auto& batch : batches) ids.push_back(batch.id.str());
  return ids;
}

TEST(BatchList, TheOrderIsThatOfSubmissionAndOfIdsWhereItIsTheSame) {
  EXPECT_THAT(Ids(ChooseBatches(Some(), {})), ElementsAre("b", "a", "d", "c"));
  EXPECT_THAT(Ids(ChooseBatches(Some(), {false, BatchOrder::kOldestFirst})), ElementsAre("c", "a", "d", "b"));
}

TEST(BatchList, WhatHasEndedIsNotAmongThoseThatRun) {
  EXPECT_THAT(Ids(ChooseBatches(Some(), {true, BatchOrder::kOldestFirst})), ElementsAre("c", "a", "d"));
}

TEST(BatchList, ThoseWithAllOfTheLabelsAreChosen) {
  auto states = Some();
  states[BatchId("a")].labels = {{"team", "photos"}, {"run", "nightly"}};
  states[BatchId("b")].labels = {{"team", "photos"}};
  states[BatchId("c")].labels = {{"team", "shop"}};
  BatchChoice choice;
  choice.labels = {{"team", "photos"}};
  EXPECT_THAT(Ids(ChooseBatches(states, choice)), ElementsAre("b", "a"));
  choice.labels["run"] = "nightly";
  EXPECT_THAT(Ids(ChooseBatches(states, choice)), ElementsAre("a"));
}

TEST(BatchList, ALineTellsHowFarItIsAndHowFastItGoes) {
  const auto table = BatchTable(ChooseBatches(Some(), {}));
  EXPECT_THAT(table,
              HasSubstr("a      resize                            5/10         2      10/s  1970-01-01 00:00:02 UTC"
                        "  running\n"));
  EXPECT_THAT(table, HasSubstr("5/10         2         -  1970-01-01 00:00:03 UTC  ended: partial\n"));
}

TEST(BatchList, AnIdOfAnyLengthKeepsTheColumnsBelowEachOther) {
  const std::string id(40, 'x');
  auto state = Submitted(1000, BatchPhase::kRunning);
  state.reason = "a\nb";
  const auto table = BatchTable({{BatchId(id), state}});
  const auto header_end = table.find('\n');
  EXPECT_EQ(table.find("FUNCTION"), id.size() + 2);
  EXPECT_EQ(table.find("resize", header_end), header_end + 1 + id.size() + 2);
  EXPECT_EQ(std::ranges::count(table, '\n'), 2) << "what others wrote makes no line";
}

TEST(BatchList, JsonHasTheIdAndTheUser) {
  const auto json = BatchesJson(UserId("alice"), ChooseBatches(Some(), {true, BatchOrder::kOldestFirst}));
  ASSERT_EQ(json.size(), 3);
  EXPECT_EQ(json[0]["id"], "c");
  EXPECT_EQ(json[0]["user"], "alice");
  EXPECT_EQ(json[0]["state"], "paused");
  EXPECT_EQ(BatchesJson(UserId("alice"), {}), nlohmann::json::array());
}

TEST(WhyBatch, AnIdIsABatchsAnItemsOrNone) {
  const Context context;
  auto batches = ChooseBatches(Some(), {});
  batches[0].state.generation = 1;  // b
  const auto told = [&](std::string_view id) { return TellOfItem(context, batches, id); };
  EXPECT_THAT(told("01a2"), IsEmpty());
  EXPECT_THAT(told("nobody.1"), IsEmpty());
  EXPECT_THAT(told("a"), ElementsAre("a is a batch, running; its items are a.0 to a.9",
                                     "hearth batch status a tells how far it is"));
  EXPECT_THAT(told("a.10"), ElementsAre("batch a has 10 items, a.0 to a.9"));
  EXPECT_THAT(told("a.1.g1"), ElementsAre("batch a was redriven 0 times"));
  EXPECT_THAT(told("a.1"),
              ElementsAre("it is item 1 of batch a, which is running",
                          "what has not started is not known yet; hearth batch results a has what has ended"));
  EXPECT_THAT(told("b.9"),
              ElementsAre("it is item 9 of batch b, which is ended: partial",
                          "hearth batch results b has what has ended", "where it ran again, it is b.9.g1"));
  EXPECT_EQ(told("b.9.g1").size(), 2U);
}

}  // namespace
}  // namespace hearth::tool
