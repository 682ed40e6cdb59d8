// hearth-executor: runs attempts in machines of this host. Exit codes: 0 drained, 1 could not go on, 2 bad usage or
// configuration.
#include <fmt/format.h>
#include <sys/random.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "common/daemon/run.h"
#include "executor/app.h"
#include "executor/config.h"
#include "executor/folders.h"
#include "executor/host_pressure.h"
#include "executor/libvirt_driver.h"
#include "executor/machines/image.h"
#include "executor/simulated/driver.h"
#include "executor/uid_block.h"

namespace {

using namespace hearth;

// The executor, with what no other process on this host may have as long as it lives.
class Process : public Daemon {
 public:
  Process(Loop& loop, executor::Config config, Fd lock, std::optional<executor::UidBlock> accounts,
          std::string incarnation, const executor::App::MakeDriver& make_driver, Logger log)
      : lock_(std::move(lock)),
        accounts_(std::move(accounts)),
        app_(loop, std::move(config), std::move(incarnation), make_driver, std::move(log)) {}
  Result<void> Start() override { return app_.Start(); }
  void Drain() override { app_.Drain(); }
  [[nodiscard]] int exit_code() const override { return app_.exit_code(); }

 private:
  const Fd lock_;
  const std::optional<executor::UidBlock> accounts_;
  executor::App app_;
};

std::string MakeIncarnation() {
  std::uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) std::abort();
  return fmt::format("{:016x}", random);
}

std::unexpected<Exit> End(int code, Error error) {
  return std::unexpected(Exit{code, std::move(error.message)});
}

std::expected<std::unique_ptr<Daemon>, Exit> MakeSimulated(Loop& loop, executor::Config config, Logger log) {
  auto lock = executor::PrepareFolders(config);
  if (!lock) return End(kExitFailed, lock.error());
  const auto make_driver = [&loop, &config, &log](auto callbacks, auto readiness, auto&) {
    return std::make_unique<executor::SimulatedDriver>(loop, config.simulated, std::move(callbacks),
                                                       std::move(readiness), log);
  };
  return std::make_unique<Process>(loop, config, std::move(*lock), std::nullopt, MakeIncarnation(), make_driver, log);
}

std::expected<std::unique_ptr<Daemon>, Exit> Make(Loop& loop, executor::Config config, Logger log) {
  executor::FitProcessors(config.core, executor::ReadOwnProcessors(GroupScopeOf(config)));
  if (config.driver == executor::DriverChoice::kSimulated) {
    return MakeSimulated(loop, std::move(config), std::move(log));
  }
  const auto fitted = executor::FitMemory(config.core, executor::ReadOwnGroupMemory(GroupScopeOf(config)));
  if (!fitted) return End(kExitUsage, fitted.error());
  if (!fitted->empty()) log->warn("executor={} {}", config.core.id.value, *fitted);
  auto image = executor::LoadImage(config.image);
  if (!image) return End(kExitUsage, image.error());
  auto lock = executor::PrepareFolders(config);
  if (!lock) return End(lock.error().code == Code::kInvalid ? kExitUsage : kExitFailed, lock.error());
  std::optional<executor::UidBlock> accounts;
  if (executor::MachinesHaveAccounts(config)) {
    auto claimed = executor::UidBlock::Claim(config.core.id, {.state_dir = config.state_dir});
    if (!claimed) return End(kExitFailed, claimed.error());
    accounts.emplace(std::move(*claimed));
    log->info("executor={} uids={}+{}", config.core.id.value, accounts->first_uid(), executor::kAccountsOfExecutor);
    image = executor::StageImage(*image, config.run_dir);
    if (!image) return End(kExitFailed, image.error());
  }
  const std::string incarnation = MakeIncarnation();
  executor::LibvirtDriver::Options options{config, std::move(*image), incarnation,
                                           accounts ? std::optional(accounts->first_account()) : std::nullopt};
  const auto make_driver = [&loop, &options, &log](auto callbacks, auto readiness, auto& metrics) {
    return std::make_unique<executor::LibvirtDriver>(loop, std::move(options), std::move(callbacks),
                                                     std::move(readiness), metrics, log);
  };
  return std::make_unique<Process>(loop, config, std::move(*lock), std::move(accounts), incarnation, make_driver, log);
}

}  // namespace

int main(int argc, char** argv) {
  const DaemonProgram<executor::Config> program{
      {"executor", "runs functions in virtual machines of this host", HEARTH_VERSION, executor::ConfigChapter},
      executor::LoadConfig,
      Make};
  return RunDaemon(program, argc, argv);
}
