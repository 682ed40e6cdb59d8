// The process of a daemon: its command line, its configuration, its log, its signals and how it ends. Exit codes that
// every daemon has are kExitDrained, kExitFailed and kExitUsage; a daemon may have further ones.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <utility>

#include "common/base/result.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "common/loop/low_descriptors.h"

namespace hearth {

constexpr int kExitDrained = 0;
constexpr int kExitFailed = 1;  // it could not go on
constexpr int kExitUsage = 2;   // bad arguments, or a bad configuration

// A daemon as its process sees it. Loop thread only.
class Daemon {
 public:
  virtual ~Daemon() = default;
  // Opens what has to be had at once. An error ends the process with kExitFailed.
  virtual Result<void> Start() = 0;
  // SIGTERM or SIGINT came. Finishes what is under way and stops the loop; the second call waits for less.
  virtual void Drain() = 0;
  // Asked once the loop has stopped.
  [[nodiscard]] virtual int exit_code() const = 0;
};

// Why a process ends before its daemon exists.
struct Exit {
  int code = kExitFailed;
  std::string reason;
};

struct ProgramName {
  std::string name;     // "dispatcher": of the program hearth-dispatcher, and of its lines in the log
  std::string purpose;  // for --help
  std::string version;
  std::string (*config_chapter)();  // for --config-reference
};

// `Config` has a member `log_level`.
template <class Config>
struct DaemonProgram {
  ProgramName name;
  Result<Config> (*load)(const std::string& path);
  std::expected<std::unique_ptr<Daemon>, Exit> (*make)(Loop& loop, Config config, Logger log);
};

// Steps of RunDaemon. The path of the configuration file; an error is how the process ends, also where it was only to
// print something.
std::expected<std::string, int> ReadArguments(const ProgramName& program, int argc, char** argv);
// Tells on standard error why the process ends, and returns the code.
int Complain(const ProgramName& program, const Exit& exit);
// Runs the loop from Start to the end.
int Serve(const ProgramName& program, Loop& loop, Daemon& daemon);

// All that main does.
template <class Config>
int RunDaemon(const DaemonProgram<Config>& program, int argc, char** argv) {
  const auto path = ReadArguments(program.name, argc, argv);
  if (!path) return path.error();
  auto config = program.load(*path);
  if (!config) return Complain(program.name, {kExitUsage, config.error().message});
  const auto log = MakeLogger(program.name.name, config->log_level);
  if (!log) return Complain(program.name, {kExitUsage, *path + ": log_level: " + log.error().message});
  const LowDescriptors low;
  Loop loop;
  const auto daemon = program.make(loop, std::move(*config), *log);
  if (!daemon) return Complain(program.name, daemon.error());
  return Serve(program.name, loop, **daemon);
}

}  // namespace hearth
