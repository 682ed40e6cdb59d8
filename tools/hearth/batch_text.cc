#include "tools/hearth/batch_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/base/text.h"
#include "schemas/limits.h"
#include "tools/hearth/context.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kSecondMs = 1000;
constexpr std::int64_t kMinuteMs = 60 * kSecondMs;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;
constexpr std::int64_t kMostOfUnit = 1'000'000'000;
constexpr std::size_t kMaxShownBytes = 64;
constexpr std::size_t kBarLetters = 20;
constexpr std::int64_t kDaysKept = kBatchRetentionMs / kDayMs;

constexpr std::array<std::pair<char, std::int64_t>, 4> kUnits{
    {{'s', kSecondMs}, {'m', kMinuteMs}, {'h', kHourMs}, {'d', kDayMs}}};

std::optional<std::int64_t> SpanOf(std::string_view text) {
  std::int64_t all = 0;
  const bool is_back = text.starts_with('-');
  if (is_back) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || text.front() == '-' || number > kMostOfUnit) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto* unit =
        text.empty() ? kUnits.end() : std::ranges::find(kUnits, text.front(), &decltype(kUnits)::value_type::first);
    if (unit == kUnits.end()) return std::nullopt;
    all += number * unit->second;
    text.remove_prefix(1);
  }
  return is_back ? -all : all;
}

std::string Shorten(std::string_view text) {
  return EscapeControls(CutText(text, kMaxShownBytes));
}

std::int64_t Ended(const BatchState& state) {
  return state.total - state.counts[ItemStatus::kPending];
}

std::string ShowCounts(const ItemCounts& counts) {
  std::vector<std::string> parts;
  for (const ItemStatusRow& row : kItemStatuses) {
    if (counts[row.status] > 0) parts.push_back(fmt::format("{} {}", counts[row.status], row.name));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string ShowVersion(std::int64_t version) {
  return version == kVersionNewest ? "newest" : std::to_string(version);
}

}  // namespace

Result<std::int64_t> ParseSpan(std::string_view text) {
  if (const auto span = SpanOf(text)) return *span;
  return Fail(Code::kInvalid,
              fmt::format("'{}' is no time span: it is such as 90s, 30m, 6h, 2d or 1h30m", Shorten(text)));
}

Result<std::int64_t> DeadlineAfter(std::string_view span, std::int64_t now_ms) {
  const auto ahead_ms = ParseSpan(span);
  if (!ahead_ms) return FailWith("deadline", ahead_ms.error());
  if (*ahead_ms <= 0) {
    return Fail(Code::kInvalid, fmt::format("deadline {}: it lies in the past; it is counted from now on", span));
  }
  if (*ahead_ms > kBatchRetentionMs) {
    return Fail(Code::kExhausted,
                fmt::format("deadline {}: at most {}d, as items and results are kept no longer", span, kDaysKept));
  }
  return now_ms + *ahead_ms;
}

Result<std::int64_t> ParseVersion(std::string_view text) {
  if (text == "newest") return kVersionNewest;
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error == std::errc() && end == text.data() + text.size() && version > 0) return version;
  return Fail(Code::kInvalid, fmt::format("version '{}': it must be a positive number or newest", Shorten(text)));
}

Result<StatusSelection> ParseSelection(std::string_view names) {
  StatusSelection selection;
  while (true) {
    const auto comma = std::min(names.find(','), names.size());
    const auto status = ParseItemStatus(names.substr(0, comma));
    if (!status) return std::unexpected(status.error());
    if (*status == ItemStatus::kPending) return Fail(Code::kInvalid, "status 'pending': what is pending runs anyway");
    selection.Add(*status);
    if (comma == names.size()) return selection;
    names.remove_prefix(comma + 1);
  }
}

Result<void> AddLabel(std::map<std::string, std::string>& labels, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Fail(Code::kInvalid, fmt::format("label '{}': it must be NAME=VALUE", Shorten(text)));
  }
  if (labels.emplace(text.substr(0, equals), text.substr(equals + 1)).second) return {};
  return Fail(Code::kInvalid, fmt::format("label '{}' stands there twice", Shorten(text.substr(0, equals))));
}

BatchId DefaultBatchId(std::string_view path, const FunctionName& function, std::int64_t now_ms) {
  std::string name = path.empty() || path == "-" ? function.str() : std::filesystem::path(path).stem().string();
  const std::string time = fmt::format("-{:%Y%m%d-%H%M%S}", fmt::gmtime(static_cast<std::time_t>(now_ms / kSecondMs)));
  name.resize(std::min(name.size(), kMaxBatchIdBytes - time.size()));
  for (char& c : name) {
    const bool fits =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
    if (!fits) c = '-';
  }
  return BatchId(name + time);
}

Result<std::int32_t> NextGeneration(const BatchState& state, const StatusSelection& selection) {
  if (state.phase != BatchPhase::kEnded) {
    return Fail(Code::kInvalid, fmt::format("it has not ended: it is {}", ShowPhase(state)));
  }
  std::int64_t again = 0;
  std::vector<std::string_view> names;
  for (const ItemStatusRow& row : kItemStatuses) {
    if (!selection.Has(row.status)) continue;
    again += state.counts[row.status];
    names.push_back(row.name);
  }
  if (again == 0) {
    const auto counts = ShowCounts(state.counts);
    return Fail(Code::kInvalid, fmt::format("no item of it is {}: {}", fmt::join(names, " or "),
                                            counts.empty() ? "it has none" : "they are " + counts));
  }
  if (state.generation >= kMaxBatchGeneration) {
    return Fail(Code::kExhausted, fmt::format("it was redriven {} times: that is the limit", state.generation));
  }
  return state.generation + 1;
}

int ExitOf(const BatchState& state) {
  switch (state.outcome) {
    case BatchOutcome::kNone:
    case BatchOutcome::kSucceeded: return kFine;
    case BatchOutcome::kPartial:
    case BatchOutcome::kFailed: return kFailed;
    case BatchOutcome::kCancelled:
    case BatchOutcome::kExpired: return kStopped;
  }
  return kFailed;
}

bool IsUnknown(const BatchState& state) {
  return state.reason == kUnknownBatch;
}

bool IsRefused(const BatchState& state) {
  return state.outcome == BatchOutcome::kFailed && state.total == 0 && !IsUnknown(state);
}

std::string ShowSpan(std::int64_t ms) {
  if (ms < kMinuteMs) return fmt::format("{} s", std::max<std::int64_t>(ms, 0) / kSecondMs);
  if (ms < kHourMs) return fmt::format("{} min {} s", ms / kMinuteMs, ms % kMinuteMs / kSecondMs);
  if (ms < kDayMs) return fmt::format("{} h {} min", ms / kHourMs, ms % kHourMs / kMinuteMs);
  return fmt::format("{} d {} h", ms / kDayMs, ms % kDayMs / kHourMs);
}

std::string ShowTime(std::int64_t ms) {
  if (ms <= 0) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(ms / kSecondMs)));
}

std::string ShowRate(std::int64_t per_min) {
  constexpr std::int64_t kSeconds = 60;
  return per_min >= kSeconds ? fmt::format("{}/s", per_min / kSeconds) : fmt::format("{}/min", per_min);
}

std::string ShowPhase(const BatchState& state) {
  std::string text(kBatchPhases.at(static_cast<std::size_t>(state.phase)).name);
  if (state.outcome != BatchOutcome::kNone) {
    text.append(": ").append(kBatchOutcomes.at(static_cast<std::size_t>(state.outcome)).name);
  }
  if (!state.reason.empty() && !text.ends_with(state.reason)) text += " (" + state.reason + ")";
  return text;
}

std::string ProgressLine(const BatchState& state, std::int64_t now_ms, bool has_bar) {
  std::string line;
  const std::int64_t done = Ended(state);
  if (has_bar) {
    const std::size_t full =
        state.total > 0 ? static_cast<std::size_t>(static_cast<std::int64_t>(kBarLetters) * done / state.total) : 0;
    line = "[" + std::string(full, '#') + std::string(kBarLetters - full, '.') + "] ";
  }
  line += fmt::format("{}  {}/{}  {} failed", ShowPhase(state), done, state.total, state.counts.Failed());
  if (state.generation > 0) line += fmt::format("  redrive {}", state.generation);
  if (state.phase == BatchPhase::kEnded) return line;
  if (state.rate_per_min > 0) line += "  " + ShowRate(state.rate_per_min);
  if (state.estimate_ms > 0) line += "  ends in " + ShowSpan(state.estimate_ms - now_ms);
  return line;
}

std::string ShowState(const BatchRef& ref, const BatchState& state, std::int64_t now_ms) {
  std::string text;
  const auto say = [&text](std::string_view name, std::string_view what) {
    if (!what.empty()) text += fmt::format("{:<12} {}\n", name, EscapeControls(what));
  };
  say("batch", FormatBatchRef(ref));
  say("state", ShowPhase(state));
  say("function", state.version == 0 ? state.function.str()
                                     : fmt::format("{}, version {}", state.function.str(), ShowVersion(state.version)));
  say("items",
      state.total == 0 ? "" : fmt::format("{}/{} done: {}", Ended(state), state.total, ShowCounts(state.counts)));
  if (state.generation > 0) say("redrives", std::to_string(state.generation));
  if (state.on_complete) say("on complete", RowOf(*state.on_complete).name);
  if (state.phase != BatchPhase::kEnded) {
    if (state.rate_per_min > 0) say("rate", ShowRate(state.rate_per_min));
    if (state.estimate_ms > 0) say("estimate", fmt::format("ends in {}", ShowSpan(state.estimate_ms - now_ms)));
  }
  if (state.phase != BatchPhase::kEnded) {
    say("concurrency", state.concurrency == kNoBatchConcurrency ? "" : std::to_string(state.concurrency));
    say("priority", state.priority == 0 ? "" : std::to_string(state.priority));
    say("tolerance", state.tolerance ? FormatTolerance(*state.tolerance) + " failed" : "");
  }
  std::string labels;
  for (const auto& [name, value] : state.labels) labels += (labels.empty() ? "" : ", ") + name + "=" + value;
  say("labels", labels);
  say("submitted", state.times.submitted_ms == 0 ? "" : ShowTime(state.times.submitted_ms));
  say("started", state.times.started_ms == 0 ? "" : ShowTime(state.times.started_ms));
  say("ended", state.times.ended_ms == 0 ? "" : ShowTime(state.times.ended_ms));
  if (state.phase != BatchPhase::kEnded && state.times.deadline_ms != 0)
    say("deadline", ShowTime(state.times.deadline_ms));
  return text;
}

nlohmann::json StateJson(const BatchRef& ref, const BatchState& state) {
  auto json = nlohmann::json::parse(EncodeBatchState(state));
  json["id"] = ref.batch.str();
  json["user"] = ref.user.str();
  return json;
}

std::string ShowWhatIsThere(const BatchState& state) {
  return fmt::format("{} items{}, {}{}", state.total, state.function.empty() ? "" : " of " + state.function.str(),
                     ShowPhase(state),
                     state.times.submitted_ms == 0 ? "" : ", submitted " + ShowTime(state.times.submitted_ms));
}

}  // namespace hearth::tool
