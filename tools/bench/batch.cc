#include "tools/bench/batch.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "schemas/batch_state.h"
#include "tools/bench/batch_client.h"
#include "tools/bench/figures.h"
#include "tools/bench/load_functions.h"
#include "tools/bench/neighbour.h"

namespace hearth::bench {
namespace {

constexpr const char* kLedgerTopic = "hearth.bench.ledger";
constexpr const char* kId = "bench";
constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kWarmItems = 20'000;
constexpr std::int64_t kWaitMs = 10'000;

// What is promised (docs/batches.md).
constexpr double kLeastPerSecond = 10'000;
constexpr double kMostFirstStartMs = 50;
constexpr double kMostEndMs = 300;
constexpr double kMostOfP99 = 1.5;
constexpr double kMostMib = 64;
constexpr double kMostKbPerSecond = 100;

class Run {
 public:
  Run(const BatchOptions& options, OwnStack& stack, LoadClient& client)
      : options_(options), stack_(stack), client_(client) {}
  Result<void> Go();
  [[nodiscard]] int Print() const;

 private:
  Result<ItemSource> WriteItems();
  // Sends the other user's requests until the batch has ended.
  Result<NeighbourFigures> Follow(const char* id);

  const BatchOptions& options_;
  OwnStack& stack_;
  LoadClient& client_;
  LoadFunction quiet_ = MakeFunctions("quiet", 1, 1).front();
  LoadFunction loud_ = MakeFunctions("loud", 1, 1).front();
  std::string prefix_ = fmt::format("b{}-", ReadClocks().wall_us / kMicrosPerMilli);
  Neighbour neighbour_{client_, quiet_, options_.rate, prefix_};
  NeighbourFigures before_, during_;
  std::optional<BatchClient> batches_;
  BatchState state_;
  std::int64_t last_result_ms_ = 0;
  std::int64_t ledger_bytes_ = 0;
  std::int64_t state_bytes_ = 0;
  double mib_before_ = 0, mib_ = 0;
};

Result<ItemSource> Run::WriteItems() {
  if (options_.counted) return ItemSource(CountedItems());
  return batches_->WriteItems(kId, options_.items, static_cast<std::size_t>(options_.payload));
}

Result<NeighbourFigures> Run::Follow(const char* id) {
  Neighbour::Watching watching;
  watching.over = [this, id] { return batches_->LookAtState(id); };
  auto figures = neighbour_.Run(options_.most_seconds, watching);
  if (figures && batches_->state().phase != BatchPhase::kEnded)
    return Fail(Code::kDeadline, "the batch has not ended: " + EncodeBatchState(batches_->state()));
  return figures;
}

Result<void> Run::Go() {
  if (auto deployed = DeployAll(client_, stack_.code_store(), {quiet_, loud_}); !deployed) return deployed;
  if (auto warmed = WarmAll(client_, {quiet_, loud_}, prefix_); !warmed) return warmed;
  auto batches = BatchClient::Open(options_.stack.bootstrap, client_, loud_);
  if (!batches) return std::unexpected(batches.error());
  batches_.emplace(std::move(*batches));
  fmt::print(stderr, "   {} items are written\n", options_.items);
  auto source = WriteItems();
  if (!source) return std::unexpected(source.error());
  fmt::print(stderr, "   a batch of {} items warms everybody up\n", kWarmItems);
  if (auto sent = batches_->Submit("warm", kWarmItems, CountedItems()); !sent) return sent;
  if (auto warm = Follow("warm"); !warm) return std::unexpected(warm.error());
  fmt::print(stderr, "   the other user alone, {:g} s\n", options_.before);
  auto alone = neighbour_.Run(options_.before, {});
  if (!alone) return std::unexpected(alone.error());
  before_ = std::move(*alone);
  mib_before_ = stack_.LargestDispatcherMib(&Usage::rss_kib);
  auto results = TopicWatch::Open(options_.stack.bootstrap, {kBatchResultsTopic, batches_->home()});
  if (!results) return std::unexpected(results.error());
  const std::int64_t state_bytes_before = batches_->state_bytes();
  std::vector<TopicWatch> ledger;
  for (std::int32_t number = 0; number < kOwnPartitions; ++number) {
    auto pages = TopicWatch::Open(options_.stack.bootstrap, {kLedgerTopic, number});
    if (!pages) return std::unexpected(pages.error());
    ledger.push_back(std::move(*pages));
  }
  fmt::print(stderr, "   the batch runs\n");
  if (auto sent = batches_->Submit(kId, options_.items, std::move(*source)); !sent) return sent;
  auto during = Follow(kId);
  if (!during) return std::unexpected(during.error());
  during_ = std::move(*during);
  state_ = batches_->state();
  mib_ = stack_.LargestDispatcherMib(&Usage::peak_rss_kib);
  for (TopicWatch& pages : ledger) {
    if (auto read = pages.Drain(); !read) return read;
    ledger_bytes_ += pages.bytes();
  }
  state_bytes_ = batches_->state_bytes() - state_bytes_before;
  if (state_.results) {
    if (auto seek = results->reader().Seek(state_.results->last); !seek) return seek;
    const auto last = results->Next(kWaitMs);
    if (last && *last) last_result_ms_ = (*last)->timestamp_ms;
  }
  return {};
}

int Run::Print() const {
  const double seconds = static_cast<double>(state_.times.ended_ms - state_.times.started_ms) / 1000;
  const double rate = seconds > 0 ? static_cast<double>(state_.total) / seconds : 0;
  const double kb = seconds > 0 ? static_cast<double>(ledger_bytes_ + state_bytes_) / 1000 / seconds : 0;
  const std::vector<Bound> bounds = {
      {"items a second, from first start to the end", rate, kLeastPerSecond, true, ""},
      {"first start after the spec", static_cast<double>(state_.times.started_ms - state_.times.submitted_ms),
       kMostFirstStartMs, false, "ms"},
      {"ended after the last result", static_cast<double>(state_.times.ended_ms - last_result_ms_), kMostEndMs, false,
       "ms"},
      {"the other's p99, during ÷ before", SlowdownAt(0.99, before_, during_).requests, kMostOfP99, false, "×"},
      {"dispatcher's memory above what it was", mib_ - mib_before_, kMostMib, false, "MiB"},
      {"pages and states on Kafka", kb, kMostKbPerSecond, false, "KB/s"},
  };
  fmt::print(
      "{} items of {}, {:g} requests a second from another; simulated machines, {} dispatcher(s), {} executor(s), "
      "credit {}, runs of {} ms\n\n",
      state_.total, options_.counted ? "a count" : fmt::format("{} B", options_.payload), options_.rate,
      options_.stack.dispatchers, options_.executors, options_.credit, options_.run);
  fmt::print("{}\n{} in {:.1f} s ({:.0f} a second), {} ok; dispatcher {:.0f} MiB before, {:.0f} at most\n\n{}",
             NeighbourText(before_, during_, {"before", "while it runs"}, options_.markdown),
             kBatchOutcomes.at(static_cast<std::size_t>(state_.outcome)).name, seconds, rate,
             state_.counts[ItemStatus::kOk], mib_before_, mib_, BoundsText(bounds, options_.markdown));
  const bool well = state_.outcome == BatchOutcome::kSucceeded && before_.requests.ok == before_.requests.sent &&
                    during_.requests.ok == during_.requests.sent;
  return well && (!options_.strict || AllHeld(bounds)) ? 0 : 1;
}

}  // namespace

int RunBatch(const BatchOptions& options) {
  const auto unreachable = [](const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return 3;
  };
  HoldSignals();
  BatchOptions used = options;
  if (used.large) used.items = kMillion;
  if (used.stack.user_concurrency == 0) used.stack.user_concurrency = used.credit * used.executors;
  fmt::print(stderr, "   {} dispatcher(s) and {} executor(s) start\n", used.stack.dispatchers, used.executors);
  auto stack = OwnStack::Start(used.stack, BatchExecutors(used.executors, used.credit, used.run));
  if (!stack) return unreachable(stack.error());
  auto echo = RawEcho::Start(used.stack.bootstrap);
  if (!echo) return unreachable(echo.error());
  auto client = LoadClient::Open(used.stack.bootstrap, {kReplyTopic, RawEcho::kReplies});
  if (!client) return unreachable(client.error());
  Run run(used, **stack, **client);
  if (auto done = run.Go(); !done) return unreachable(done.error());
  return run.Print();
}

}  // namespace hearth::bench
