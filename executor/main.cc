// hearth-executor: runs attempts in machines of this host. Exit codes: 0 drained, 1 could not go on, 2 bad usage or
// configuration.
#include <fmt/format.h>
#include <signal.h>
#include <sys/random.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "common/log/log.h"
#include "common/loop/loop.h"
#include "executor/app.h"
#include "executor/config.h"
#include "executor/folders.h"
#include "executor/machines/image.h"
#include "executor/uid_block.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

int Complain(int code, const std::string& what) {
  fmt::print(stderr, "hearth-executor: {}\n", what);
  return code;
}

std::string MakeIncarnation() {
  std::uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) std::abort();
  return fmt::format("{:016x}", random);
}

int Run(const std::string& path) {
  using namespace hearth;
  auto config = executor::LoadConfig(path);
  if (!config) return Complain(kExitUsage, config.error().message);
  auto log = MakeLogger("executor", config->log_level);
  if (!log) return Complain(kExitUsage, path + ": log_level: " + log.error().message);
  auto image = executor::LoadImage(config->image);
  if (!image) return Complain(kExitUsage, image.error().message);
  const auto lock = executor::PrepareFolders(*config);
  if (!lock) return Complain(lock.error().code == Code::kInvalid ? kExitUsage : kExitFailed, lock.error().message);
  std::optional<executor::UidBlock> block;
  if (executor::MachinesHaveAccounts(*config)) {
    auto claimed = executor::UidBlock::Claim(config->id, {.state_dir = config->state_dir});
    if (!claimed) return Complain(kExitFailed, claimed.error().message);
    block.emplace(std::move(*claimed));
    log.value()->info("executor={} uids={}+{}", config->id.value, block->first_uid(), executor::kAccountsOfExecutor);
    image = executor::StageImage(*image, config->run_dir);
    if (!image) return Complain(kExitFailed, image.error().message);
  }

  signal(SIGPIPE, SIG_IGN);
  Loop loop;
  const auto account = block ? std::optional(block->first_account()) : std::nullopt;
  executor::App app(loop, std::move(*config), std::move(*image), MakeIncarnation(), account, *log);
  loop.OnSignal(SIGTERM, [&app] { app.Drain(); });
  loop.OnSignal(SIGINT, [&app] { app.Drain(); });
  if (auto started = app.Start(); !started) return Complain(kExitFailed, started.error().message);
  loop.Run();
  return app.verdict() ? 0 : kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App options("hearth-executor: runs functions in virtual machines of this host");
  options.set_version_flag("--version", "hearth-executor " HEARTH_VERSION);
  std::string config;
  options.add_option("--config", config, "configuration file (TOML)")->required();
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return options.exit(error) == 0 ? 0 : kExitUsage;
  }
  return Run(config);
}
