#include "tools/bench/paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/time.h"
#include "schemas/function.h"
#include "schemas/limits.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "tools/bench/arguments.h"
#include "tools/bench/echo.h"
#include "tools/bench/figures.h"
#include "tools/bench/hand.h"
#include "tools/code/archive.h"
#include "tools/machine/template.h"

namespace hearth::bench {
namespace {

constexpr const char* kPoolProfile = "bench-pool";
constexpr const char* kRestoreProfile = "bench-restore";
constexpr const char* kBootProfile = "bench-boot";
constexpr int kShells = 2;
constexpr std::int32_t kFunctionMib = 96;  // three containers fit into one machine
constexpr std::int64_t kWaitMs = 60'000;   // for a reply
constexpr std::int64_t kQuietMs = 90'000;  // for a pool to be full again
constexpr std::int64_t kKnownMs = 30'000;  // for the dispatcher to know what was deployed
constexpr std::array kRuntimes = {Runtime::kPython3, Runtime::kNative};
constexpr std::array kPaths = {StartPath::kContainer, StartPath::kCached,  StartPath::kMachine,
                               StartPath::kPool,      StartPath::kRestore, StartPath::kBoot};

// What one runtime was measured at: the paths, and what goes beside them.
struct Measured {
  std::map<StartPath, Series> paths;
  Series echo;
  Series ping;
  Series hand_cached;   // container by hand, code there already
  Series hand_machine;  // the same with 1 MiB of code to send
  Series hand_pool;     // the same with a little code to send
  Series clone_ping;    // clone by hand: activation → first answer
  Series clone_first;   // … → first instruction
  Series boot_hello;    // QEMU by hand: start → HELLO
  Series boot_first;    // … → first instruction
};

// The functions of one round and runtime; users are new in every round.
struct Round {
  std::string id;
  Runtime runtime = Runtime::kPython3;
  Noop shared;     // of two functions: the second finds the code cached
  Noop big;        // 1 MiB
  Noop by_hand;    // for the machine by hand, which has never seen it
  Noop by_hand_1;  // 1 MiB
};

class Paths {
 public:
  Paths(const PathsOptions& options, OwnStack& stack, EchoFloor& echo, Sender sender, kafka::TailReader replies)
      : options_(options), stack_(stack), echo_(echo), sender_(std::move(sender)), replies_(std::move(replies)) {}

  Result<void> Run();
  int Print() const;

 private:
  Result<void> PrepareFloors();
  Result<void> Deploy();
  Result<void> DeployOne(const std::string& user, const std::string& name, const Noop& code, const char* profile);
  Result<void> RunRound(const Round& round, bool counts, bool boots);
  Result<void> Warm(const Round& round, bool counts);
  Result<void> Restore(const Round& round, bool counts);
  Result<void> Boot(const Round& round, bool counts);
  Result<InvocationResult> Invoke(const std::string& user, const std::string& function);
  // Invokes, and notes the sample, or that it took another path. The reply, where there is one.
  Result<std::optional<InvocationResult>> Sample(const Round& round, bool counts, StartPath path,
                                                 const std::string& user, const std::string& function);
  Result<void> CloneByHand(const Round& round, bool counts);
  Result<void> BootByHand(const Round& round, bool counts, const MachineId& like);
  [[nodiscard]] Result<Round> MakeRound(int number, Runtime runtime) const;
  [[nodiscard]] static Request MakeRequest(const std::string& id, const std::string& user, const std::string& function);
  [[nodiscard]] OutRecord MakeRecord(const std::string& id, const std::string& user, const std::string& function) const;
  [[nodiscard]] bool Available(StartPath path) const { return !unavailable_.contains(path); }
  [[nodiscard]] std::vector<Bound> Bounds(Runtime runtime) const;
  void PrintRuntime(Runtime runtime) const;

  const PathsOptions& options_;
  OwnStack& stack_;
  EchoFloor& echo_;
  Sender sender_;
  kafka::TailReader replies_;
  std::string prefix_ = fmt::format("b{}", ReadClocks().wall_us / kMicrosPerSecond);
  NoopFiles noop_;
  std::unique_ptr<guest::Machine> machine_;
  std::unique_ptr<Hand> hand_;
  std::unique_ptr<guest::MachineTemplate> template_;
  std::vector<Round> rounds_;  // the first of each runtime is a warm-up
  std::map<Runtime, Measured> measured_;
  std::map<StartPath, std::string> unavailable_;  // why
  std::vector<std::string> faults_;
  std::string acceleration_;
  int sent_ = 0;
};

Result<Round> Paths::MakeRound(int number, Runtime runtime) const {
  Round round;
  round.id = fmt::format("{}-{}-{}", prefix_, number, RuntimeName(runtime));
  round.runtime = runtime;
  const struct {
    Noop* code;
    const char* name;
    std::size_t bytes;
  } codes[] = {{&round.shared, "shared", 0},
               {&round.big, "big", kMaxPayloadBytes},
               {&round.by_hand, "hand", 0},
               {&round.by_hand_1, "hand big", kMaxPayloadBytes}};
  for (const auto& each : codes) {
    auto made = MakeNoop(noop_, runtime, fmt::format("{} {}", round.id, each.name), each.bytes);
    if (!made) return std::unexpected(made.error());
    *each.code = std::move(*made);
  }
  return round;
}

Result<void> Paths::PrepareFloors() {
  auto machine = guest::Machine::Start(options_.stack.image);
  if (!machine) return std::unexpected(machine.error());
  machine_ = std::move(*machine);
  if (auto hello = machine_->Expect<guest::Hello>(0, guest::kBootTimeout); !hello)
    return FailWith("the machine by hand", hello.error());
  hand_ = std::make_unique<Hand>(*machine_);
  if (auto configured = hand_->Configure(); !configured) return configured;
  auto saved = guest::MachineTemplate::Save(options_.stack.image);
  if (!saved) return std::unexpected(saved.error());
  template_ = std::move(*saved);
  return {};
}

Result<void> Paths::DeployOne(const std::string& user, const std::string& name, const Noop& code, const char* profile) {
  Function function;
  function.user = UserId(user);
  function.name = FunctionName(name);
  function.version = ReadClocks().wall_us / kMicrosPerMilli;
  function.code = code.hash;
  function.code_bytes = static_cast<std::int64_t>(code.archive.size());
  function.runtime = code.runtime;
  function.handler = code.handler;
  function.memory_mib = kFunctionMib;
  function.timeout_ms = static_cast<std::int32_t>(kWaitMs);
  function.max_attempts = 1;
  function.profile = profile;
  if (auto valid = ValidateFunction(function); !valid) return valid;
  if (auto stored = tool::StoreCode(stack_.code_store(), function.user, code.archive); !stored) {
    return std::unexpected(stored.error());
  }
  auto sent = sender_.Send({kFunctionsTopic, FunctionKey(function.user, function.name), EncodeFunction(function), {}});
  sender_.Poll();
  return sent;
}

Result<void> Paths::Deploy() {
  // The warm-up's come last: where they are known, all are.
  for (auto round = rounds_.rbegin(); round != rounds_.rend(); ++round) {
    for (const char* name : {"a", "b"}) {
      if (auto done = DeployOne(round->id, name, round->shared, kPoolProfile); !done) return done;
    }
    if (auto done = DeployOne(round->id, "c", round->big, kPoolProfile); !done) return done;
    if (auto done = DeployOne(round->id + "-restore", "a", round->shared, kRestoreProfile); !done) return done;
    if (auto done = DeployOne(round->id + "-boot", "a", round->shared, kBootProfile); !done) return done;
  }
  const std::int64_t end_us = ReadClocks().mono_us + kKnownMs * kMicrosPerMilli;
  while (true) {
    auto result = Invoke(rounds_.front().id, "a");
    if (!result) return std::unexpected(result.error());
    if (result->status == Status::kOk) return {};
    if (result->status != Status::kRejected || ReadClocks().mono_us > end_us)
      return Fail(Code::kInternal, fmt::format("the first invocation: {} {} {}", StatusName(result->status),
                                               result->error_type, result->error_message));
  }
}

Request Paths::MakeRequest(const std::string& id, const std::string& user, const std::string& function) {
  Request request;
  request.form = RequestForm::kHeaders;
  request.id = InvocationId(id);
  request.user = UserId(user);
  request.function = FunctionName(function);
  request.reply_to = kReplyTopic;
  request.expires_ms = ReadClocks().wall_us / kMicrosPerMilli + kWaitMs;
  request.payload = "null";
  return request;
}

OutRecord Paths::MakeRecord(const std::string& id, const std::string& user, const std::string& function) const {
  auto record = EncodeRequest(MakeRequest(id, user, function), kRequestTopic);
  record.key = user;
  return record;
}

Result<InvocationResult> Paths::Invoke(const std::string& user, const std::string& function) {
  const std::string id = fmt::format("{}-i{}", prefix_, ++sent_);
  const Request request = MakeRequest(id, user, function);
  if (auto sent = sender_.Send(MakeRecord(id, user, function)); !sent) return std::unexpected(sent.error());
  const std::int64_t end_us = ReadClocks().mono_us + (kWaitMs + kWaitMs / 2) * kMicrosPerMilli;
  while (true) {
    const std::int64_t left_ms = (end_us - ReadClocks().mono_us) / kMicrosPerMilli;
    if (left_ms <= 0) return Fail(Code::kDeadline, fmt::format("no reply to {}/{}", user, function));
    auto reply = replies_.Next(left_ms);
    if (!reply) return std::unexpected(reply.error());
    sender_.Poll();
    if (!*reply || (*reply)->key != id) continue;
    auto result = DecodeReply(**reply);
    if (!result || Answers(*result, request)) return result;
  }
}

Result<std::optional<InvocationResult>> Paths::Sample(const Round& round, bool counts, StartPath path,
                                                      const std::string& user, const std::string& function) {
  auto result = Invoke(user, function);
  if (!result) return std::unexpected(result.error());
  if (result->status == Status::kOk && result->start_path == path) {
    acceleration_ = result->acceleration;
    if (counts) measured_[round.runtime].paths[path].AddSpan(result->times.received_us, result->times.started_us);
    return std::optional(std::move(*result));
  }
  std::string what = result->status == Status::kOk ? fmt::format("took the path {}", StartPathName(result->start_path))
                                                   : fmt::format("ended with {} {} {}", StatusName(result->status),
                                                                 result->error_type, result->error_message);
  if (counts) {
    faults_.push_back(fmt::format("{} {}: {}", StartPathName(path), user, what));
  } else {
    const auto profile = path == StartPath::kRestore ? kRestoreProfile
                         : path == StartPath::kBoot  ? kBootProfile
                                                     : kPoolProfile;
    unavailable_.emplace(path, fmt::format("a request that was to take it {}. {}", what, stack_.Remark(profile)));
  }
  return std::optional<InvocationResult>();
}

// One user's machine: taken from the pool, then its container, then two new containers in it.
Result<void> Paths::Warm(const Round& round, bool counts) {
  Measured& measured = measured_[round.runtime];
  const auto note = [counts](Series& series, const Result<std::int64_t>& took) -> Result<void> {
    if (!took) return std::unexpected(took.error());
    if (counts) series.Add(*took);
    return {};
  };
  const auto by_hand = [&](Series& series, const Noop& code) -> Result<void> {
    const auto steps = hand_->FirstInstruction(code);
    if (!steps) return std::unexpected(steps.error());
    return note(series, steps->first_us);
  };
  if (auto quiet = stack_.AwaitQuiet(kPoolProfile, 1, 0, kQuietMs); !quiet) return quiet;
  if (auto done = by_hand(measured.hand_pool, round.by_hand); !done) return done;
  // Deployment has taken a machine for the warm-up's user already: it is no measure, and no fault either.
  const bool pool = counts || round.id != rounds_.front().id;
  if (auto done = pool ? Sample(round, counts, StartPath::kPool, round.id, "a") : std::optional<InvocationResult>();
      !done)
    return std::unexpected(done.error());
  if (auto quiet = stack_.AwaitQuiet(kPoolProfile, 1, 0, kQuietMs); !quiet) return quiet;

  if (auto again = Invoke(round.id, "a"); !again) return std::unexpected(again.error());
  const auto echo = MakeRecord(fmt::format("{}-e{}", prefix_, ++sent_), round.id, "a");
  if (auto done = note(measured.echo, echo_.Measure(echo, kWaitMs)); !done) return done;
  if (auto done = note(measured.ping, hand_->Ping()); !done) return done;
  if (auto done = Sample(round, counts, StartPath::kContainer, round.id, "a"); !done)
    return std::unexpected(done.error());

  if (auto done = by_hand(measured.hand_cached, round.by_hand); !done) return done;
  if (auto done = Sample(round, counts, StartPath::kCached, round.id, "b"); !done) return std::unexpected(done.error());
  if (auto done = by_hand(measured.hand_machine, round.by_hand_1); !done) return done;
  if (auto done = Sample(round, counts, StartPath::kMachine, round.id, "c"); !done)
    return std::unexpected(done.error());
  return {};
}

Result<void> Paths::CloneByHand(const Round& round, bool counts) {
  auto shell = template_->MakeShell();
  if (!shell) return FailWith("clone by hand", shell.error());
  Hand hand(**shell);
  const std::int64_t begin_us = ReadClocks().mono_us;
  if (auto activated = template_->Activate(**shell); !activated) return FailWith("clone by hand", activated.error());
  if (auto ping = hand.Ping(); !ping) return FailWith("clone by hand", ping.error());
  const std::int64_t ping_us = ReadClocks().mono_us;
  if (auto configured = hand.Configure(); !configured) return FailWith("clone by hand", configured.error());
  const std::int64_t ready_us = ReadClocks().mono_us;
  auto first = hand.FirstInstruction(round.shared);
  if (!first) return FailWith("clone by hand", first.error());
  if (!counts) return {};
  measured_[round.runtime].clone_ping.Add(ping_us - begin_us);
  measured_[round.runtime].clone_first.Add(ready_us - begin_us + first->first_us);
  return {};
}

Result<void> Paths::Restore(const Round& round, bool counts) {
  if (!Available(StartPath::kRestore)) return {};
  if (auto quiet = stack_.AwaitQuiet(kRestoreProfile, 0, 1, kQuietMs); !quiet) {
    if (counts) return quiet;
    unavailable_.emplace(StartPath::kRestore,
                         fmt::format("{}. {}", quiet.error().message, stack_.Remark(kRestoreProfile)));
    return {};
  }
  if (auto done = Sample(round, counts, StartPath::kRestore, round.id + "-restore", "a"); !done)
    return std::unexpected(done.error());
  return stack_.AwaitQuiet(kRestoreProfile, 0, 1, kQuietMs);
}

Result<void> Paths::BootByHand(const Round& round, bool counts, const MachineId& like) {
  auto machine = guest::Machine::Listen();
  if (!machine) return std::unexpected(machine.error());
  auto arguments =
      HandArguments(ReadFile(fmt::format("{}/hearth-{}.log", options_.machine_logs, like.value)), (*machine)->socket());
  if (!arguments) return FailWith(options_.machine_logs, arguments.error());
  Hand hand(**machine);
  const std::int64_t begin_us = ReadClocks().mono_us;
  Result<void> done = (*machine)->Launch(*arguments);
  if (done) done = (*machine)->AwaitQemu();
  if (!done) return FailWith("QEMU by hand", done.error());
  if (auto hello = (*machine)->Expect<guest::Hello>(0, guest::kBootTimeout); !hello)
    return FailWith("QEMU by hand", hello.error());
  const std::int64_t hello_us = ReadClocks().mono_us;
  if (auto configured = hand.Configure(); !configured) return FailWith("QEMU by hand", configured.error());
  const std::int64_t ready_us = ReadClocks().mono_us;
  auto first = hand.FirstInstruction(round.shared);
  if (!first) return FailWith("QEMU by hand", first.error());
  if (!counts) return {};
  measured_[round.runtime].boot_hello.Add(hello_us - begin_us);
  measured_[round.runtime].boot_first.Add(ready_us - begin_us + first->first_us);
  return {};
}

Result<void> Paths::Boot(const Round& round, bool counts) {
  if (!Available(StartPath::kBoot)) return {};
  if (auto quiet = stack_.AwaitQuiet(kBootProfile, 0, 0, kQuietMs); !quiet) return quiet;
  auto sample = Sample(round, counts, StartPath::kBoot, round.id + "-boot", "a");
  if (!sample) return std::unexpected(sample.error());
  return *sample ? BootByHand(round, counts, (*sample)->machine) : Result<void>();
}

Result<void> Paths::RunRound(const Round& round, bool counts, bool boots) {
  if (auto done = Warm(round, counts); !done) return done;
  if (auto done = Restore(round, counts); !done) return done;
  if (auto done = CloneByHand(round, counts); !done) return done;
  return boots ? Boot(round, counts) : Result<void>();
}

Result<void> Paths::Run() {
  for (const auto& key : stack_.missing()) {
    if (key == "shells") unavailable_.emplace(StartPath::kRestore, "the executor knows no shells (profile.shells)");
  }
  fmt::print(stderr, "   a machine and a template by hand\n");
  if (auto prepared = PrepareFloors(); !prepared) return prepared;
  auto files = ReadNoop(options_.python, options_.native);
  if (!files) return std::unexpected(files.error());
  noop_ = std::move(*files);
  for (int i = 0; i <= options_.rounds; ++i) {
    for (const Runtime runtime : kRuntimes) {
      auto round = MakeRound(i, runtime);
      if (!round) return std::unexpected(round.error());
      rounds_.push_back(std::move(*round));
    }
  }
  if (auto deployed = Deploy(); !deployed) return deployed;
  int number = 0;
  for (const Round& round : rounds_) {
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
    const int at = number++ / static_cast<int>(kRuntimes.size());
    fmt::print(stderr, "   {} of {}, {}\n", at == 0 ? "warm-up" : fmt::format("round {}", at), options_.rounds,
               RuntimeName(round.runtime));
    if (auto done = RunRound(round, at > 0, at <= options_.boots); !done) return FailWith(round.id, done.error());
  }
  return {};
}

std::vector<Bound> Paths::Bounds(Runtime runtime) const {
  const Measured& measured = measured_.at(runtime);
  const std::string name(RuntimeName(runtime));
  std::vector<Bound> bounds;
  const auto series = [&measured](StartPath path) -> const Series* {
    const auto found = measured.paths.find(path);
    return found == measured.paths.end() || found->second.size() == 0 ? nullptr : &found->second;
  };
  if (const Series* container = series(StartPath::kContainer)) {
    const double floor = measured.echo.At(0.5) + measured.ping.At(0.5);
    bounds.push_back(
        {name + " container p50 ÷ (echo + ping)", container->At(0.5) / std::max(floor, 0.001), 1.5, false, "×"});
  }
  for (const StartPath path : {StartPath::kCached, StartPath::kMachine, StartPath::kPool}) {
    if (const Series* found = series(path))
      bounds.push_back({fmt::format("{} {} p99", name, StartPathName(path)), found->At(0.99), 100, false, "ms"});
  }
  const Series* restore = series(StartPath::kRestore);
  const Series* boot = series(StartPath::kBoot);
  if (restore != nullptr) {
    bounds.push_back(
        {name + " restore p50", restore->At(0.5), runtime == Runtime::kNative ? 100.0 : 150.0, false, "ms"});
  }
  if (restore != nullptr && boot != nullptr)
    bounds.push_back(
        {name + " boot p50 ÷ restore p50", boot->At(0.5) / std::max(restore->At(0.5), 0.001), 15, true, "×"});
  if (boot != nullptr)
    bounds.push_back({name + " boot ÷ QEMU by hand", MedianRatio(*boot, measured.boot_first), 1.15, false, "×"});
  return bounds;
}

void Paths::PrintRuntime(Runtime runtime) const {
  const auto found = measured_.find(runtime);
  if (found == measured_.end()) return;
  const Measured& measured = found->second;
  fmt::print("\n{}, receive → first instruction, emulated machines tell ratios only ({}):\n\n", RuntimeName(runtime),
             acceleration_);
  Table table({"milliseconds", "n", "min", "p50", "p99"}, options_.markdown);
  const auto path = [&](StartPath which) {
    const auto series = measured.paths.find(which);
    const std::string bold = options_.markdown ? "**" : "";
    table.AddSeries(fmt::format("{0}{1}{0}", bold, StartPathName(which)),
                    series == measured.paths.end() ? Series() : series->second);
  };
  path(StartPath::kContainer);
  table.AddSeries("raw Kafka echo", measured.echo);
  table.AddSeries("bare guest ping", measured.ping);
  path(StartPath::kCached);
  table.AddSeries("container by hand, code there", measured.hand_cached);
  path(StartPath::kMachine);
  table.AddSeries("container by hand, 1 MiB of code", measured.hand_machine);
  path(StartPath::kPool);
  table.AddSeries("container by hand, little code", measured.hand_pool);
  path(StartPath::kRestore);
  table.AddSeries("clone by hand → ping", measured.clone_ping);
  table.AddSeries("clone by hand → first instruction", measured.clone_first);
  path(StartPath::kBoot);
  table.AddSeries("QEMU by hand → HELLO", measured.boot_hello);
  table.AddSeries("QEMU by hand → first instruction", measured.boot_first);
  fmt::print("{}\n{}", table.Text(), BoundsText(Bounds(runtime), options_.markdown));
}

int Paths::Print() const {
  bool held = true;
  for (const Runtime runtime : kRuntimes) {
    if (!measured_.contains(runtime)) continue;
    PrintRuntime(runtime);
    held = held && AllHeld(Bounds(runtime));
  }
  fmt::print("\n");
  for (const StartPath path : kPaths) {
    const auto found = unavailable_.find(path);
    if (found != unavailable_.end()) fmt::print("{}: not available: {}\n", StartPathName(path), found->second);
  }
  for (const auto& fault : faults_) fmt::print("not valid: {}\n", fault);
  fmt::print("samples that took another path: {}; bounds: {}\n", faults_.size(), held ? "all held" : "NOT all held");
  return faults_.empty() && unavailable_.empty() && (held || !options_.strict) ? 0 : 1;
}

}  // namespace

int RunPaths(const PathsOptions& options) {
  HoldSignals();
  const auto away = [](const Error& error) {
    fmt::print(stderr, "hearth-bench: {}\n", error.message);
    return 3;
  };
  fmt::print(stderr, "   executors and a dispatcher of the bench's own\n");
  OwnExecutor ready;
  ready.id = "bench-ready";
  ready.profiles = {{kPoolProfile, 1, 0}, {kRestoreProfile, 0, kShells}};
  OwnExecutor boots;
  boots.id = "bench-boots";
  boots.profiles = {{kBootProfile, 0, 0}};
  boots.start = "boot";
  auto stack = OwnStack::Start(options.stack, {ready, boots});
  if (!stack) return away(stack.error());
  auto echo = EchoFloor::Open(options.stack.bootstrap);
  if (!echo) return away(echo.error());
  auto sender = Sender::Create(options.stack.bootstrap, "hearth-bench");
  if (!sender) return away(sender.error());
  auto replies = OpenNew(options.stack.bootstrap, "hearth-bench", kReplyTopic);
  if (!replies) return away(replies.error());
  Paths paths(options, **stack, **echo, std::move(*sender), std::move(*replies));
  const auto done = paths.Run();
  if (!done) fmt::print(stderr, "hearth-bench: {}\n", done.error().message);
  const int verdict = paths.Print();
  return done ? verdict : 1;
}

}  // namespace hearth::bench
