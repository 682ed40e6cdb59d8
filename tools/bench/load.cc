#include "tools/bench/load.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "tools/bench/figures.h"
#include "tools/bench/load_functions.h"
#include "tools/bench/load_phase.h"
#include "tools/bench/system_calls.h"

namespace hearth::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kUserPrefix = "bench-";
constexpr const char* kStranger = "stranger";  // has nothing deployed and is not granted the class rt
constexpr double kTracedSeconds = 2;
constexpr int kMemoryMib = 16'777'216;  // that a configuration allows; stand-ins take none of it
constexpr int kLargestMachineMib = 65'536;
constexpr int kSmallestMachineMib = 512;

// What pressure asks of an unhindered run with runs of no time (docs/performance.md).
constexpr double kLeastThroughput = 20'000;
constexpr double kLeastOfEcho = 0.25;
constexpr double kMostMicros = 25;
constexpr double kMostMicrosRefused = 10;

struct Process {
  NamedProcess named;
  Usage before, after;
  std::optional<double> calls;  // for each record
};

class Load {
 public:
  Load(const LoadOptions& options, OwnStack& stack, LoadClient& client)
      : options_(options), stack_(stack), client_(client) {}
  Result<void> Run();
  [[nodiscard]] int Print() const;

 private:
  Result<void> Prepare();
  Result<PhaseFigures> RunHearth(const char* name, double seconds);
  [[nodiscard]] PhaseOptions EchoPhase(const std::string& name, double seconds) const;
  void CountCalls();
  Result<void> Sample(Usage Process::* at);
  [[nodiscard]] OutRecord MakeOne(const std::string& id, std::uint64_t number) const;
  [[nodiscard]] std::string TopicOf(std::uint64_t number) const;
  [[nodiscard]] const char* expected() const { return options_.refused ? "rejected" : "ok"; }
  [[nodiscard]] bool well() const;
  [[nodiscard]] std::vector<Bound> Bounds() const;
  [[nodiscard]] double Ratio() const;
  [[nodiscard]] double Micros(const Process& process) const;
  [[nodiscard]] double Each(std::int64_t Usage::* count, const Process& process) const;
  [[nodiscard]] Json ToJson() const;
  [[nodiscard]] std::string Headline() const;

  const LoadOptions& options_;
  OwnStack& stack_;
  LoadClient& client_;
  std::vector<LoadFunction> functions_;
  std::string payload_;
  std::string prefix_ = fmt::format("l{}-", ReadClocks().wall_us / kMicrosPerMilli);
  std::vector<Process> processes_;
  PhaseFigures hearth_;
  PhaseFigures echo_;
  std::string no_calls_ = "not asked for";  // why system calls were not counted; empty: they were
};

std::string Load::TopicOf(std::uint64_t number) const {
  constexpr std::array kTopicsInTurn = {kRequestTopic, kStandardTopic, kBatchTopic};
  if (options_.refused || options_.request_class == "rt") return kRequestTopic;
  if (options_.request_class == "batch") return kBatchTopic;
  return options_.request_class == "mixed" ? kTopicsInTurn.at(number % kTopicsInTurn.size()) : kStandardTopic;
}

OutRecord Load::MakeOne(const std::string& id, std::uint64_t number) const {
  const LoadFunction& function = functions_[number % functions_.size()];
  return MakeRequest(function, id, TopicOf(number), options_.keys == "user" ? function.user : id, payload_);
}

Result<PhaseFigures> Load::RunHearth(const char* name, double seconds) {
  PhaseOptions phase;
  phase.prefix = fmt::format("{}{}-", prefix_, name);
  phase.seconds = seconds;
  phase.in_flight = options_.in_flight;
  phase.rate = options_.rate;
  phase.make = [this](const std::string& id, std::uint64_t number) { return MakeOne(id, number); };
  phase.progress = [name](std::uint64_t answered) { fmt::print(stderr, "   {}: {} answered\n", name, answered); };
  return RunPhase(client_, phase);
}

PhaseOptions Load::EchoPhase(const std::string& name, double seconds) const {
  PhaseOptions phase;
  phase.prefix = fmt::format("{}{}-", prefix_, name);
  phase.seconds = seconds;
  phase.in_flight = options_.in_flight;
  phase.rate = options_.rate;
  phase.make = [this](const std::string& id, std::uint64_t number) {
    auto record = MakeOne(id, number);
    record.topic = RawEcho::kRequests;
    return record;
  };
  return phase;
}

Result<void> Load::Prepare() {
  for (const auto& daemon : stack_.daemons()) processes_.push_back({daemon, {}, {}, std::nullopt});
  if (options_.broker > 0) processes_.push_back({{"broker", options_.broker}, {}, {}, std::nullopt});
  processes_.push_back({{"client", getpid()}, {}, {}, std::nullopt});
  payload_ = MakePayload(static_cast<std::size_t>(options_.payload));
  if (options_.refused) {
    functions_ = MakeFunctions(kStranger, options_.users, options_.functions);
    return {};
  }
  functions_ = MakeFunctions(kUserPrefix, options_.users, options_.functions);
  if (auto deployed = DeployAll(client_, stack_.code_store(), functions_); !deployed) return deployed;
  fmt::print(stderr, "   {} functions are deployed\n", functions_.size());
  return WarmAll(client_, functions_, prefix_);
}

Result<void> Load::Sample(Usage Process::* at) {
  for (auto& process : processes_) {
    auto usage = ReadUsage(process.named.pid);
    if (!usage) return FailWith(process.named.name, usage.error());
    process.*at = *usage;
  }
  return {};
}

// In a phase of its own, because it is slower than the others. The client cannot be traced by its own child.
void Load::CountCalls() {
  std::vector<pid_t> pids;
  for (const auto& process : processes_) pids.push_back(process.named.pid);
  pids.pop_back();
  auto calls = SystemCalls::Begin(pids, stack_.folder());
  if (!calls) {
    no_calls_ = calls.error().message;
    return;
  }
  const auto traced = RunHearth("traced", kTracedSeconds);
  const auto counts = (*calls)->End();
  if (!traced || !counts || traced->answered == 0) {
    no_calls_ = !counts ? counts.error().message : "nothing was answered while they were counted";
    return;
  }
  no_calls_.clear();
  for (std::size_t i = 0; i < counts->size(); ++i) {
    processes_[i].calls = static_cast<double>((*counts)[i]) / static_cast<double>(traced->answered);
  }
}

Result<void> Load::Run() {
  if (auto prepared = Prepare(); !prepared) return prepared;
  const auto warm = RunHearth("warm-up", options_.warm_up);
  if (!warm) return std::unexpected(warm.error());
  // The echo before and after, so that what changes slowly weighs on both.
  if (auto echo = RunPhase(client_, EchoPhase("echo-w", options_.warm_up)); !echo) return std::unexpected(echo.error());
  const auto before = RunPhase(client_, EchoPhase("echo-1", options_.seconds / 2));
  if (!before) return std::unexpected(before.error());
  if (auto sampled = Sample(&Process::before); !sampled) return sampled;
  auto hearth = RunHearth("hearth", options_.seconds);
  if (!hearth) return std::unexpected(hearth.error());
  if (auto sampled = Sample(&Process::after); !sampled) return sampled;
  const auto after = RunPhase(client_, EchoPhase("echo-2", options_.seconds / 2));
  if (!after) return std::unexpected(after.error());
  hearth_ = std::move(*hearth);
  echo_ = *before;
  echo_.Add(*after);
  if (options_.system_calls) CountCalls();
  return {};
}

bool Load::well() const {
  const auto as_expected = hearth_.statuses.find(expected());
  return echo_.lost() == 0 && hearth_.answered > 0 && hearth_.lost() == 0 && hearth_.repeated == 0 &&
         as_expected != hearth_.statuses.end() && as_expected->second == hearth_.answered;
}

double Load::Ratio() const {
  return echo_.throughput() > 0 ? hearth_.throughput() / echo_.throughput() : 0;
}

double Load::Micros(const Process& process) const {
  return (process.after.cpu_s - process.before.cpu_s) * kMicrosPerSecond /
         static_cast<double>(std::max<std::uint64_t>(hearth_.answered, 1));
}

double Load::Each(std::int64_t Usage::* count, const Process& process) const {
  return static_cast<double>(process.after.*count - process.before.*count) /
         static_cast<double>(std::max<std::uint64_t>(hearth_.answered, 1));
}

std::vector<Bound> Load::Bounds() const {
  std::vector<Bound> bounds;
  if (options_.refused) {
    for (const auto& process : processes_) {
      if (process.named.name.starts_with("dispatcher"))
        bounds.push_back(
            {process.named.name + ": processor for each record", Micros(process), kMostMicrosRefused, false, "µs"});
    }
    return bounds;
  }
  if (options_.rate > 0) return bounds;
  bounds.push_back({"invocations a second", hearth_.throughput(), kLeastThroughput, true, ""});
  bounds.push_back({"hearth ÷ raw echo", Ratio(), kLeastOfEcho, true, "×"});
  double dispatchers = 0;
  double executors = 0;
  for (const auto& process : processes_) {
    if (process.named.name.starts_with("dispatcher")) dispatchers += Micros(process);
    if (process.named.name.starts_with("executor")) executors += Micros(process);
  }
  bounds.push_back({"dispatchers: processor for each", dispatchers, kMostMicros, false, "µs"});
  bounds.push_back({"executors: processor for each", executors, kMostMicros, false, "µs"});
  return bounds;
}

std::string Load::Headline() const {
  const std::string loop = options_.rate > 0 ? fmt::format("{:g} a second, open loop", options_.rate)
                                             : fmt::format("{} in flight, closed loop", options_.in_flight);
  return fmt::format(
      "{}; {} users × {} functions, class {}, keys by {}, payload {} B; {} dispatcher(s), {} executor(s) with "
      "simulated "
      "machines (start {}, container {}, run {} ms){}",
      loop, options_.users, options_.functions, options_.refused ? "rt" : options_.request_class, options_.keys,
      payload_.size(), options_.stack.dispatchers, options_.executors, options_.start, options_.container, options_.run,
      options_.refused ? "; every record is refused" : "");
}

Json Load::ToJson() const {
  const auto phase = [](const PhaseFigures& figures) {
    const Histogram& latency = figures.latency;
    return Json{{"sent", figures.sent},         {"answered", figures.answered}, {"lost", figures.lost()},
                {"repeated", figures.repeated}, {"seconds", figures.seconds},   {"per_second", figures.throughput()},
                {"p50_ms", latency.At(0.5)},    {"p99_ms", latency.At(0.99)},   {"p99_9_ms", latency.At(0.999)},
                {"max_ms", latency.At(1)},      {"statuses", figures.statuses}};
  };
  Json json{{"what", Headline()}, {"hearth", phase(hearth_)}, {"echo", phase(echo_)}, {"ratio", Ratio()}};
  json["processes"] = Json::array();
  for (const auto& process : processes_) {
    Json row{{"name", process.named.name},
             {"processor_us", Micros(process)},
             {"rss_mib", static_cast<double>(process.after.rss_kib) / 1024},
             {"waits", Each(&Usage::waits, process)},
             {"preemptions", Each(&Usage::preemptions, process)}};
    row["system_calls"] = process.calls ? Json(*process.calls) : Json();
    json["processes"].push_back(std::move(row));
  }
  if (!no_calls_.empty()) json["system_calls_not_measured"] = no_calls_;
  json["bounds"] = Json::array();
  for (const auto& bound : Bounds()) {
    json["bounds"].push_back(
        {{"what", bound.what}, {"value", bound.value}, {"limit", bound.limit}, {"held", bound.held()}});
  }
  return json;
}

int Load::Print() const {
  const auto bounds = Bounds();
  const bool held = !options_.strict || AllHeld(bounds);
  if (options_.json) {
    fmt::print("{}\n", ToJson().dump(2));
    return well() && held ? 0 : 1;
  }
  const auto number = [](double value) { return fmt::format("{:.2f}", value); };
  fmt::print("{}\n\n", Headline());
  Table rates({"milliseconds", "answered", "a second", "p50", "p99", "p99.9", "max"}, options_.markdown);
  for (const auto& [name, figures] :
       {std::pair("hearth", &hearth_), std::pair("raw Kafka echo of the same run", &echo_)}) {
    const Histogram& latency = figures->latency;
    rates.Add({name, std::to_string(figures->answered), fmt::format("{:.0f}", figures->throughput()),
               number(latency.At(0.5)), number(latency.At(0.99)), number(latency.At(0.999)), number(latency.At(1))});
  }
  fmt::print("{}\n", rates.Text());
  Table costs({options_.refused ? "for each record that is refused" : "for each invocation", "processor µs", "waits",
               "preemptions", "system calls", "RSS MiB"},
              options_.markdown);
  for (const auto& process : processes_) {
    costs.Add({process.named.name, number(Micros(process)), number(Each(&Usage::waits, process)),
               number(Each(&Usage::preemptions, process)), process.calls ? number(*process.calls) : "–",
               fmt::format("{:.0f}", static_cast<double>(process.after.rss_kib) / 1024)});
  }
  fmt::print("{}\n", costs.Text());
  if (!no_calls_.empty()) fmt::print("system calls: not measured ({})\n", no_calls_);
  fmt::print("hearth ÷ echo: {:.3f}\nanswers:", Ratio());
  for (const auto& [status, count] : hearth_.statuses) fmt::print(" {} {}", status, count);
  fmt::print("; {} lost, {} repeated\n", hearth_.lost(), hearth_.repeated);
  if (!bounds.empty()) fmt::print("\n{}", BoundsText(bounds, options_.markdown));
  return well() && held ? 0 : 1;
}

std::vector<OwnExecutor> MakeExecutors(const LoadOptions& options) {
  // Room for twice as many machines as there are users, and for as many containers in each as fit.
  const int machine_mib = std::clamp(kMemoryMib / (2 * options.users), kSmallestMachineMib, kLargestMachineMib);
  std::vector<OwnExecutor> all;
  for (int i = 1; i <= options.executors; ++i) {
    OwnExecutor executor;
    executor.id = fmt::format("bench-{}", i);
    executor.profiles = {{kProfile, 1, 0, machine_mib}};
    executor.memory_mib = kMemoryMib;
    executor.concurrent_starts = 64;
    executor.container_idle_s = 600;
    executor.machine_idle_s = 600;
    executor.simulated = OwnSimulated{options.start, options.container, options.run, options.output,
                                      std::max(64, 2 * options.in_flight / options.executors)};
    all.push_back(std::move(executor));
  }
  return all;
}

}  // namespace

int RunLoad(const LoadOptions& options) {
  const auto unreachable = [](const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return 3;
  };
  HoldSignals();
  OwnStackOptions own = options.stack;
  own.realtime_users = std::string(kUserPrefix) + "*";
  own.user_concurrency = std::max(64, options.in_flight);
  fmt::print(stderr, "   {} dispatcher(s) and {} executor(s) start\n", own.dispatchers, options.executors);
  auto stack = OwnStack::Start(own, MakeExecutors(options));
  if (!stack) return unreachable(stack.error());
  auto echo = RawEcho::Start(options.stack.bootstrap);
  if (!echo) return unreachable(echo.error());
  auto client = LoadClient::Open(options.stack.bootstrap, {kReplyTopic, RawEcho::kReplies});
  if (!client) return unreachable(client.error());
  Load load(options, **stack, **client);
  if (auto done = load.Run(); !done) return unreachable(done.error());
  return load.Print();
}

}  // namespace hearth::bench
