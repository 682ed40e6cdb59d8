// The texts of `hearth batch`: what people write into options, and what they are shown of a batch. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/batch.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"

namespace hearth::tool {

// ---- Options.

// "90s", "30m", "6h", "2d" or several of them, as "1h30m", in ms; with a '-' before it, less than 0. kInvalid: it is
// none.
Result<std::int64_t> ParseSpan(std::string_view text);
// The deadline that lies so far ahead, in ms since the epoch. kInvalid: no span, or none that is ahead; kExhausted:
// later than items are kept.
Result<std::int64_t> DeadlineAfter(std::string_view span, std::int64_t now_ms);
// "newest" or a number.
Result<std::int64_t> ParseVersion(std::string_view text);
// "error,timeout".
Result<StatusSelection> ParseSelection(std::string_view names);
// "K=V" into the labels. kInvalid: there is no '=', or K is there already.
Result<void> AddLabel(std::map<std::string, std::string>& labels, std::string_view text);
// "items-20261128-101500" for the file items.jsonl at that time (UTC). `path` "" or "-": the function's name instead.
BatchId DefaultBatchId(std::string_view path, const FunctionName& function, std::int64_t now_ms);

// ---- What is decided of a batch by its state.

// The generation that a redrive of these statuses begins. kInvalid: the batch runs, or nothing of it has one of them;
// kExhausted: it was redriven as often as may be.
Result<std::int32_t> NextGeneration(const BatchState& state, const StatusSelection& selection);
// How `hearth` ends for a batch that is so far: kFine while it has not ended.
int ExitOf(const BatchState& state);
// It answers a wish, and there is no such batch.
bool IsUnknown(const BatchState& state);
// Its owner refused what was submitted: there is no such batch either, and the same id may be submitted again.
bool IsRefused(const BatchState& state);

// ---- What is shown.

// "2 d 3 h", "1 h 5 min", "2 min 10 s", "7 s".
std::string ShowSpan(std::int64_t ms);
// "2026-11-28 10:15:00 UTC"; "-": not known.
std::string ShowTime(std::int64_t ms);
// "340/s"; below one a second "20/min".
std::string ShowRate(std::int64_t per_min);
// "running  5000/10000  12 failed  340/s  ends in 15 s"; with a bar where there is a terminal.
std::string ProgressLine(const BatchState& state, std::int64_t now_ms, bool has_bar);
// "running", "ended: partial (tolerance)".
std::string ShowPhase(const BatchState& state);
// Several lines: all that there is to say.
std::string ShowState(const BatchRef& ref, const BatchState& state, std::int64_t now_ms);
// The fields of the record on Kafka (schemas/README.md), and id and user.
nlohmann::json StateJson(const BatchRef& ref, const BatchState& state);
// "10000 items of resize, ended: partial, submitted 2026-11-28 10:15:00 UTC".
std::string ShowWhatIsThere(const BatchState& state);

}  // namespace hearth::tool
