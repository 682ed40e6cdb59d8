#include "tools/bench/neighbour.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/time.h"
#include "tools/bench/own_stack.h"
#include "tools/bench/processes.h"

namespace hearth::bench {
namespace {

constexpr int kTurnMs = 1;
constexpr std::int64_t kLastAnswersUs = 10 * kMicrosPerSecond;
constexpr std::int64_t kTellEveryUs = 5 * kMicrosPerSecond;

}  // namespace

Neighbour::Neighbour(LoadClient& client, LoadFunction function, double rate, std::string prefix)
    : client_(client),
      function_(std::move(function)),
      interval_us_(kMicrosPerSecond / rate),
      prefix_(std::move(prefix)) {}

Result<void> Neighbour::SendDue(AnswerFigures& figures, const char* topic, std::int64_t begin_us) {
  const auto due_us = begin_us + static_cast<std::int64_t>(static_cast<double>(figures.sent) * interval_us_);
  if (due_us > ReadClocks().mono_us) return {};
  ++figures.sent;
  const std::string id = fmt::format("{}n{}", prefix_, number_++);
  waiting_.emplace(id, Waiting{&figures, due_us});
  return client_.Send(MakeRequest(function_, id, topic, function_.user, "null"));
}

Result<NeighbourFigures> Neighbour::Run(double seconds, const Watching& watching) {
  NeighbourFigures figures;
  const auto take = [&](std::string_view key, std::string_view status, std::string_view error) {
    const auto known = waiting_.find(key);
    if (known == waiting_.end()) return watching.other(key, status, error);
    AnswerFigures& of = *known->second.figures;
    of.latency.Add(ReadClocks().mono_us - known->second.due_us);
    of.ok += &of == &figures.echoes || status == "ok" ? 1 : 0;
    waiting_.erase(known);
  };
  const std::int64_t begin_us = ReadClocks().mono_us;
  // Between two requests, so that neither stands behind the other.
  const std::int64_t echoes_begin_us = begin_us + static_cast<std::int64_t>(interval_us_ / 2);
  const auto end_us = begin_us + static_cast<std::int64_t>(seconds * kMicrosPerSecond);
  std::int64_t tell_us = begin_us + kTellEveryUs;
  for (std::int64_t now_us = begin_us; now_us < end_us; now_us = ReadClocks().mono_us) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    const auto is_over = watching.over();
    if (!is_over) return std::unexpected(is_over.error());
    if (*is_over) break;
    if (auto sent = SendDue(figures.requests, kStandardTopic, begin_us); !sent) return std::unexpected(sent.error());
    if (auto sent = SendDue(figures.echoes, RawEcho::kRequests, echoes_begin_us); !sent)
      return std::unexpected(sent.error());
    client_.Poll(kTurnMs, take);
    if (now_us < tell_us) continue;
    tell_us = now_us + kTellEveryUs;
    watching.told(figures);
  }
  const std::int64_t last_us = ReadClocks().mono_us + kLastAnswersUs;
  while (!waiting_.empty() && ReadClocks().mono_us < last_us && !ToldToEnd()) client_.Poll(kTurnMs, take);
  for (const auto& [id, waiting] : waiting_) {
    waiting.figures->latency.Add(ReadClocks().mono_us - waiting.due_us);
    ++waiting.figures->unanswered;
  }
  waiting_.clear();
  return figures;
}

}  // namespace hearth::bench
