// hearth-dispatcher: decides which executor runs what. Exit codes: 0 drained, 1 could not go on, 2 bad usage or
// configuration, 3 another dispatcher has its id.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/log/log.h"
#include "common/loop/loop.h"
#include "dispatcher/app.h"
#include "dispatcher/config.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

int Complain(int code, const std::string& what) {
  fmt::print(stderr, "hearth-dispatcher: {}\n", what);
  return code;
}

int Run(const std::string& path) {
  using namespace hearth;
  auto config = dispatcher::LoadConfig(path);
  if (!config) return Complain(kExitUsage, config.error().message);
  auto log = MakeLogger("dispatcher", config->log_level);
  if (!log) return Complain(kExitUsage, path + ": log_level: " + log.error().message);
  signal(SIGPIPE, SIG_IGN);
  Loop loop;
  dispatcher::App app(loop, std::move(*config), *log);
  loop.OnSignal(SIGTERM, [&app] { app.Drain(); });
  loop.OnSignal(SIGINT, [&app] { app.Drain(); });
  if (auto started = app.Start(); !started) return Complain(kExitFailed, started.error().message);
  loop.Run();
  return app.exit_code();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App options("hearth-dispatcher: places invocations that arrive on Kafka");
  options.set_version_flag("--version", "hearth-dispatcher " HEARTH_VERSION);
  std::string config;
  options.add_option("--config", config, "configuration file (TOML)")->required();
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return options.exit(error) == 0 ? 0 : kExitUsage;
  }
  return Run(config);
}
