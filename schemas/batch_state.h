// How far a batch is: the record "USER/BATCH" of hearth.batch.state, written by the batch's owner, read by people and
// programs. JSON, "v" = 1; a state has one text.
//
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/batch.h"
#include "schemas/batch_spec.h"
#include "schemas/table.h"

namespace hearth {

enum class BatchPhase : std::uint8_t {
  kQueued,  // taken, and nothing of it has started
  kRunning,
  kPaused,
  kEnding,  // nothing starts any more, and some still run
  kEnded,
};
struct BatchPhaseRow {
  BatchPhase phase;
  std::string_view name;
};
inline constexpr std::array kBatchPhases = {
    BatchPhaseRow{BatchPhase::kQueued, "queued"}, BatchPhaseRow{BatchPhase::kRunning, "running"},
    BatchPhaseRow{BatchPhase::kPaused, "paused"}, BatchPhaseRow{BatchPhase::kEnding, "ending"},
    BatchPhaseRow{BatchPhase::kEnded, "ended"},
};
static_assert(RowsInOrder(kBatchPhases, &BatchPhaseRow::phase));

enum class BatchOutcome : std::uint8_t {
  kNone,       // it has not ended
  kSucceeded,  // every item is ok
  kPartial,    // some are
  kFailed,     // none is, or the spec was refused
  kCancelled,
  kExpired,
};
struct BatchOutcomeRow {
  BatchOutcome outcome;
  std::string_view name;
};
inline constexpr std::array kBatchOutcomes = {
    BatchOutcomeRow{BatchOutcome::kNone, ""},
    BatchOutcomeRow{BatchOutcome::kSucceeded, "succeeded"},
    BatchOutcomeRow{BatchOutcome::kPartial, "partial"},
    BatchOutcomeRow{BatchOutcome::kFailed, "failed"},
    BatchOutcomeRow{BatchOutcome::kCancelled, "cancelled"},
    BatchOutcomeRow{BatchOutcome::kExpired, "expired"},
};
static_assert(RowsInOrder(kBatchOutcomes, &BatchOutcomeRow::outcome));

// Reasons that programs tell apart. Others are words for people.
constexpr std::string_view kUnknownBatch = "unknown_batch";  // something is wished of a batch that the partition lacks
constexpr std::string_view kTolerancePassed = "tolerance";   // more items failed than its tolerance allows

// Ms since the epoch; 0: not yet, or not known.
struct BatchTimes {
  std::int64_t submitted_ms = 0;  // Kafka's timestamp of the spec
  std::int64_t started_ms = 0;    // the first item of this generation started
  std::int64_t ended_ms = 0;
  std::int64_t deadline_ms = 0;
  std::int64_t updated_ms = 0;  // this record was written
  friend bool operator==(const BatchTimes&, const BatchTimes&) = default;
};

// Offsets of results in the batch's partition of hearth.batch.results, both ends included. Other batches' results lie
// between them.
struct ResultOffsets {
  std::int64_t first = 0;
  std::int64_t last = 0;
  friend bool operator==(const ResultOffsets&, const ResultOffsets&) = default;
};

struct BatchState {
  BatchPhase phase = BatchPhase::kQueued;
  BatchOutcome outcome = BatchOutcome::kNone;
  std::string reason;  // of the outcome, or of the pause; empty: none
  FunctionName function;
  std::int64_t version = 0;     // that items run with; or kVersionNewest
  std::int32_t generation = 0;  // redrives so far
  StatusSelection selection;    // what this generation runs again; empty in the first one
  std::int64_t total = 0;
  ItemCounts counts;   // their sum is the total
  std::string digest;  // of the spec that was accepted
  BatchTimes times;
  // What holds of it now: from its spec, or wished since.
  std::int32_t concurrency = kNoBatchConcurrency;
  std::int32_t priority = 0;  // 0: not told
  std::optional<Tolerance> tolerance;
  std::map<std::string, std::string> labels;
  std::optional<ResultOffsets> results;
  std::optional<ItemStatus> on_complete;  // what became of what runs once the batch is complete; none: nothing does
  std::int64_t rate_per_min = 0;          // items that ended in the last minute, or in the time since the start
  std::int64_t estimate_ms = 0;           // when it will have ended, since the epoch; 0: not known
  std::int64_t epoch = 0;                 // of the owner that wrote it
  friend bool operator==(const BatchState&, const BatchState&) = default;
};

std::string EncodeBatchState(const BatchState& state);
// Decodes and validates: the counts sum up to the total; an outcome has what has ended, and nothing else; nothing is
// pending then. kInvalid or kExhausted; the message names the field, its value and the limit.
Result<BatchState> DecodeBatchState(std::string_view json);

}  // namespace hearth
