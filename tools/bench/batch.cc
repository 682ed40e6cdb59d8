#include "tools/bench/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/kafka/compacted.h"
#include "common/kafka/partition_reader.h"
#include "schemas/batch_item.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "tools/bench/figures.h"
#include "tools/bench/histogram.h"
#include "tools/bench/load_functions.h"

namespace hearth::bench {
namespace {

constexpr const char* kItemsTopic = "hearth.bench.batch.items";
constexpr const char* kBatchesTopic = "hearth.bench.batches";
constexpr const char* kStateTopic = "hearth.bench.batch.state";
constexpr const char* kResultsTopic = "hearth.bench.batch.results";
constexpr const char* kLedgerTopic = "hearth.bench.ledger";
constexpr const char* kId = "bench";
constexpr std::int32_t kPartitions = 8;
constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kWarmItems = 20'000;
constexpr std::int64_t kWaitMs = 10'000;
constexpr int kPollMs = 1;

// What is promised (docs/batches.md).
constexpr double kLeastPerSecond = 10'000;
constexpr double kMostFirstStartMs = 50;
constexpr double kMostEndMs = 300;
constexpr double kMostOfP99 = 1.5;
constexpr double kMostMib = 64;
constexpr double kMostKbPerSecond = 100;

// What was written to a topic since it was opened.
class Watch {
 public:
  static Result<Watch> Open(const std::string& bootstrap, const PartitionId& partition) {
    auto reader = kafka::PartitionReader::Open(bootstrap, "hearth-bench-batch", partition, kWaitMs);
    if (!reader) return std::unexpected(reader.error());
    Watch watch(std::move(*reader));
    auto bounds = watch.reader_.Bounds(kWaitMs);
    if (!bounds) return std::unexpected(bounds.error());
    if (auto seek = watch.reader_.Seek(bounds->end); !seek) return std::unexpected(seek.error());
    return watch;
  }
  Result<std::optional<Record>> Next(std::int64_t timeout_ms) {
    auto record = reader_.Next(timeout_ms);
    if (record && *record) bytes_ += std::ssize((*record)->key) + std::ssize((*record)->value);
    return record;
  }
  Result<void> Drain() {
    for (auto record = Next(500); record; record = Next(500)) {
      if (!*record) return {};
    }
    return Fail(Code::kUnavailable, "a topic of batches cannot be read");
  }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  kafka::PartitionReader& reader() { return reader_; }

 private:
  explicit Watch(kafka::PartitionReader reader) : reader_(std::move(reader)) {}
  kafka::PartitionReader reader_;
  std::int64_t bytes_ = 0;
};

class Run {
 public:
  Run(const BatchOptions& options, OwnStack& stack, LoadClient& client)
      : options_(options), stack_(stack), client_(client) {}
  Result<void> Go();
  [[nodiscard]] int Print() const;

 private:
  Result<void> Neighbourhood(Histogram& latency, double seconds, const std::function<Result<bool>()>& over);
  Result<ItemSource> WriteItems();
  Result<void> Submit(const char* id, std::int64_t total, ItemSource source);
  Result<bool> LookAtState(const char* id);
  [[nodiscard]] double DispatcherMib(std::int64_t Usage::* kib) const;

  const BatchOptions& options_;
  OwnStack& stack_;
  LoadClient& client_;
  std::string prefix_ = fmt::format("b{}-", ReadClocks().wall_us / kMicrosPerMilli);
  LoadFunction quiet_ = MakeFunctions("quiet", 1, 1).front();
  LoadFunction loud_ = MakeFunctions("loud", 1, 1).front();
  std::int32_t home_ = kafka::PartitionOfKey(loud_.user, kPartitions);
  std::map<std::string, std::int64_t, std::less<>> waiting_;
  Histogram before_, during_;
  std::int64_t sent_ = 0, ok_ = 0;
  std::unique_ptr<Watch> states_;
  BatchState state_;
  std::int64_t last_result_ms_ = 0;
  std::int64_t ledger_bytes_ = 0;
  std::int64_t state_bytes_ = 0;
  double mib_before_ = 0, mib_ = 0;
};

double Run::DispatcherMib(std::int64_t Usage::* kib) const {
  double largest = 0;
  for (const auto& daemon : stack_.daemons()) {
    if (!daemon.name.starts_with("dispatcher")) continue;
    if (const auto usage = ReadUsage(daemon.pid))
      largest = std::max(largest, static_cast<double>((*usage).*kib) / 1024);
  }
  return largest;
}

Result<void> Run::Neighbourhood(Histogram& latency, double seconds, const std::function<Result<bool>()>& over) {
  const auto take = [&](std::string_view key, std::string_view status, std::string_view) {
    const auto known = waiting_.find(key);
    if (known == waiting_.end()) return;
    latency.Add(ReadClocks().mono_us - known->second);
    ok_ += status == "ok" ? 1 : 0;
    waiting_.erase(known);
  };
  const std::int64_t begin_us = ReadClocks().mono_us;
  const auto end_us = begin_us + static_cast<std::int64_t>(seconds * kMicrosPerSecond);
  double number = 0;
  for (std::int64_t now_us = begin_us; now_us < end_us; now_us = ReadClocks().mono_us) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    const auto is_over = over();
    if (!is_over) return std::unexpected(is_over.error());
    if (*is_over) break;
    const auto due_us = begin_us + static_cast<std::int64_t>(number * kMicrosPerSecond / options_.rate);
    if (due_us <= now_us) {
      ++number;
      const std::string id = fmt::format("{}n{}", prefix_, sent_++);
      waiting_.emplace(id, due_us);
      const auto sent = client_.Send(MakeRequest(quiet_, id, kStandardTopic, quiet_.user, "null"));
      if (!sent) return std::unexpected(sent.error());
    }
    client_.Poll(kPollMs, take);
  }
  const std::int64_t last_us = ReadClocks().mono_us + kWaitMs * kMicrosPerMilli;
  while (!waiting_.empty() && ReadClocks().mono_us < last_us) client_.Poll(kPollMs, take);
  for (const auto& [id, due_us] : waiting_) latency.Add(ReadClocks().mono_us - due_us);
  waiting_.clear();
  return {};
}

Result<ItemSource> Run::WriteItems() {
  if (options_.counted) return ItemSource(CountedItems());
  auto watch = Watch::Open(options_.stack.bootstrap, {kItemsTopic, home_});
  if (!watch) return std::unexpected(watch.error());
  auto bounds = watch->reader().Bounds(kWaitMs);
  if (!bounds) return std::unexpected(bounds.error());
  const std::int64_t first = bounds->end;
  BatchItem item;
  item.payload = MakePayload(static_cast<std::size_t>(options_.payload));
  for (std::int64_t index = 0; index < options_.items; ++index) {
    OutRecord record = EncodeItem({{UserId(loud_.user), BatchId(kId)}, index}, item, kItemsTopic);
    record.partition = home_;
    if (const auto sent = client_.Send(record); !sent) return std::unexpected(sent.error());
    if (index % 1024 == 0) client_.Poll(0, [](auto, auto, auto) {});
  }
  const std::int64_t end_us = ReadClocks().mono_us + 60 * kMicrosPerSecond;
  while (bounds->end < first + options_.items && ReadClocks().mono_us < end_us) {
    client_.Poll(kPollMs, [](auto, auto, auto) {});
    bounds = watch->reader().Bounds(kWaitMs);
    if (!bounds) return std::unexpected(bounds.error());
  }
  if (bounds->end < first + options_.items) return Fail(Code::kDeadline, "the items are not written");
  return ItemSource(StoredItems{"", {{home_, first, first + options_.items - 1}}});
}

Result<void> Run::Submit(const char* id, std::int64_t total, ItemSource source) {
  BatchSpec spec;
  spec.function = FunctionName(loud_.name);
  spec.total = total;
  spec.items = std::move(source);
  OutRecord record{kBatchesTopic,
                   FormatBatchKey({{UserId(loud_.user), BatchId(id)}, BatchKey::Kind::kSpec}),
                   EncodeBatchSpec(spec),
                   {}};
  record.partition = home_;
  return client_.Send(record);
}

// True: it has ended.
Result<bool> Run::LookAtState(const char* id) {
  for (;;) {
    auto record = states_->Next(0);
    if (!record) return std::unexpected(record.error());
    if (!*record) return false;
    if ((*record)->key != FormatBatchRef({UserId(loud_.user), BatchId(id)})) continue;
    auto state = DecodeBatchState((*record)->value);
    if (!state) return std::unexpected(state.error());
    state_ = std::move(*state);
    if (state_.phase == BatchPhase::kEnded) return true;
  }
}

Result<void> Run::Go() {
  if (auto deployed = DeployAll(client_, stack_.code_store(), {quiet_, loud_}); !deployed) return deployed;
  if (auto warmed = WarmAll(client_, {quiet_, loud_}, prefix_); !warmed) return warmed;
  fmt::print(stderr, "   {} items are written\n", options_.items);
  auto source = WriteItems();
  if (!source) return std::unexpected(source.error());
  auto states = Watch::Open(options_.stack.bootstrap, {kStateTopic, home_});
  if (!states) return std::unexpected(states.error());
  states_ = std::make_unique<Watch>(std::move(*states));
  fmt::print(stderr, "   a batch of {} items warms everybody up\n", kWarmItems);
  if (auto sent = Submit("warm", kWarmItems, CountedItems()); !sent) return sent;
  Histogram unused;
  if (auto warm = Neighbourhood(unused, options_.most_seconds, [this] { return LookAtState("warm"); }); !warm)
    return warm;
  fmt::print(stderr, "   the other user alone, {:g} s\n", options_.before);
  if (auto alone = Neighbourhood(before_, options_.before, [] { return Result<bool>(false); }); !alone) return alone;
  mib_before_ = DispatcherMib(&Usage::rss_kib);
  auto results = Watch::Open(options_.stack.bootstrap, {kResultsTopic, home_});
  if (!results) return std::unexpected(results.error());
  const std::int64_t state_bytes_before = states_->bytes();
  std::vector<Watch> ledger;
  for (std::int32_t number = 0; number < kPartitions; ++number) {
    auto pages = Watch::Open(options_.stack.bootstrap, {kLedgerTopic, number});
    if (!pages) return std::unexpected(pages.error());
    ledger.push_back(std::move(*pages));
  }
  fmt::print(stderr, "   the batch runs\n");
  if (auto sent = Submit(kId, options_.items, std::move(*source)); !sent) return sent;
  if (auto during = Neighbourhood(during_, options_.most_seconds, [this] { return LookAtState(kId); }); !during)
    return during;
  mib_ = DispatcherMib(&Usage::peak_rss_kib);
  if (state_.phase != BatchPhase::kEnded)
    return Fail(Code::kDeadline, "the batch has not ended: " + EncodeBatchState(state_));
  for (Watch& pages : ledger) {
    if (auto read = pages.Drain(); !read) return read;
    ledger_bytes_ += pages.bytes();
  }
  state_bytes_ = states_->bytes() - state_bytes_before;
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
  const double p99 = before_.At(0.99) > 0 ? during_.At(0.99) / before_.At(0.99) : 0;
  const double p50 = before_.At(0.5) > 0 ? during_.At(0.5) / before_.At(0.5) : 0;
  const double kb = seconds > 0 ? static_cast<double>(ledger_bytes_ + state_bytes_) / 1000 / seconds : 0;
  const std::vector<Bound> bounds = {
      {"items a second, from first start to the end", rate, kLeastPerSecond, true, ""},
      {"first start after the spec", static_cast<double>(state_.times.started_ms - state_.times.submitted_ms),
       kMostFirstStartMs, false, "ms"},
      {"ended after the last result", static_cast<double>(state_.times.ended_ms - last_result_ms_), kMostEndMs, false,
       "ms"},
      {"the other's p99, during ÷ before", p99, kMostOfP99, false, "×"},
      {"dispatcher's memory above what it was", mib_ - mib_before_, kMostMib, false, "MiB"},
      {"pages and states on Kafka", kb, kMostKbPerSecond, false, "KB/s"},
  };
  fmt::print(
      "{} items of {}, {:g} requests a second from another; simulated machines, {} dispatcher(s), {} executor(s), "
      "credit {}, runs of {} ms\n\n",
      state_.total, options_.counted ? "a count" : fmt::format("{} B", options_.payload), options_.rate,
      options_.stack.dispatchers, options_.executors, options_.credit, options_.run);
  Table table({"the other user, milliseconds", "p50", "p99", "max"}, options_.markdown);
  for (const auto& [name, one] : {std::pair("before", &before_), std::pair("while it runs", &during_)}) {
    table.Add({name, fmt::format("{:.2f}", one->At(0.5)), fmt::format("{:.2f}", one->At(0.99)),
               fmt::format("{:.2f}", one->At(1))});
  }
  fmt::print(
      "{}\n{} in {:.1f} s ({:.0f} a second), {} ok; the other's p50 {:.2f} ×; dispatcher {:.0f} MiB before, {:.0f} at "
      "most\n\n{}",
      table.Text(), kBatchOutcomes.at(static_cast<std::size_t>(state_.outcome)).name, seconds, rate,
      state_.counts[ItemStatus::kOk], p50, mib_before_, mib_, BoundsText(bounds, options_.markdown));
  const bool well = state_.outcome == BatchOutcome::kSucceeded && ok_ == sent_;
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
  std::vector<OwnExecutor> executors;
  for (int i = 1; i <= used.executors; ++i) {
    OwnExecutor executor;
    executor.id = fmt::format("bench-{}", i);
    executor.profiles = {{kProfile, 1, 0, 512}};
    executor.memory_mib = 1'048'576;
    executor.container_idle_s = 300;
    executor.machine_idle_s = 900;
    executor.simulated = OwnSimulated{"0", "0", used.run, 0, used.credit};
    executors.push_back(std::move(executor));
  }
  fmt::print(stderr, "   {} dispatcher(s) and {} executor(s) start\n", used.stack.dispatchers, used.executors);
  auto stack = OwnStack::Start(used.stack, executors);
  if (!stack) return unreachable(stack.error());
  auto client = LoadClient::Open(used.stack.bootstrap, {kReplyTopic});
  if (!client) return unreachable(client.error());
  Run run(used, **stack, **client);
  if (auto done = run.Go(); !done) return unreachable(done.error());
  return run.Print();
}

}  // namespace hearth::bench
