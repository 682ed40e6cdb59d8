#include "tools/hearth/batch_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "schemas/batch_want.h"
#include "tools/hearth/batch_store.h"
#include "tools/hearth/batch_submit.h"
#include "tools/hearth/batch_text.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kShownMs = 15'000;   // that it is waited for the state to show a wish
constexpr std::int64_t kUnknownMs = 3'000;  // the same, where it was told before that there is no such batch

// A batch, and what is told while something is wished of it.
class Control {
 public:
  Control(const Context& context, const std::string& id)
      : context_(context), ref_{UserId(context.user.value), BatchId(id)}, progress_(stderr, ProgressKind(context)) {}

  // Reads what is said of it. Nothing: it goes on; else the exit code of what was reported.
  std::optional<int> Open() {
    if (!IsBatchId(ref_.batch.str())) {
      return Ends(ReportUsage(fmt::format("a batch's id must be 1 to {} of [A-Za-z0-9._-]", kMaxBatchIdBytes)));
    }
    progress_.Say("asking Kafka at " + context_.bootstrap.value);
    auto found = FindBatch(context_, ref_, {Topic::kBatches, Topic::kBatchState});
    if (!found) return EndsKafka(found.error());
    home_ = found->home;
    batch_.emplace(std::move(found->batch));
    return std::nullopt;
  }
  // Something was said of it, and it is a batch.
  [[nodiscard]] bool IsKnown() const { return batch_->state() && !IsUnknown(*batch_->state()); }
  [[nodiscard]] const BatchState& state() const { return *batch_->state(); }
  [[nodiscard]] BatchFollower& batch() { return *batch_; }
  [[nodiscard]] std::int32_t home() const { return home_; }
  [[nodiscard]] const BatchRef& ref() const { return ref_; }
  Progress& progress() { return progress_; }

  // What has ended hears no wish but a redrive.
  std::optional<int> NeedRunning(std::string_view what) {
    if (!IsKnown() || state().phase != BatchPhase::kEnded) return std::nullopt;
    progress_.Stop();
    return Report(
        Error{Code::kInvalid, fmt::format("{} has ended, so there is nothing to {}: it {}", ref_.batch.str(), what,
                                          ShowPhase(state()))},
        fmt::format("{} writes its results; {} runs what failed again", Again(context_, "results " + ref_.batch.str()),
                    Again(context_, "redrive " + ref_.batch.str())));
  }

  std::optional<int> Write(const Want& want) {
    progress_.Say("writing the wish to Kafka at " + context_.bootstrap.value);
    const auto written = WriteWant(context_, home_, ref_, want);
    return written ? std::nullopt : std::optional(EndsKafka(written.error()));
  }

  // Waits until the state shows it. A wish that is shown already is not waited for.
  std::optional<int> Shown(const std::function<bool(const BatchState&)>& shows) {
    if (IsKnown() && shows(state())) return std::nullopt;
    const bool was_unknown = batch_->state() && IsUnknown(*batch_->state());
    progress_.Say("waiting for the owner of " + ref_.batch.str());
    const auto holds = [&](const BatchFollower& one) {
      return one.state() && (IsUnknown(*one.state()) || shows(*one.state()));
    };
    std::string missing;
    const auto shown = WaitFor(context_, *batch_, was_unknown ? kUnknownMs : kShownMs, holds, progress_, missing);
    if (!shown) return EndsKafka(shown.error());
    progress_.Stop();
    if (batch_->state() && IsUnknown(*batch_->state())) return ReportUnknownBatch(context_, ref_);
    if (*shown) return std::nullopt;
    return Report(
        Error{Code::kDeadline, fmt::format("the state of {} does not show it yet: {}", ref_.batch.str(),
                                           IsKnown() ? ShowPhase(state()) : "nobody has taken the batch")},
        fmt::format("{}the wish is written and stays; {} follows it\nhearth status tells what is missing",
                    missing.empty() ? "" : missing + "\n", Again(context_, "status " + ref_.batch.str() + " --watch")));
  }

  // The state as it is now.
  int Done(std::string_view said) {
    progress_.Stop();
    if (context_.json) {
      PrintJson(StateJson(ref_, state()));
    } else {
      Print("{}: {}\n", ref_.batch.str(), tool::Shown(said.empty() ? ShowPhase(state()) : said));
    }
    return kFine;
  }
  int Ends(int code) {
    progress_.Stop();
    return code;
  }
  int EndsKafka(const Error& error) {
    progress_.Stop();
    return ReportKafka(context_, error);
  }

 private:
  const Context& context_;
  const BatchRef ref_;
  Progress progress_;
  std::int32_t home_ = 0;
  std::optional<BatchFollower> batch_;
};

int Wish(const Context& context, const std::string& id, RunWish wish, std::string_view what,
         const std::function<bool(const BatchState&)>& shows) {
  Control control(context, id);
  if (const auto code = control.Open()) return *code;
  if (const auto code = control.NeedRunning(what)) return *code;
  const bool was_paused = control.IsKnown() && control.state().phase == BatchPhase::kPaused;
  if (const auto code = control.Write(WantRun{wish})) return *code;
  if (const auto code = control.Shown(shows)) return *code;
  // It may have ended before it heard of the wish.
  const bool cancels = wish == RunWish::kCancel || wish == RunWish::kCancelNow;
  const bool heard = cancels ? control.state().outcome == BatchOutcome::kCancelled : was_paused;
  if (!heard) {
    if (const auto code = control.NeedRunning(what)) return *code;
  }
  return control.Done("");
}

Result<std::vector<Want>> WantsOf(const SetBatchOptions& options) {
  std::vector<Want> wants;
  if (options.concurrency) wants.emplace_back(WantConcurrency{*options.concurrency});
  if (options.priority) wants.emplace_back(WantPriority{*options.priority});
  if (options.tolerate == "none") {
    wants.emplace_back(WantTolerance{});
  } else if (!options.tolerate.empty()) {
    const auto tolerance = ParseTolerance(options.tolerate);
    if (!tolerance) return FailWith("--tolerate", tolerance.error());
    wants.emplace_back(WantTolerance{*tolerance});
  }
  if (!options.deadline.empty()) {
    const auto deadline_ms = DeadlineAfter(options.deadline, ReadClocks().wall_us / kMicrosPerMilli);
    if (!deadline_ms) return FailWith("--deadline", deadline_ms.error());
    wants.emplace_back(WantDeadline{*deadline_ms});
  }
  if (wants.empty())
    return Fail(Code::kInvalid, "say at least one of --concurrency, --priority, --tolerate, --deadline");
  return wants;
}

bool ShowsWant(const BatchState& state, const Want& want) {
  if (const auto* most = std::get_if<WantConcurrency>(&want)) return state.concurrency == most->most;
  if (const auto* priority = std::get_if<WantPriority>(&want)) return state.priority == priority->priority;
  if (const auto* tolerance = std::get_if<WantTolerance>(&want)) return state.tolerance == tolerance->tolerance;
  if (const auto* deadline = std::get_if<WantDeadline>(&want)) {
    return state.times.deadline_ms == deadline->deadline_ms;
  }
  return true;
}

// The statuses that its items have and that could be named.
std::string OthersOf(const BatchState& state) {
  std::vector<std::string_view> names;
  for (const ItemStatusRow& row : kItemStatuses) {
    if (row.status != ItemStatus::kOk && state.counts[row.status] > 0) names.push_back(row.name);
  }
  return names.empty() ? "ok" : fmt::format("{}", fmt::join(names, ","));
}

Result<WantRedrive> RedriveOf(const RedriveOptions& options) {
  WantRedrive redrive;
  if (!options.status.empty()) {
    const auto selection = ParseSelection(options.status);
    if (!selection) return FailWith("--status", selection.error());
    redrive.selection = *selection;
  }
  if (!options.version.empty()) {
    const auto version = ParseVersion(options.version);
    if (!version) return FailWith("--version", version.error());
    redrive.version = *version;
  }
  if (!options.wait && (!options.results.empty() || options.results.unordered)) {
    return Fail(Code::kInvalid, "--out, --errors and --unordered are for results, so for --wait");
  }
  return redrive;
}

}  // namespace

int PauseBatch(const Context& context, const std::string& id) {
  return Wish(context, id, RunWish::kPause, "pause", [](const BatchState& state) {
    return state.phase == BatchPhase::kPaused || state.phase == BatchPhase::kEnded;
  });
}

int ResumeBatch(const Context& context, const std::string& id) {
  return Wish(context, id, RunWish::kRun, "resume",
              [](const BatchState& state) { return state.phase != BatchPhase::kPaused; });
}

int CancelBatch(const Context& context, const std::string& id, bool now) {
  return Wish(context, id, now ? RunWish::kCancelNow : RunWish::kCancel, "cancel", [now](const BatchState& state) {
    return state.phase == BatchPhase::kEnded || (state.phase == BatchPhase::kEnding && !now);
  });
}

int SetBatch(const Context& context, const std::string& id, const SetBatchOptions& options) {
  const auto wants = WantsOf(options);
  if (!wants) return ReportUsage(wants.error().message);
  Control control(context, id);
  if (const auto code = control.Open()) return *code;
  if (const auto code = control.NeedRunning("set")) return *code;
  for (const Want& want : *wants) {
    if (const auto code = control.Write(want)) return *code;
  }
  const auto shows = [&wants](const BatchState& state) {
    return state.phase == BatchPhase::kEnded ||
           std::ranges::all_of(*wants, [&](const Want& want) { return ShowsWant(state, want); });
  };
  if (const auto code = control.Shown(shows)) return *code;
  return control.Done("set");
}

int RedriveBatch(const Context& context, const std::string& id, const RedriveOptions& options) {
  auto redrive = RedriveOf(options);
  if (!redrive) return ReportUsage(redrive.error().message);
  if (auto good = CheckFiles(options.results); !good) return Report(good.error(), "nothing is run again");
  Interrupts interrupts;  // before what has threads
  interrupts.Mean("interrupted: nothing is run again");
  Control control(context, id);
  if (const auto code = control.Open()) return *code;
  const BatchRef& ref = control.ref();
  if (!control.IsKnown()) return control.Ends(ReportUnknownBatch(context, ref));
  const auto generation = NextGeneration(control.state(), redrive->selection);
  if (!generation) {
    control.progress().Stop();
    const bool runs = control.state().phase != BatchPhase::kEnded;
    return Report(
        FailWith(ref.batch.str() + " cannot be redriven", generation.error()).error(),
        runs ? fmt::format("{} waits for its end; {} ends it", Again(context, "status " + ref.batch.str() + " --watch"),
                           Again(context, "cancel " + ref.batch.str()))
             : fmt::format("{} runs them again",
                           Again(context, "redrive " + ref.batch.str() + " --status " + OthersOf(control.state()))));
  }
  if (const int code = CheckFunction(context, control.state().function, redrive->version); code != kFine) {
    return control.Ends(code);
  }
  redrive->generation = *generation;
  const std::string watch = Again(context, "status " + ref.batch.str() + " --watch");
  interrupts.Mean(fmt::format("detached: what was asked for stays; {} attaches again", watch));
  if (const auto code = control.Write(*redrive)) return *code;
  const auto shows = [&](const BatchState& state) { return state.generation >= *generation; };
  if (const auto code = control.Shown(shows)) return *code;
  control.progress().Stop();
  if (options.wait) {
    return WaitForEnd(context, control.home(), control.batch(), *generation, options.results, interrupts);
  }
  if (!context.quiet) PrintError("hearth: {} waits for what runs again\n", watch);
  return control.Done(fmt::format("redrive {}", *generation));
}

}  // namespace hearth::tool
