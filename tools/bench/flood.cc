#include "tools/bench/flood.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "tools/bench/figures.h"
#include "tools/bench/load_functions.h"
#include "tools/bench/neighbour.h"

namespace hearth::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kQuiet = "quiet";
constexpr int kMillion = 1'000'000;
constexpr int kPollMs = 1;
constexpr std::int64_t kAccountMs = 30'000;  // the same, of dispatchers to have read, and of answers to arrive
constexpr int kAskAgainMs = 250;             // as often as dispatchers show their gauges
constexpr int kGaugesLagMs = 600;            // what they show is not older

// In the case `users` each user has a machine for as long as a configuration allows; stand-ins take no memory.
constexpr int kMachineMib = 512;
constexpr int kManyUsersMachineMib = 256;
constexpr int kManyUsersMib = 16'777'216;

// What is promised (docs/performance.md).
constexpr double kMostOfP50 = 1.5;
constexpr double kMostOfP99 = 2;
constexpr double kMostDispatcherMib = 256;

// Sends the flood from a thread of its own, so that a full queue of Kafka's client holds nobody else up.
class FloodSender {
 public:
  FloodSender(Sender sender, const FloodPlan& plan, int records)
      : sender_(std::move(sender)), thread_([this, &plan, records] { Run(plan, records); }) {}
  ~FloodSender() {
    stop_ = true;
    thread_.join();
  }
  FloodSender(const FloodSender&) = delete;
  FloodSender& operator=(const FloodSender&) = delete;
  [[nodiscard]] int sent() const { return sent_; }
  [[nodiscard]] double seconds() const { return static_cast<double>(took_us_) / kMicrosPerSecond; }
  // Nothing more is sent from now on. Returns when sent() is final; what was sent is delivered all the same.
  void Finish() {
    enough_ = true;
    while (!finished_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  [[nodiscard]] bool over() const { return stop_ || enough_; }
  void Run(const FloodPlan& plan, int records) {
    const std::int64_t begin_us = ReadClocks().mono_us;
    while (sent_ < records && !over()) {
      const auto record = plan.Make(sent_);
      auto sent = sender_.Send(record);
      while (!sent && !over()) {  // the client's own queue is full
        sender_.Poll();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        sent = sender_.Send(record);
      }
      if (sent && ++sent_ % 64 == 0) sender_.Poll();
    }
    took_us_ = ReadClocks().mono_us - begin_us;
    finished_ = true;
    while (!stop_) {
      sender_.Poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  Sender sender_;
  std::atomic<int> sent_ = 0;
  std::atomic<std::int64_t> took_us_ = 0;
  std::atomic<bool> enough_ = false;
  std::atomic<bool> finished_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class Flood {
 public:
  Flood(const FloodOptions& options, OwnStack& stack, LoadClient& client)
      : options_(options),
        stack_(stack),
        client_(client),
        plan_({options.which, options.records, options.payload, options.expires_s, prefix_ + "loud-"}) {}
  Result<void> Run();
  [[nodiscard]] int Print() const;

 private:
  // Sends the other user's records at their rate until the flood is answered, or the seconds are over.
  Result<NeighbourFigures> Neighbourhood(const char* name, double seconds, bool flooded);
  [[nodiscard]] LoadClient::OnReply Taker() {
    return [this](std::string_view key, std::string_view status, std::string_view error) {
      Take(key, error.empty() ? std::string(status) : fmt::format("{} ({})", status, error));
    };
  }
  void Take(std::string_view key, std::string_view status);
  // What dispatchers have received before the flood, once nothing is in flight. kUnavailable: something stays.
  Result<void> NoteReceived();
  // Compares what was sent since the flood began with what dispatchers have received and hold, and with the answers.
  Result<void> Account();
  [[nodiscard]] std::vector<Bound> Bounds() const;
  [[nodiscard]] double Seconds() const { return static_cast<double>(last_us_ - flood_from_us_) / kMicrosPerSecond; }

  const FloodOptions& options_;
  OwnStack& stack_;
  LoadClient& client_;
  std::string prefix_ = fmt::format("f{}-", ReadClocks().wall_us / kMicrosPerMilli);
  LoadFunction quiet_ = MakeFunctions(kQuiet, 1, 1).front();
  FloodPlan plan_;
  std::unique_ptr<FloodSender> flood_;
  Neighbour neighbour_{client_, quiet_, options_.rate, prefix_};
  NeighbourFigures before_, during_;
  std::vector<bool> answered_;  // of the flood
  std::uint64_t flood_answers_ = 0;
  std::uint64_t flood_repeated_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> flood_statuses_;
  double received_before_ = 0;     // by dispatchers
  std::int64_t flood_unread_ = 0;  // not received by dispatchers
  std::int64_t flood_left_ = 0;    // in flight when the time was over, and not answered since
  std::int64_t flood_lost_ = 0;    // received, not in flight, and without an answer
  std::int64_t flood_from_us_ = 0;
  std::int64_t last_us_ = 0;  // of an answer to the flood
  double dispatcher_mib_before_ = 0;
  double dispatcher_mib_ = 0;  // the most at any time
  double flood_sent_s_ = 0;
};

void Flood::Take(std::string_view key, std::string_view status) {
  const auto number = plan_.NumberOf(key);
  if (!number) return;
  if (answered_[*number]) {
    ++flood_repeated_;
    return;
  }
  answered_[*number] = true;
  ++flood_answers_;
  last_us_ = ReadClocks().mono_us;
  const auto found = flood_statuses_.find(status);
  if (found != flood_statuses_.end()) {
    ++found->second;
  } else {
    flood_statuses_.emplace(status, 1);
  }
}

Result<NeighbourFigures> Flood::Neighbourhood(const char* name, double seconds, bool flooded) {
  Neighbour::Watching watching;
  watching.over = [this, flooded]() -> Result<bool> {
    return flooded && flood_answers_ == static_cast<std::uint64_t>(options_.records);
  };
  watching.other = Taker();
  watching.told = [this, name](const NeighbourFigures& so_far) {
    fmt::print(stderr, "   {}: {} of the other user, {} ok; {} of the flood answered\n", name, so_far.requests.sent,
               so_far.requests.ok, flood_answers_);
  };
  return neighbour_.Run(seconds, watching);
}

Result<void> Flood::Run() {
  auto functions = plan_.functions();
  functions.push_back(quiet_);
  if (auto deployed = DeployAll(client_, stack_.code_store(), functions); !deployed) return deployed;
  std::vector<LoadFunction> warm = {quiet_};
  if (const auto loud = plan_.warm()) warm.push_back(*loud);
  if (auto warmed = WarmAll(client_, warm, prefix_); !warmed) return warmed;
  fmt::print(stderr, "   the other user alone, {:g} s\n", options_.before);
  auto before = Neighbourhood("before", options_.before, false);
  if (!before) return std::unexpected(before.error());
  dispatcher_mib_before_ = stack_.LargestDispatcherMib(&Usage::rss_kib);
  if (auto noted = NoteReceived(); !noted) return noted;
  auto sender = Sender::Create(options_.stack.bootstrap, "hearth-bench-flood");
  if (!sender) return std::unexpected(sender.error());
  answered_.resize(static_cast<std::size_t>(options_.records));
  fmt::print(stderr, "   {} records of the flood\n", options_.records);
  flood_from_us_ = last_us_ = ReadClocks().mono_us;
  flood_ = std::make_unique<FloodSender>(std::move(*sender), plan_, options_.records);
  auto during = Neighbourhood("during", options_.most_seconds, true);
  if (!during) return std::unexpected(during.error());
  flood_->Finish();
  flood_sent_s_ = flood_->seconds();
  before_ = std::move(*before);
  during_ = std::move(*during);
  dispatcher_mib_ = stack_.LargestDispatcherMib(&Usage::peak_rss_kib);
  return Account();
}

Result<void> Flood::NoteReceived() {
  const std::int64_t end_us = ReadClocks().mono_us + kAccountMs * kMicrosPerMilli;
  while (ReadClocks().mono_us < end_us && !ToldToEnd()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kGaugesLagMs));
    const auto held = stack_.Held({"received", "in_flight"});
    if (!held) return std::unexpected(held.error());
    received_before_ = held->at("received");
    if (held->at("in_flight") == 0) return {};
  }
  return Fail(Code::kUnavailable, "something else is in flight: records of an earlier run are left on this Kafka");
}

Result<void> Flood::Account() {
  const auto sent = static_cast<std::int64_t>(flood_->sent()) + static_cast<std::int64_t>(during_.requests.sent);
  const auto answered = [this] {
    return static_cast<std::int64_t>(flood_answers_ + during_.requests.sent - during_.requests.unanswered);
  };
  const std::int64_t end_us = ReadClocks().mono_us + kAccountMs * kMicrosPerMilli;
  const auto take = Taker();
  std::int64_t received = 0;
  std::int64_t in_flight = 0;
  // What was answered whole is in flight for a moment still, until its end is durable.
  const bool whole = answered() == sent;
  do {
    const std::int64_t again_us = ReadClocks().mono_us + kAskAgainMs * kMicrosPerMilli;
    while (ReadClocks().mono_us < again_us) client_.Poll(kPollMs, take);
    const auto held = stack_.Held({"received", "in_flight"});
    if (!held) return std::unexpected(held.error());
    received = static_cast<std::int64_t>(held->at("received") - received_before_);
    in_flight = static_cast<std::int64_t>(held->at("in_flight"));
  } while ((received < sent || (whole && in_flight > 0)) && ReadClocks().mono_us < end_us && !ToldToEnd());
  // Answers are on their way for what is complete by now.
  while (answered() < received - in_flight && ReadClocks().mono_us < end_us && !ToldToEnd())
    client_.Poll(kPollMs, take);
  flood_unread_ = sent - received;
  flood_lost_ = std::max<std::int64_t>(0, received - in_flight - answered());
  flood_left_ = sent - answered() - flood_lost_ - flood_unread_;
  return {};
}

std::vector<Bound> Flood::Bounds() const {
  const auto times = [this](double share) { return SlowdownAt(share, before_, during_).requests; };
  const double p50 = options_.real ? 2 * kMostOfP50 : kMostOfP50;
  std::vector<Bound> bounds = {{"the other's p50, during ÷ before", times(0.5), p50, false, "×"}};
  if (!options_.real) bounds.push_back({"the other's p99, during ÷ before", times(0.99), kMostOfP99, false, "×"});
  bounds.push_back({"dispatcher's memory, at most", dispatcher_mib_, kMostDispatcherMib, false, "MiB"});
  bounds.push_back(
      {"the other's records without an answer", static_cast<double>(during_.requests.unanswered), 0, false, ""});
  bounds.push_back(
      {"the flood's records lost", static_cast<double>(flood_lost_ + std::abs(flood_unread_)), 0, false, ""});
  bounds.push_back({"the flood's records answered again", static_cast<double>(flood_repeated_), 0, false, ""});
  return bounds;
}

int Flood::Print() const {
  const auto bounds = Bounds();
  const bool well = during_.requests.unanswered == 0 && during_.requests.ok == during_.requests.sent &&
                    before_.requests.ok == before_.requests.sent && flood_repeated_ == 0 && flood_lost_ == 0 &&
                    flood_unread_ == 0;
  const int code = well && (!options_.strict || AllHeld(bounds)) ? 0 : 1;
  const double rate = Seconds() > 0 ? static_cast<double>(flood_answers_) / Seconds() : 0;
  const std::string what =
      fmt::format("{} records of {} B {}, {:g} a second from another; {} machines, {} dispatcher(s), {} executor(s){}",
                  options_.records, plan_.payload_bytes(), plan_.what(), options_.rate,
                  options_.real ? "real" : "simulated", options_.stack.dispatchers, options_.executors,
                  options_.real ? "" : fmt::format(", credit {}, runs of {} ms", options_.credit, options_.run));
  if (options_.json) {
    const auto row = [](const AnswerFigures& one) {
      return Json{{"sent", one.sent},
                  {"ok", one.ok},
                  {"unanswered", one.unanswered},
                  {"p50_ms", one.latency.At(0.5)},
                  {"p99_ms", one.latency.At(0.99)},
                  {"max_ms", one.latency.At(1)}};
    };
    Json json{{"what", what},
              {"before", row(before_.requests)},
              {"during", row(during_.requests)},
              {"echo_before", row(before_.echoes)},
              {"echo_during", row(during_.echoes)},
              {"flood",
               {{"sent", flood_->sent()},
                {"answered", flood_answers_},
                {"repeated", flood_repeated_},
                {"lost", flood_lost_},
                {"unread", flood_unread_},
                {"left", flood_left_},
                {"seconds", Seconds()},
                {"per_second", rate},
                {"statuses", flood_statuses_}}},
              {"dispatcher_mib_before", dispatcher_mib_before_},
              {"dispatcher_mib", dispatcher_mib_}};
    for (const auto& [name, share] : {std::pair("slowdown_p50", 0.5), std::pair("slowdown_p99", 0.99)}) {
      const auto slowdown = SlowdownAt(share, before_, during_);
      json[name] = {{"requests", slowdown.requests}, {"echo", slowdown.echoes}, {"remaining", slowdown.remaining}};
    }
    json["bounds"] = Json::array();
    for (const auto& bound : bounds) {
      json["bounds"].push_back(
          {{"what", bound.what}, {"value", bound.value}, {"limit", bound.limit}, {"held", bound.held()}});
    }
    fmt::print("{}\n", json.dump(2));
    return code;
  }
  fmt::print("{}\n\n", what);
  fmt::print(
      "{}\nflood: {} sent in {:.2f} s, {} answered in {:.1f} s ({:.0f} a second), {} left, {} lost, {} repeated;",
      NeighbourText(before_, during_, {"before the flood", "during the flood"}, options_.markdown), flood_->sent(),
      flood_sent_s_, flood_answers_, Seconds(), rate, flood_left_, flood_lost_ + std::abs(flood_unread_),
      flood_repeated_);
  for (const auto& [status, count] : flood_statuses_) fmt::print(" {} {}", status, count);
  fmt::print("\ndispatcher: {:.0f} MiB before, {:.0f} MiB at most during\n\n{}", dispatcher_mib_before_,
             dispatcher_mib_, BoundsText(bounds, options_.markdown));
  return code;
}

std::vector<OwnExecutor> MakeExecutors(const FloodOptions& options) {
  std::vector<OwnExecutor> all;
  for (int i = 1; i <= options.executors; ++i) {
    OwnExecutor executor;
    executor.id = fmt::format("bench-{}", i);
    const bool many = options.which == FloodCase::kUsers && !options.real;
    executor.profiles = {{kProfile, 1, options.real ? 1 : 0, many ? kManyUsersMachineMib : kMachineMib}};
    executor.memory_mib = options.real ? 8192 : many ? kManyUsersMib : 1'048'576;
    executor.container_idle_s = 300;
    executor.machine_idle_s = 900;
    if (!options.real) executor.simulated = OwnSimulated{"0", "0", options.run, 0, options.credit};
    all.push_back(std::move(executor));
  }
  return all;
}

}  // namespace

int RunFlood(const FloodOptions& options) {
  const auto unreachable = [](const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return 3;
  };
  HoldSignals();
  FloodOptions used = options;
  if (used.large) used.records = kMillion;
  fmt::print(stderr, "   {} dispatcher(s) and {} executor(s) start\n", used.stack.dispatchers, used.executors);
  auto stack = OwnStack::Start(used.stack, MakeExecutors(used));
  if (!stack) return unreachable(stack.error());
  auto echo = RawEcho::Start(used.stack.bootstrap);
  if (!echo) return unreachable(echo.error());
  auto client = LoadClient::Open(used.stack.bootstrap, {kReplyTopic, RawEcho::kReplies});
  if (!client) return unreachable(client.error());
  Flood flood(used, **stack, **client);
  if (auto done = flood.Run(); !done) return unreachable(done.error());
  return flood.Print();
}

}  // namespace hearth::bench
