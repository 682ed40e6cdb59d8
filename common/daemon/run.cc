#include "common/daemon/run.h"

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>

namespace hearth {

std::expected<std::string, int> ReadArguments(const ProgramName& program, int argc, char** argv) {
  CLI::App options(fmt::format("hearth-{}: {}", program.name, program.purpose));
  options.set_version_flag("--version", fmt::format("hearth-{} {}", program.name, program.version));
  std::string config;
  options.add_option("--config", config, "configuration file (TOML)")->required();
  options.add_flag_callback(
      "--config-reference",
      [&program] {
        fmt::print("{}", program.config_chapter());
        throw CLI::Success();
      },
      "print in Markdown what a configuration file may say, and exit");
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(options.exit(error) == 0 ? kExitDrained : kExitUsage);
  }
  return config;
}

int Complain(const ProgramName& program, const Exit& exit) {
  fmt::print(stderr, "hearth-{}: {}\n", program.name, exit.reason);
  return exit.code;
}

int Serve(const ProgramName& program, Loop& loop, Daemon& daemon) {
  signal(SIGPIPE, SIG_IGN);
  loop.OnSignal(SIGTERM, [&daemon] { daemon.Drain(); });
  loop.OnSignal(SIGINT, [&daemon] { daemon.Drain(); });
  if (auto started = daemon.Start(); !started) return Complain(program, {kExitFailed, started.error().message});
  loop.Run();
  return daemon.exit_code();
}

}  // namespace hearth
