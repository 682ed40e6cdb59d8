// The state of a batch, as its owner writes it and others read it.
#include "schemas/batch_state.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "samples.h"
#include "schemas/limits.h"

namespace hearth {
namespace {

using nlohmann::json;

BatchState Running() {
  BatchState state;
  state.phase = BatchPhase::kRunning;
  state.total = 10;
  state.counts[ItemStatus::kPending] = 4;
  state.counts[ItemStatus::kOk] = 6;
  return state;
}

void ExpectRefused(const char* name, const json& value, const std::string& message) {
  json state = json::parse(EncodeBatchState(Running()));
  state[name] = value;
  const auto decoded = DecodeBatchState(state.dump());
  ASSERT_FALSE(decoded) << message;
  EXPECT_EQ(decoded.error().message, message);
}

TEST(BatchState, IsReadAsItWasWrittenInEveryPhase) {
  for (const BatchPhaseRow& row : kBatchPhases) {
    BatchState state = Running();
    state.phase = row.phase;
    if (row.phase == BatchPhase::kEnded) {
      state.outcome = BatchOutcome::kCancelled;
      std::swap(state.counts[ItemStatus::kCancelled], state.counts[ItemStatus::kPending]);
    }
    const auto read = DecodeBatchState(EncodeBatchState(state));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, state);
    EXPECT_EQ(EncodeBatchState(*read), EncodeBatchState(state)) << "one state has one text";
  }
  const auto sample = samples::SampleBatchState();
  EXPECT_EQ(DecodeBatchState(EncodeBatchState(sample)).value(), sample);
}

TEST(BatchState, ABatchThatIsNotKnownHasNoItems) {
  BatchState state;
  state.phase = BatchPhase::kEnded;
  state.outcome = BatchOutcome::kFailed;
  state.reason = kUnknownBatch;
  EXPECT_EQ(
      EncodeBatchState(state),
      R"({"counts":{},"epoch":0,"generation":0,"outcome":"failed","reason":"unknown_batch","state":"ended","total":0,"v":1})");
  EXPECT_EQ(DecodeBatchState(EncodeBatchState(state)).value(), state);
}

TEST(BatchState, WhatContradictsItselfIsRefused) {
  ExpectRefused("total", 11, "state: field 'total' is 11: it must be the sum of the counts, 10");
  ExpectRefused("outcome", "partial", "state: field 'outcome' stands beside a state that is not ended");
  ExpectRefused("state", "ended", "state: field 'outcome' is absent");
  ExpectRefused("counts", {{"ok", 11}}, "state: field 'counts.ok' is 11: it must be an integer from 0 to 10");
  json ended = json::parse(EncodeBatchState(Running()));
  ended["state"] = "ended";
  ended["outcome"] = "partial";
  EXPECT_EQ(DecodeBatchState(ended.dump()).error().message,
            "state: field 'counts.pending' is 4: it must be 0 of a batch that has ended");
}

TEST(BatchState, EveryFieldHasItsBounds) {
  ExpectRefused("state", "done",
                "state: field 'state' is \"done\": it must be queued, running, paused, ending or ended");
  ExpectRefused("state", nullptr, "state: field 'state' is absent");
  ExpectRefused("generation", 256, "state: field 'generation' is 256: it must be an integer from 0 to 255");
  ExpectRefused("selection", {"soon"}, "state: field 'selection' is \"soon\": it must be names of terminal statuses");
  ExpectRefused("total", kMaxBatchItems + 1,
                "state: field 'total' is 10000001: it must be an integer from 0 to 10000000");
  ExpectRefused("counts", 3, "state: field 'counts' is 3: it must be an object");
  ExpectRefused("results", {9, 8}, "state: field 'results' is 8: it must be an integer from 9 to 9223372036854775807");
  ExpectRefused("results", {9}, "state: field 'results' is a list of 1: it must be [first, last]");
  ExpectRefused("started_ms", -1, "state: field 'started_ms' is -1: it must be an integer from 0 to 253402300799999");
  ExpectRefused("on_complete", 1,
                "state: field 'on_complete' is 1: it must be pending, ok, error, timeout, oom, "
                "expired, rejected, poison, cancelled or gone");
  ExpectRefused("digest", std::string(65, 'a'), "state: field 'digest' has 65 bytes; the limit is 64");
  ExpectRefused("v", 2, "state: field 'v' is 2: it must be an integer from 1 to 1");
  EXPECT_EQ(DecodeBatchState(std::string(kMaxBatchStateBytes + 1, ' ')).error().code, Code::kExhausted);
}

TEST(BatchState, ALongReasonIsCut) {
  BatchState state = Running();
  state.reason = std::string(kMaxBatchReasonBytes - 1, 'x') + "ééé";
  const auto read = DecodeBatchState(EncodeBatchState(state));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->reason, std::string(kMaxBatchReasonBytes - 1, 'x'));
  state.reason = std::string(kMaxBatchReasonBytes, '\1');
  for (std::size_t i = 0; i < kMaxLabels; ++i) {
    state.labels[std::string(kMaxLabelNameBytes - 1, '\1') + static_cast<char>('a' + i)] =
        std::string(kMaxLabelValueBytes, '\1');
  }
  EXPECT_TRUE(DecodeBatchState(EncodeBatchState(state))) << "with escapes it is longest";
}

}  // namespace
}  // namespace hearth
