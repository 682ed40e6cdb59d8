// Daemons of a bench's own: a Redis, dispatchers, and executors, whose profiles force each start path or whose machines
// are simulated. They share the broker and libvirt with the running stack and nothing else: topics, consumer group and
// Redis are theirs alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "tools/bench/processes.h"

namespace hearth::bench {

constexpr const char* kRequestTopic = "hearth.bench.invoke.rt";
constexpr const char* kStandardTopic = "hearth.bench.invoke.std";
constexpr const char* kBatchTopic = "hearth.bench.invoke.batch";
constexpr const char* kReplyTopic = "hearth.bench.reply.own";
constexpr const char* kFunctionsTopic = "hearth.bench.functions";
constexpr std::int32_t kOwnPartitions = 8;  // of each topic that is spread, as hearth's own

struct OwnStackOptions {
  std::string bootstrap;
  std::string libvirt;
  std::string image;
  std::string bin;  // folder of the daemons
  int dispatchers = 1;
  std::string realtime_users = "*";  // who is granted the class rt
  int user_concurrency = 0;          // 0: as dispatchers have it
  int session_timeout_ms = 0;        // of dispatchers; 0: as they have it
};

struct OwnProfile {
  std::string name;
  int pool = 0;    // activated machines to hold, no more and no fewer
  int shells = 0;  // behind them
  int memory_mib = 512;
};

// How the machines of an executor behave that are simulated (docs/configuration.md, [simulated]).
struct OwnSimulated {
  std::string start = "0", container = "0", run = "0";
  int output_bytes = 0;
  int credit = 64;
};

struct OwnExecutor {
  std::string id;
  std::vector<OwnProfile> profiles;
  std::string start;  // the one way to make machines ("boot", "template"); empty: the executor's choice
  int memory_mib = 16384;
  int concurrent_starts = 2;
  int container_idle_s = 25;  // so that what was measured makes room before long
  int machine_idle_s = 5;
  std::optional<OwnSimulated> simulated;  // else they are made through libvirt
};

struct NamedProcess {
  std::string name;
  pid_t pid = -1;
};

class OwnStack {
 public:
  // Returns when all of it is ready. Keys of the configuration that the executor does not know are left out, and
  // missing() says which. kUnavailable: something did not become ready, with the end of its log.
  static Result<std::unique_ptr<OwnStack>> Start(const OwnStackOptions& options,
                                                 const std::vector<OwnExecutor>& wanted);
  ~OwnStack();  // ends the daemons, which destroy their machines, and removes the folder
  OwnStack(const OwnStack&) = delete;
  OwnStack& operator=(const OwnStack&) = delete;

  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string code_store() const { return folder_ + "/code"; }
  [[nodiscard]] const std::vector<std::string>& missing() const { return missing_; }
  [[nodiscard]] std::vector<NamedProcess> daemons() const;  // dispatchers, then executors
  // What dispatchers hold, summed over them, by the name that `hearth_dispatcher_held` has for it. Each of them tells
  // all of it at one moment, a quarter of a second ago at most. kUnavailable: one of them does not answer.
  [[nodiscard]] Result<std::map<std::string, double>> Held(const std::vector<std::string>& what) const;
  // The same of one of them, numbered from 0; nothing where it does not answer.
  [[nodiscard]] std::optional<double> HeldBy(std::size_t dispatcher, const std::string& what) const;
  // The largest of the dispatchers, MiB; `kib`: a member of Usage.
  [[nodiscard]] double LargestDispatcherMib(std::int64_t Usage::* kib) const;
  [[nodiscard]] std::size_t dispatchers() const { return dispatchers_.size(); }
  // SIGKILL, and waits for its end.
  void KillDispatcher(std::size_t dispatcher);
  // One that has ended, with the same configuration. Does not wait until it is ready.
  Result<void> StartDispatcherAgain(std::size_t dispatcher);
  // How often something happened to attempts, as hearth_executor_events_total names it, summed over executors.
  // kUnavailable: one of them does not answer.
  [[nodiscard]] Result<std::int64_t> ExecutorEvents(const std::string& kind) const;
  // Copies the logs of all daemons into the folder, which is made. kUnavailable: it cannot be written.
  Result<void> KeepLogs(const std::string& folder) const;
  [[nodiscard]] pid_t executor_pid(const std::string& id) const;
  // Of the executor with the profile; nothing where it does not say. `kind` is "ready", "shells", "target".
  [[nodiscard]] std::optional<double> Pool(const std::string& profile, const std::string& kind) const;
  // Machines that the executor with the profile is starting.
  [[nodiscard]] std::optional<double> Starting(const std::string& profile) const;
  // What the executor says of how it makes the profile's machines, e.g. why from nothing; empty where it says nothing.
  [[nodiscard]] std::string Remark(const std::string& profile) const;
  // Waits until the profile's pool and shells are as wanted and nothing starts, so that the next sample meets a quiet
  // executor. kDeadline: they do not come.
  Result<void> AwaitQuiet(const std::string& profile, int ready, int shells, std::int64_t within_ms) const;

 private:
  struct Running {
    OwnExecutor wanted;
    int port = 0;
    std::unique_ptr<Child> child;
  };
  struct Dispatcher {
    std::vector<std::string> command;
    int port = 0;
    std::unique_ptr<Child> child;
  };
  OwnStack() = default;
  Result<void> StartRedis();
  Result<void> StartExecutor(const OwnStackOptions& options, Running& executor);
  Result<void> StartDispatcher(const OwnStackOptions& options, int number);
  Result<void> AwaitReady(Child& child, int port, std::int64_t within_ms) const;
  [[nodiscard]] std::string Toml(const OwnStackOptions& options, const Running& executor) const;
  [[nodiscard]] const Running* Holder(const std::string& profile) const;
  [[nodiscard]] bool Lacks(const std::string& key) const;

  std::string folder_;
  std::vector<std::string> missing_;
  std::unique_ptr<Child> redis_;
  std::vector<Running> executors_;
  std::vector<Dispatcher> dispatchers_;
};

}  // namespace hearth::bench
