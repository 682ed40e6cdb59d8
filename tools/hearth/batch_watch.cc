#include "tools/hearth/batch_watch.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/base/time.h"
#include "tools/hearth/batch_text.h"
#include "tools/hearth/waiting.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kWatchTurnMs = 200;
constexpr std::int64_t kQuietMs = 3000;  // without a word of the batch it is looked who is there

std::int64_t WatchNowMs() {
  return ReadClocks().wall_us / kMicrosPerMilli;
}

}  // namespace

bool LinePace::Due(const BatchState& state, std::int64_t now_ms) {
  const std::string phase = ShowPhase(state);
  const bool is_new = !has_told_ || phase != phase_;
  if (!is_new && (state.counts == counts_ || now_ms - told_ms_ < kLineEveryMs)) return false;
  has_told_ = true;
  told_ms_ = now_ms;
  phase_ = phase;
  counts_ = state.counts;
  return true;
}

Result<BatchState> Watch(const Context& context, BatchFollower& batch, std::int32_t generation) {
  const auto kind = ProgressKind(context);
  LiveLine line(stderr);
  LinePace pace;
  std::string missing;
  std::string told_missing;
  std::int64_t heard_ms = WatchNowMs();
  bool is_new = true;
  bool was_there = batch.state().has_value();
  while (true) {
    const std::int64_t now_ms = WatchNowMs();
    if (const auto& state = batch.state()) {
      was_there = true;
      if (context.json && is_new) fmt::print("{}\n", StateJson(batch.ref(), *state).dump(-1, ' ', true));
      if (context.json) std::fflush(stdout);
      std::string text =
          batch.ref().batch.str() + "  " + ProgressLine(*state, now_ms, kind == Progress::Kind::kTerminal);
      if (!missing.empty()) text += "  " + missing;
      if (state->phase == BatchPhase::kPaused) text += "; " + ResumeHint(context, batch.ref());
      if (kind == Progress::Kind::kTerminal) line.Draw(text);
      if (kind == Progress::Kind::kLines && !context.json && (pace.Due(*state, now_ms) || missing != told_missing)) {
        told_missing = missing;
        PrintError("hearth: {}\n", Shown(text));
      }
      if (state->phase == BatchPhase::kEnded && state->generation >= generation) return *state;
    } else if (was_there) {
      return Fail(Code::kNotFound, "batch " + batch.ref().batch.str() + " was taken away: it ended a week ago");
    }
    const auto said = batch.Next(kWatchTurnMs);
    is_new = said && *said;
    if (!said && said.error().code == Code::kNotFound) return std::unexpected(said.error());
    if (!said) missing = said.error().message;
    if (is_new) {
      heard_ms = WatchNowMs();
      missing.clear();
    } else if (WatchNowMs() - heard_ms >= kQuietMs) {
      if (said) missing = WhoSeemsMissing(context);
      heard_ms = WatchNowMs();
    }
  }
}

void TellEnd(const Context& context, const BatchRef& ref, const BatchState& state) {
  if (!context.json && !context.quiet) Print("{}", ShowState(ref, state, WatchNowMs()));
}

}  // namespace hearth::tool
