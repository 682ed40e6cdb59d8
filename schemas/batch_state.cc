#include "schemas/batch_state.h"

#include <utility>

#include "schemas/batch_json.h"

namespace hearth {
namespace {

using fields::BatchFields;

constexpr std::string_view kStateWhat = "state";
constexpr std::size_t kStateDigestDigits = 64;

constexpr std::array<std::pair<const char*, std::int64_t BatchTimes::*>, 5> kBatchTimes{{
    {"submitted_ms", &BatchTimes::submitted_ms},
    {"started_ms", &BatchTimes::started_ms},
    {"ended_ms", &BatchTimes::ended_ms},
    {"deadline_ms", &BatchTimes::deadline_ms},
    {"updated_ms", &BatchTimes::updated_ms},
}};

// The row that the text names; `out` stays where the field is absent.
template <class Row, std::size_t kCount, class Value>
void ReadName(BatchFields& fields, const char* name, const std::array<Row, kCount>& table, Value Row::* value,
              Value& out) {
  const auto* text = fields.Find(name);
  if (text == nullptr) return;
  const auto row = FindByName(table, name, text->is_string() ? text->get<std::string>() : std::string());
  if (!row) return fields.Fault(Code::kInvalid, name, BatchFields::Shown(*text), Names(table));
  out = (*row)->*value;
}

void ReadCounts(BatchFields& fields, BatchState& state) {
  const auto* counts = fields.Find("counts");
  if (counts == nullptr) return;
  if (!counts->is_object()) return fields.Fault(Code::kInvalid, "counts", BatchFields::Shown(*counts), "an object");
  for (const ItemStatusRow& row : kItemStatuses) {
    const std::string place = "counts." + std::string(row.name);
    const auto count = counts->find(row.name);
    if (count != counts->end()) fields.Number(place.c_str(), *count, 0, state.total, state.counts[row.status]);
  }
}

void ReadResults(BatchFields& fields, std::optional<ResultOffsets>& out) {
  const auto* results = fields.Find("results");
  if (results == nullptr) return;
  if (!results->is_array() || results->size() != 2) {
    return fields.Fault(Code::kInvalid, "results", BatchFields::Shown(*results), "[first, last]");
  }
  ResultOffsets offsets;
  fields.Number("results", (*results)[0], 0, INT64_MAX, offsets.first);
  fields.Number("results", (*results)[1], offsets.first, INT64_MAX, offsets.last);
  out = offsets;
}

void CheckState(BatchFields& fields, const BatchState& state) {
  if (!fields.ok()) return;
  const auto sum = std::to_string(state.counts.Total());
  if (state.counts.Total() != state.total) {
    return fields.Fault(Code::kInvalid, "total", std::to_string(state.total), "the sum of the counts, " + sum);
  }
  const bool has_ended = state.phase == BatchPhase::kEnded;
  if (has_ended == (state.outcome == BatchOutcome::kNone)) {
    return fields.Wrong("outcome", has_ended ? "is absent" : "stands beside a state that is not ended");
  }
  if (has_ended && state.counts[ItemStatus::kPending] != 0) {
    fields.Fault(Code::kInvalid, "counts.pending", std::to_string(state.counts[ItemStatus::kPending]),
                 "0 of a batch that has ended");
  }
}

}  // namespace

std::string EncodeBatchState(const BatchState& state) {
  nlohmann::json object = {{"v", fields::kBatchFormat},
                           {"state", kBatchPhases.at(static_cast<std::size_t>(state.phase)).name},
                           {"generation", state.generation},
                           {"total", state.total},
                           {"epoch", state.epoch}};
  const auto set = [&object](const char* name, const auto& value, bool is_there) {
    if (is_there) object[name] = value;
  };
  auto& counts = object["counts"] = nlohmann::json::object();
  for (const ItemStatusRow& row : kItemStatuses) {
    if (state.counts[row.status] != 0) counts[std::string(row.name)] = state.counts[row.status];
  }
  set("outcome", kBatchOutcomes.at(static_cast<std::size_t>(state.outcome)).name, state.outcome != BatchOutcome::kNone);
  set("reason", CutText(state.reason, kMaxBatchReasonBytes), !state.reason.empty());
  set("fn", state.function.str(), !state.function.empty());
  set("version", state.version, state.version > 0);
  set("version", fields::kNewest, state.version == kVersionNewest);
  set("selection", fields::SelectionJson(state.selection), !state.selection.empty());
  set("digest", state.digest, !state.digest.empty());
  for (const auto& [name, member] : kBatchTimes) set(name, state.times.*member, state.times.*member != 0);
  set("concurrency", state.concurrency, state.concurrency != kNoBatchConcurrency);
  set("priority", state.priority, state.priority != 0);
  if (state.tolerance) object["tolerance"] = FormatTolerance(*state.tolerance);
  if (!state.labels.empty()) object["labels"] = state.labels;
  if (state.results) object["results"] = {state.results->first, state.results->last};
  if (state.on_complete) object["on_complete"] = RowOf(*state.on_complete).name;
  set("rate_per_min", state.rate_per_min, state.rate_per_min != 0);
  set("estimate_ms", state.estimate_ms, state.estimate_ms != 0);
  return fields::DumpJson(object);
}

Result<BatchState> DecodeBatchState(std::string_view json) {
  const auto object = fields::ParseBatchObject(kStateWhat, json, kMaxBatchStateBytes);
  if (!object) return std::unexpected(object.error());
  BatchFields fields(kStateWhat, *object);
  BatchState state;
  if (fields.Find("state") == nullptr) fields.Wrong("state", "is absent");
  ReadName(fields, "state", kBatchPhases, &BatchPhaseRow::phase, state.phase);
  ReadName(fields, "outcome", kBatchOutcomes, &BatchOutcomeRow::outcome, state.outcome);
  fields.Text("reason", kMaxBatchReasonBytes, state.reason);
  fields.Identifier("fn", state.function.value);
  fields.Version("version", kVersionNewest, state.version);
  fields.Number("generation", 0, kMaxBatchGeneration, state.generation);
  fields.Selection("selection", state.selection);
  fields.Number("total", 0, kMaxBatchItems, state.total);
  ReadCounts(fields, state);
  fields.Text("digest", kStateDigestDigits, state.digest);
  for (const auto& [name, member] : kBatchTimes) fields.Number(name, 0, kMaxTimeMs, state.times.*member);
  fields.Number("concurrency", 0, kMaxBatchConcurrency, state.concurrency);
  fields.Number("priority", 0, kMaxBatchPriority, state.priority);
  fields.Tolerated("tolerance", state.tolerance);
  fields.Labels("labels", state.labels);
  ReadResults(fields, state.results);
  if (fields.Find("on_complete") != nullptr) {
    ReadName(fields, "on_complete", kItemStatuses, &ItemStatusRow::status, state.on_complete.emplace());
  }
  fields.Number("rate_per_min", 0, INT64_MAX, state.rate_per_min);
  fields.Number("estimate_ms", 0, kMaxTimeMs, state.estimate_ms);
  fields.Number("epoch", 0, INT64_MAX, state.epoch);
  CheckState(fields, state);
  if (auto good = fields.Finish(); !good) return std::unexpected(good.error());
  return state;
}

}  // namespace hearth
