#include "tools/bench/own_stack.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

#include "common/base/time.h"
#include "common/kafka/admin.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace hearth::bench {
namespace {

constexpr std::int64_t kServerTimeoutMs = 30'000;
constexpr std::int64_t kRedisWithinMs = 10'000;
// The proof of KVM, the templates, and the pool's first machine, on a loaded host.
constexpr std::int64_t kDaemonWithinMs = 600'000;
constexpr std::chrono::milliseconds kLookAgain{50};
// The gauges are shown four times a second: what they say right after a request may be what was before it.
constexpr std::chrono::milliseconds kGaugesLag{600};
constexpr std::size_t kLogEndBytes = 1500;
constexpr const char* kHeldMetric = "hearth_dispatcher_held";
constexpr const char* kFolders = "/dev/shm";  // an executor's templates belong on tmpfs

std::string EndOf(const std::string& path) {
  std::string text = ReadFile(path);
  if (text.size() > kLogEndBytes) text.erase(0, text.size() - kLogEndBytes);
  return text;
}

Result<void> Write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) return Fail(Code::kUnavailable, "cannot write " + path);
  return {};
}

// A topic of hearth's under a name of the bench's own.
std::string NameOf(const TopicRow& row) {
  if (row.topic == Topic::kReply) return kReplyTopic;
  constexpr std::string_view kPrefix = "hearth.";
  return "hearth.bench." + std::string(row.name.substr(kPrefix.size()));
}

std::string TopicsToml() {
  std::string text = "[topics]\n";
  for (const auto& row : kTopics) {
    text += fmt::format("{} = \"{}\"\n", row.key, NameOf(row));
  }
  return text;
}

std::vector<kafka::TopicSpec> Topics() {
  std::vector<kafka::TopicSpec> specs;
  for (const auto& row : kTopics) {
    kafka::TopicSpec spec{NameOf(row), row.spread ? kOwnPartitions : 1, 1, {}};
    if (row.retention == Retention::kCompacted || row.retention == Retention::kCompactedSoon) {
      spec.settings.emplace_back("cleanup.policy", "compact");
    } else {
      spec.settings.emplace_back("retention.ms", "3600000");
    }
    if (row.whole_records) spec.settings.emplace_back("max.message.bytes", std::to_string(kMaxTopicRecordBytes));
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::string SimulatedToml(const OwnSimulated& simulated) {
  return fmt::format(
      "driver = \"simulated\"\ncredit = {}\nuser_starts = 64\n[simulated]\nstart = \"{}\"\n"
      "container = \"{}\"\nrun = \"{}\"\noutput_bytes = {}\n",
      simulated.credit, simulated.start, simulated.container, simulated.run, simulated.output_bytes);
}

}  // namespace

Result<std::unique_ptr<OwnStack>> OwnStack::Start(const OwnStackOptions& options,
                                                  const std::vector<OwnExecutor>& wanted) {
  std::unique_ptr<OwnStack> stack(new OwnStack());
  std::string folder = std::string(kFolders) + "/hearth-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr)
    return Fail(Code::kUnavailable, std::string("mkdtemp: ") + std::strerror(errno));
  stack->folder_ = folder;
  chmod(folder.c_str(), 0711);  // the accounts that machines run under pass through
  mkdir(stack->code_store().c_str(), 0755);
  if (auto created = kafka::CreateTopics(options.bootstrap, Topics(), kServerTimeoutMs); !created)
    return std::unexpected(created.error());
  if (auto started = stack->StartRedis(); !started) return std::unexpected(started.error());
  for (const auto& each : wanted) {
    auto& executor = stack->executors_.emplace_back();
    executor.wanted = each;
    if (auto started = stack->StartExecutor(options, executor); !started) return FailWith(each.id, started.error());
  }
  for (int number = 1; number <= options.dispatchers; ++number) {
    if (auto started = stack->StartDispatcher(options, number); !started) {
      return FailWith(fmt::format("dispatcher {}", number), started.error());
    }
  }
  return stack;
}

OwnStack::~OwnStack() {
  dispatchers_.clear();
  executors_.clear();
  redis_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<void> OwnStack::StartRedis() {
  auto child = Child::Spawn({"redis-server", "--port", "0", "--unixsocket", folder_ + "/redis.sock", "--save", "",
                             "--appendonly", "no", "--dir", folder_, "--daemonize", "no"},
                            folder_ + "/redis.log");
  if (!child) return std::unexpected(child.error());
  redis_ = std::make_unique<Child>(std::move(*child));
  const std::int64_t end_us = ReadClocks().mono_us + kRedisWithinMs * kMicrosPerMilli;
  while (!std::filesystem::exists(folder_ + "/redis.sock")) {
    if (redis_->Ended() || ReadClocks().mono_us > end_us)
      return Fail(Code::kUnavailable, "redis does not start:\n" + EndOf(redis_->log()));
    std::this_thread::sleep_for(kLookAgain);
  }
  return {};
}

bool OwnStack::Lacks(const std::string& key) const {
  return std::ranges::find(missing_, key) != missing_.end();
}

std::string OwnStack::Toml(const OwnStackOptions& options, const Running& executor) const {
  const OwnExecutor& wanted = executor.wanted;
  std::string text = fmt::format(
      "id = \"{0}\"\nhttp = \"127.0.0.1:{1}\"\nlisten = \"unix:{2}/{0}.sock\"\nrun_dir = \"{2}/{0}\"\n"
      "state_dir = \"{2}/{0}-state\"\ncode_store = \"{2}/code\"\n[kafka]\nbootstrap = \"{3}\"\n"
      "[redis]\naddress = \"unix:{2}/redis.sock\"\n{4}[machines]\n"
      "memory_mib = {5}\nconcurrent_starts = {6}\ncontainer_idle_s = {7}\ninstance_idle_s = {8}\n",
      wanted.id, executor.port, folder_, options.bootstrap, TopicsToml(), wanted.memory_mib, wanted.concurrent_starts,
      wanted.container_idle_s, wanted.machine_idle_s);
  if (wanted.simulated) {
    text += SimulatedToml(*wanted.simulated);
  } else {
    text += fmt::format("libvirt = \"{}\"\nimage = \"{}\"\n", options.libvirt, options.image);
  }
  if (!wanted.start.empty() && !Lacks("start")) text += fmt::format("start = \"{}\"\n", wanted.start);
  for (const auto& profile : wanted.profiles) {
    text += fmt::format(
        "[[profile]]\nname = \"{0}\"\nmemory_mib = {1}\nreserve_mib = 160\nvcpus = 1\npool_min = {2}\npool_max = {2}\n",
        profile.name, profile.memory_mib, profile.pool);
    if (!Lacks("shells")) text += fmt::format("shells = {}\n", profile.shells);
  }
  return text;
}

Result<void> OwnStack::StartExecutor(const OwnStackOptions& options, Running& executor) {
  mkdir((folder_ + "/" + executor.wanted.id).c_str(), 0711);
  const std::string config = folder_ + "/" + executor.wanted.id + ".toml";
  for (;;) {
    auto port = FreePort();
    if (!port) return std::unexpected(port.error());
    executor.port = *port;
    if (auto written = Write(config, Toml(options, executor)); !written) return written;
    const std::string log = fmt::format("{}/{}-{}.log", folder_, executor.wanted.id, missing_.size());
    auto child = Child::Spawn({options.bin + "/hearth-executor", "--config", config}, log);
    if (!child) return std::unexpected(child.error());
    executor.child = std::make_unique<Child>(std::move(*child));
    auto ready = AwaitReady(*executor.child, executor.port, kDaemonWithinMs);
    if (ready || executor.child->Ended() != 2) return ready;
    // It says which keys it does not know.
    const std::string said = ReadFile(log);
    const std::size_t before = missing_.size();
    for (const char* key : {"shells", "start"}) {
      if (!Lacks(key) && said.find(fmt::format(".{}'", key)) != std::string::npos) missing_.emplace_back(key);
    }
    if (missing_.size() == before) return ready;
  }
}

Result<void> OwnStack::StartDispatcher(const OwnStackOptions& options, int number) {
  auto port = FreePort();
  if (!port) return std::unexpected(port.error());
  std::string sockets;
  for (const auto& executor : executors_)
    sockets += fmt::format("{}\"unix:{}/{}.sock\"", sockets.empty() ? "" : ", ", folder_, executor.wanted.id);
  const std::string config = fmt::format("{}/dispatcher-{}.toml", folder_, number);
  const auto written = Write(
      config,
      fmt::format("id = \"bench-dispatcher-{6}\"\nhttp = \"127.0.0.1:{0}\"\n[kafka]\nbootstrap = \"{1}\"\n"
                  "group = \"hearth-bench\"\n{9}[redis]\naddress = \"unix:{2}/redis.sock\"\n{3}"
                  "[link]\nexecutors = [{4}]\n[admission]\nreply_topics = [\"{5}\"]\nrealtime_users = "
                  "[\"{7}\"]\n{8}",
                  *port, options.bootstrap, folder_, TopicsToml(), sockets, kReplyTopic, number, options.realtime_users,
                  options.user_concurrency > 0 ? fmt::format("user_concurrency = {}\n", options.user_concurrency)
                                               : std::string(),
                  options.session_timeout_ms > 0 ? fmt::format("session_timeout_ms = {}\n", options.session_timeout_ms)
                                                 : std::string()));
  if (!written) return written;
  dispatchers_.push_back({{options.bin + "/hearth-dispatcher", "--config", config}, *port, nullptr});
  if (auto spawned = StartDispatcherAgain(dispatchers_.size() - 1); !spawned) return spawned;
  return AwaitReady(*dispatchers_.back().child, *port, kDaemonWithinMs);
}

Result<void> OwnStack::StartDispatcherAgain(std::size_t dispatcher) {
  Dispatcher& again = dispatchers_.at(dispatcher);
  auto child = Child::Spawn(again.command, fmt::format("{}/dispatcher-{}.log", folder_, dispatcher + 1));
  if (!child) return std::unexpected(child.error());
  again.child = std::make_unique<Child>(std::move(*child));
  return {};
}

void OwnStack::KillDispatcher(std::size_t dispatcher) {
  dispatchers_.at(dispatcher).child->Kill();
}

Result<void> OwnStack::AwaitReady(Child& child, int port, std::int64_t within_ms) const {
  const std::int64_t end_us = ReadClocks().mono_us + within_ms * kMicrosPerMilli;
  std::string last;
  while (ReadClocks().mono_us < end_us && !ToldToEnd()) {
    if (const auto code = child.Ended())
      return Fail(Code::kUnavailable, fmt::format("ended with {}:\n{}", *code, EndOf(child.log())));
    auto page = HttpGet(port, "/readyz");
    if (page) return {};
    last = page.error().message;
    std::this_thread::sleep_for(kLookAgain);
  }
  return Fail(Code::kDeadline, fmt::format("is not ready:\n{}\n{}", last, EndOf(child.log())));
}

Result<std::map<std::string, double>> OwnStack::Held(const std::vector<std::string>& what) const {
  std::map<std::string, double> sums;
  for (const auto& dispatcher : dispatchers_) {
    const auto page = HttpGet(dispatcher.port, "/metrics");
    if (!page) return std::unexpected(page.error());
    for (const auto& name : what) sums[name] += FindMetric(*page, kHeldMetric, {{"what", name}}).value_or(0);
  }
  return sums;
}

std::optional<double> OwnStack::HeldBy(std::size_t dispatcher, const std::string& what) const {
  const auto page = HttpGet(dispatchers_.at(dispatcher).port, "/metrics");
  return page ? FindMetric(*page, kHeldMetric, {{"what", what}}) : std::nullopt;
}

double OwnStack::LargestDispatcherMib(std::int64_t Usage::* kib) const {
  double largest = 0;
  for (const auto& dispatcher : dispatchers_) {
    if (const auto usage = ReadUsage(dispatcher.child->pid()))
      largest = std::max(largest, static_cast<double>((*usage).*kib) / 1024);
  }
  return largest;
}

Result<std::int64_t> OwnStack::ExecutorEvents(const std::string& kind) const {
  double sum = 0;
  for (const auto& executor : executors_) {
    const auto page = HttpGet(executor.port, "/metrics");
    if (!page) return std::unexpected(page.error());
    sum += FindMetric(*page, "hearth_executor_events_total", {{"kind", kind}}).value_or(0);
  }
  return static_cast<std::int64_t>(sum);
}

Result<void> OwnStack::KeepLogs(const std::string& folder) const {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::vector<std::string> logs;
  for (const auto& daemon : dispatchers_) logs.push_back(daemon.child->log());
  for (const auto& daemon : executors_) logs.push_back(daemon.child->log());
  for (const auto& log : logs) {
    if (!error) std::filesystem::copy(log, folder, std::filesystem::copy_options::overwrite_existing, error);
  }
  return error ? Fail(Code::kUnavailable, "logs in " + folder + ": " + error.message()) : Result<void>();
}

pid_t OwnStack::executor_pid(const std::string& id) const {
  const auto found = std::ranges::find_if(executors_, [&](const Running& each) { return each.wanted.id == id; });
  return found == executors_.end() ? -1 : found->child->pid();
}

std::vector<NamedProcess> OwnStack::daemons() const {
  std::vector<NamedProcess> all;
  for (std::size_t i = 0; i < dispatchers_.size(); ++i) {
    all.push_back({fmt::format("dispatcher {}", i + 1), dispatchers_[i].child->pid()});
  }
  for (std::size_t i = 0; i < executors_.size(); ++i) {
    all.push_back({fmt::format("executor {}", i + 1), executors_[i].child->pid()});
  }
  return all;
}

const OwnStack::Running* OwnStack::Holder(const std::string& profile) const {
  for (const auto& executor : executors_) {
    for (const auto& each : executor.wanted.profiles) {
      if (each.name == profile) return &executor;
    }
  }
  return nullptr;
}

std::optional<double> OwnStack::Pool(const std::string& profile, const std::string& kind) const {
  const Running* holder = Holder(profile);
  if (holder == nullptr) return std::nullopt;
  const auto page = HttpGet(holder->port, "/metrics");
  if (!page) return std::nullopt;
  return FindMetric(*page, "hearth_executor_pool", {{"profile", profile}, {"kind", kind}});
}

std::optional<double> OwnStack::Starting(const std::string& profile) const {
  const Running* holder = Holder(profile);
  if (holder == nullptr) return std::nullopt;
  const auto page = HttpGet(holder->port, "/metrics");
  if (!page) return std::nullopt;
  return FindMetric(*page, "hearth_executor_held", {{"what", "starting_instances"}});
}

std::string OwnStack::Remark(const std::string& profile) const {
  const Running* holder = Holder(profile);
  if (holder == nullptr) return "";
  const auto page = HttpGet(holder->port, "/readyz");
  const std::string text = page ? *page : page.error().message;
  const std::string head = "start " + profile + ": ";
  const auto at = text.find(head);
  return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

Result<void> OwnStack::AwaitQuiet(const std::string& profile, int ready, int shells, std::int64_t within_ms) const {
  const std::int64_t end_us = ReadClocks().mono_us + within_ms * kMicrosPerMilli;
  std::this_thread::sleep_for(kGaugesLag);
  std::string seen;
  while (ReadClocks().mono_us < end_us && !ToldToEnd()) {
    const auto has_ready = Pool(profile, "ready");
    const auto has_shells = Pool(profile, "shells");
    const auto starting = Starting(profile);
    // An executor that does not tell its shells is not waited for.
    if (has_ready.value_or(0) >= ready && has_shells.value_or(shells) >= shells && starting.value_or(1) == 0) return {};
    seen = fmt::format("{} ready, {} shells, {} starting", has_ready.value_or(-1), has_shells.value_or(-1),
                       starting.value_or(-1));
    std::this_thread::sleep_for(kLookAgain);
  }
  return Fail(Code::kDeadline, fmt::format("profile {} does not come to rest: {}", profile, seen));
}

}  // namespace hearth::bench
