#include "tools/bench/chaos.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "schemas/batch_item.h"
#include "schemas/request_fields.h"
#include "tools/bench/batch_client.h"
#include "tools/bench/figures.h"
#include "tools/bench/item_tally.h"

namespace hearth::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kId = "chaos";
constexpr int kPollMs = 1;
constexpr std::int64_t kTellEveryUs = 10 * kMicrosPerSecond;
constexpr std::int64_t kLookForOwnerUs = 50'000;  // between two looks at the dispatchers' gauges
constexpr std::int64_t kOwnerWithinUs = 30 * kMicrosPerSecond;
constexpr std::int64_t kEventsWithinUs = 10 * kMicrosPerSecond;  // until executors have told their last ends
constexpr std::int64_t kReadMs = 10'000;

// What is promised (docs/batches.md).
constexpr double kMostSilenceMs = 2000;        // of a dispatcher that is started again
constexpr double kMostBeyondSessionMs = 1000;  // of one that another one replaces, beyond the session
constexpr int kSessionMs = 3000;               // as dispatchers have it

// A line of the standard error now and then.
class Ticker {
 public:
  bool Due() {
    const std::int64_t now_us = ReadClocks().mono_us;
    if (now_us < next_us_) return false;
    next_us_ = now_us + kTellEveryUs;
    return true;
  }

 private:
  std::int64_t next_us_ = ReadClocks().mono_us + kTellEveryUs;
};

struct Kill {
  std::int64_t at_us = 0;  // wall
  std::size_t dispatcher = 0;
  bool by_other = false;
  std::int64_t without_start_us = 0;  // the longest time without a start, from here to the next kill
  std::int64_t without_end_us = 0;    // the same without an end
};

class Chaos {
 public:
  Chaos(const ChaosOptions& options, OwnStack& stack, LoadClient& client)
      : options_(options), stack_(stack), client_(client), tally_(options.items) {}
  Result<void> Run();
  [[nodiscard]] int Print() const;

 private:
  Result<void> Prepare();
  Result<void> RunBatch();
  Result<void> KillWhatIsDue();
  [[nodiscard]] std::optional<std::size_t> Owner() const;
  void Look(const BatchState& state);
  Result<void> ReadResults();
  Result<void> AwaitEvents();
  [[nodiscard]] std::vector<Bound> Bounds() const;
  [[nodiscard]] double LongestMs(bool by_other) const;
  [[nodiscard]] std::int64_t done() const {
    const BatchState& state = batches_->state();
    return state.total - state.counts[ItemStatus::kPending];
  }
  [[nodiscard]] double seconds() const {
    const BatchTimes& times = batches_->state().times;
    return static_cast<double>(times.ended_ms - times.started_ms) / 1000;
  }

  const ChaosOptions& options_;
  OwnStack& stack_;
  LoadClient& client_;
  LoadFunction function_ = MakeFunctions("loud", 1, 1).front();
  std::optional<BatchClient> batches_;
  std::optional<ItemSource> source_;
  std::int64_t results_from_ = 0;  // offset of the first result that can be the batch's
  std::int64_t started_before_ = 0;
  std::int64_t started_ = 0;

  std::vector<Kill> kills_;
  std::int64_t kill_us_ = 0;  // when the next one is due, by the monotonic clock
  std::int64_t look_us_ = 0;
  std::optional<std::size_t> dead_;  // who is not started again before another one has taken over
  std::int64_t dead_until_us_ = 0;

  std::int64_t seen_epoch_ = 0;
  std::int64_t seen_done_ = 0;
  std::int64_t fallen_ = 0;  // states of the same owner or a later one that tell of fewer ends than one before
  std::int64_t epochs_ = 0;  // how many owners' states were seen
  ItemTally tally_;
};

Result<void> Chaos::Prepare() {
  if (auto deployed = DeployAll(client_, stack_.code_store(), {function_}); !deployed) return deployed;
  if (auto warmed = WarmAll(client_, {function_}, "chaos-"); !warmed) return warmed;
  auto batches = BatchClient::Open(options_.stack.bootstrap, client_, function_);
  if (!batches) return std::unexpected(batches.error());
  batches_.emplace(std::move(*batches));
  fmt::print(stderr, "   {} items are written\n", options_.items);
  Ticker ticker;
  auto source = batches_->WriteItems(kId, options_.items, static_cast<std::size_t>(options_.payload),
                                     [&ticker](std::int64_t written) {
                                       if (ticker.Due()) fmt::print(stderr, "   {} are written\n", written);
                                     });
  if (!source) return std::unexpected(source.error());
  source_ = std::move(*source);
  auto results = TopicWatch::Open(options_.stack.bootstrap, {kBatchResultsTopic, batches_->home()});
  if (!results) return std::unexpected(results.error());
  results_from_ = results->reader().position();
  const auto started = stack_.ExecutorEvents("started");
  if (!started) return std::unexpected(started.error());
  started_before_ = *started;
  return {};
}

// The dispatcher that has the batch, once all of them are there.
std::optional<std::size_t> Chaos::Owner() const {
  std::optional<std::size_t> owner;
  for (std::size_t i = 0; i < stack_.dispatchers(); ++i) {
    if (dead_ == i) continue;
    const auto running = stack_.HeldBy(i, "batches_running");
    if (!running) return std::nullopt;
    if (*running > 0) owner = i;
  }
  return owner;
}

Result<void> Chaos::KillWhatIsDue() {
  const std::int64_t now_us = ReadClocks().mono_us;
  if (now_us < look_us_ || (!dead_ && now_us < kill_us_)) return {};
  look_us_ = now_us + kLookForOwnerUs;
  const auto owner = Owner();
  if (dead_) {
    if (!owner && now_us < dead_until_us_) return {};
    const std::size_t again = *std::exchange(dead_, std::nullopt);
    return stack_.StartDispatcherAgain(again);
  }
  if (!owner) {
    if (now_us < kill_us_ + kOwnerWithinUs) return {};
    return Fail(Code::kDeadline,
                fmt::format("nobody has the batch {} s after a kill was due", kOwnerWithinUs / kMicrosPerSecond));
  }
  const bool may_be_other = stack_.dispatchers() > 1 && options_.take_over != TakeOver::kAgain;
  Kill kill;
  kill.by_other = may_be_other && (options_.take_over == TakeOver::kOther || kills_.size() % 2 == 1);
  kill.dispatcher = *owner;
  kill.at_us = ReadClocks().wall_us;
  stack_.KillDispatcher(*owner);
  kills_.push_back(kill);
  kill_us_ = now_us + static_cast<std::int64_t>(options_.every * kMicrosPerSecond);
  if (!kill.by_other) return stack_.StartDispatcherAgain(*owner);
  dead_ = *owner;
  dead_until_us_ = now_us + kOwnerWithinUs;
  return {};
}

void Chaos::Look(const BatchState& state) {
  // A former owner may write a state after its successor has.
  if (state.epoch < seen_epoch_) return;
  const std::int64_t done = state.total - state.counts[ItemStatus::kPending];
  if (done < seen_done_) ++fallen_;
  if (state.epoch > seen_epoch_) ++epochs_;
  seen_epoch_ = state.epoch;
  seen_done_ = done;
}

Result<void> Chaos::RunBatch() {
  if (auto sent = batches_->Submit(kId, options_.items, std::move(*source_)); !sent) return sent;
  fmt::print(stderr, "   the batch runs\n");
  const std::int64_t begin_us = ReadClocks().mono_us;
  kill_us_ = begin_us + static_cast<std::int64_t>(options_.every * kMicrosPerSecond);
  const auto end_us = begin_us + static_cast<std::int64_t>(options_.most_seconds * kMicrosPerSecond);
  Ticker ticker;
  for (std::int64_t now_us = begin_us; now_us < end_us; now_us = ReadClocks().mono_us) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    client_.Poll(kPollMs, [](auto, auto, auto) {});
    const auto is_over = batches_->LookAtState(kId, [this](const BatchState& state) { Look(state); });
    if (!is_over) return std::unexpected(is_over.error());
    if (*is_over) return {};
    if (auto killed = KillWhatIsDue(); !killed) return killed;
    if (ticker.Due()) {
      fmt::print(stderr, "   {} s: {} of {} have ended, {} kills\n", (now_us - begin_us) / kMicrosPerSecond, done(),
                 options_.items, kills_.size());
    }
  }
  return Fail(Code::kDeadline, "the batch has not ended: " + EncodeBatchState(batches_->state()));
}

Result<void> Chaos::ReadResults() {
  fmt::print(stderr, "   results are read\n");
  auto results = TopicWatch::Open(options_.stack.bootstrap, {kBatchResultsTopic, batches_->home()});
  if (!results) return std::unexpected(results.error());
  const std::int64_t end = results->reader().position();
  if (auto seek = results->reader().Seek(results_from_); !seek) return seek;
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> ends;
  Ticker ticker;
  while (results->reader().position() < end) {
    const auto record = results->Next(kReadMs);
    if (!record) return std::unexpected(record.error());
    if (!*record) return Fail(Code::kUnavailable, "the results cannot be read");
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    if (ticker.Due())
      fmt::print(stderr, "   {} of {} are read\n", results->reader().position() - results_from_, end - results_from_);
    const auto mark = DecodeResultMark(**record);
    if (!mark || mark->place.batch != batches_->Ref(kId)) continue;
    const auto text = [&record](std::string_view name) {
      const std::string* value = fields::FindHeader(**record, name);
      return value == nullptr ? std::string() : *value;
    };
    tally_.Add(mark->place.index, mark->generation == batches_->state().generation, text("hearth-status") == "ok");
    starts.push_back(std::strtoll(text("hearth-started-us").c_str(), nullptr, 10));
    ends.push_back(std::strtoll(text("hearth-ended-us").c_str(), nullptr, 10));
  }
  std::ranges::sort(starts);
  std::ranges::sort(ends);
  for (std::size_t i = 0; i < kills_.size() && !ends.empty(); ++i) {
    const std::int64_t to_us = i + 1 < kills_.size() ? kills_[i + 1].at_us : ends.back();
    kills_[i].without_start_us = LongestSilence(starts, kills_[i].at_us, to_us);
    kills_[i].without_end_us = LongestSilence(ends, kills_[i].at_us, to_us);
  }
  return {};
}

Result<void> Chaos::AwaitEvents() {
  const std::int64_t end_us = ReadClocks().mono_us + kEventsWithinUs;
  do {
    client_.Poll(kPollMs, [](auto, auto, auto) {});
    const auto started = stack_.ExecutorEvents("started");
    if (!started) return std::unexpected(started.error());
    started_ = *started - started_before_;
  } while (started_ < options_.items && ReadClocks().mono_us < end_us && !ToldToEnd());
  return {};
}

Result<void> Chaos::Run() {
  if (auto prepared = Prepare(); !prepared) return prepared;
  if (auto ran = RunBatch(); !ran) return ran;
  if (auto read = ReadResults(); !read) return read;
  return AwaitEvents();
}

double Chaos::LongestMs(bool by_other) const {
  std::int64_t longest_us = 0;
  for (const Kill& kill : kills_) {
    if (kill.by_other == by_other) longest_us = std::max({longest_us, kill.without_start_us, kill.without_end_us});
  }
  return static_cast<double>(longest_us) / kMicrosPerMilli;
}

std::vector<Bound> Chaos::Bounds() const {
  const BatchState& state = batches_->state();
  const auto none = [](const char* what, std::int64_t count) {
    return Bound{what, static_cast<double>(count), 0, false, ""};
  };
  std::vector<Bound> bounds = {
      none("items that the state does not count, or not as ok", options_.items - state.counts[ItemStatus::kOk]),
      none("states that tell of fewer ends than one before", fallen_),
      none("items without a result", tally_.missing()),
      none("items with more than one result", tally_.repeated()),
      none("results that are not ok", tally_.failed()),
      none("results of other generations or items", tally_.strange()),
      none("runs, more or fewer than items", std::abs(started_ - options_.items)),
      {"kills", static_cast<double>(kills_.size()), 1, true, ""},
  };
  const auto killed = [this](bool by_other) {
    return std::ranges::any_of(kills_, [by_other](const Kill& kill) { return kill.by_other == by_other; });
  };
  const int session_ms = options_.stack.session_timeout_ms > 0 ? options_.stack.session_timeout_ms : kSessionMs;
  if (killed(false)) bounds.push_back({"silence, started again", LongestMs(false), kMostSilenceMs, false, "ms"});
  if (killed(true)) {
    bounds.push_back(
        {"silence, another one took over", LongestMs(true), session_ms + kMostBeyondSessionMs, false, "ms"});
  }
  return bounds;
}

int Chaos::Print() const {
  const auto bounds = Bounds();
  const int code = AllHeld(bounds) ? 0 : 1;
  const double rate = seconds() > 0 ? static_cast<double>(options_.items) / seconds() : 0;
  const std::string what = fmt::format(
      "{} items of {} B, the owner killed every {:g} s; simulated machines, {} dispatcher(s), {} executor(s), credit "
      "{}, runs of {} ms",
      options_.items, options_.payload, options_.every, options_.stack.dispatchers, options_.executors, options_.credit,
      options_.run);
  if (options_.json) {
    const std::int64_t begin_us = batches_->state().times.started_ms * kMicrosPerMilli;
    const auto at_s = [begin_us](const Kill& kill) {
      return static_cast<double>(kill.at_us - begin_us) / kMicrosPerSecond;
    };
    Json json{{"what", what},      {"seconds", seconds()},   {"per_second", rate},     {"runs", started_},
              {"owners", epochs_}, {"kills", Json::array()}, {"bounds", Json::array()}};
    for (const Kill& kill : kills_) {
      json["kills"].push_back({{"at_s", at_s(kill)},
                               {"dispatcher", kill.dispatcher + 1},
                               {"taken_over_by", kill.by_other ? "other" : "again"},
                               {"without_start_ms", static_cast<double>(kill.without_start_us) / kMicrosPerMilli},
                               {"without_end_ms", static_cast<double>(kill.without_end_us) / kMicrosPerMilli}});
    }
    for (const auto& bound : bounds) {
      json["bounds"].push_back(
          {{"what", bound.what}, {"value", bound.value}, {"limit", bound.limit}, {"held", bound.held()}});
    }
    fmt::print("{}\n", json.dump(2));
    return code;
  }
  Table table({"the longest silence after a kill, ms", "kills", "p50, no start", "longest", "p50, no end", "longest"},
              options_.markdown);
  for (const bool by_other : {false, true}) {
    Series starts;
    Series ends;
    for (const Kill& kill : kills_) {
      if (kill.by_other != by_other) continue;
      starts.Add(kill.without_start_us);
      ends.Add(kill.without_end_us);
    }
    if (starts.size() == 0) continue;
    const auto at = [](const Series& series, double share) { return fmt::format("{:.0f}", series.At(share)); };
    table.Add({by_other ? "another one took over" : "started again", std::to_string(starts.size()), at(starts, 0.5),
               at(starts, 1), at(ends, 0.5), at(ends, 1)});
  }
  fmt::print("{}\n\n{}\n{} in {:.1f} s ({:.0f} a second), {} ok, {} runs; {} owners told of it\n\n{}", what,
             table.Text(), kBatchOutcomes.at(static_cast<std::size_t>(batches_->state().outcome)).name, seconds(), rate,
             batches_->state().counts[ItemStatus::kOk], started_, epochs_, BoundsText(bounds, options_.markdown));
  return code;
}

}  // namespace

int RunChaos(const ChaosOptions& options) {
  HoldSignals();
  ChaosOptions used = options;
  if (used.stack.user_concurrency == 0) used.stack.user_concurrency = used.credit * used.executors;
  fmt::print(stderr, "   {} dispatcher(s) and {} executor(s) start\n", used.stack.dispatchers, used.executors);
  const auto failed = [](const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return 3;
  };
  auto stack = OwnStack::Start(used.stack, BatchExecutors(used.executors, used.credit, used.run));
  if (!stack) return failed(stack.error());
  auto client = LoadClient::Open(used.stack.bootstrap, {kReplyTopic});
  if (!client) return failed(client.error());
  Chaos chaos(used, **stack, **client);
  const auto done = chaos.Run();
  const int code = done ? chaos.Print() : failed(done.error());
  if (code == 0 || used.logs.empty()) return code;
  if (auto kept = (*stack)->KeepLogs(used.logs); !kept) {
    fmt::print(stderr, "hearth-bench: {}\n", kept.error().message);
  } else {
    fmt::print(stderr, "   the daemons' logs are in {}\n", used.logs);
  }
  return code;
}

}  // namespace hearth::bench
