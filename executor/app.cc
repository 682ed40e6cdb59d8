#include "executor/app.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <cstdlib>
#include <utility>

namespace hearth::executor {

App::App(Loop& loop, Config config, std::string incarnation, const MakeDriver& make_driver, Logger log)
    : loop_(loop),
      config_(std::move(config)),
      incarnation_(std::move(incarnation)),
      log_(std::move(log)),
      metrics_(*registry_),
      driver_(make_driver(MakeDriverCallbacks(), readiness_, metrics_)),
      pool_overrides_(config_.core.id, config_.core.profiles),
      turn_end_(loop,
                [this] {
                  if (links_ != nullptr) links_->Flush();
                }),
      tick_(loop, [this] { Handle(Tick{}); }),
      show_(loop, [this] { Show(); }),
      watch_host_(loop, [this] { WatchHost(); }),
      shutdown_(loop, [this] {
        const auto left = driver_->Left();
        log_->warn("executor left={} not all machines could be destroyed in time: {}", left.size(),
                   fmt::join(left, ", "));
        loop_.Stop();
      }) {}

Result<void> App::Start() {
  readiness_->Set("redis", "not connected yet");
  readiness_->Set("kafka", "the functions were not read yet");
  readiness_->Set("pool", "no machine and no shell is ready yet");
  auto status = ServeStatus(config_.status.http, readiness_, registry_);
  if (!status) return std::unexpected(status.error());
  status_ = std::move(*status);
  auto listen = InNumbers(config_.listen);
  if (!listen) return FailWith("listen", listen.error());
  listen_ = std::move(*listen);
  auto outbox = Outbox::Create(
      loop_, config_.kafka, config_.core.id.value, config_.core.usage_topic,
      [this](std::uint64_t token, const Result<std::int64_t>& result) {
        Handle(PublishFinished{token, result.has_value(), result ? "" : result.error().message,
                               !result && kafka::IsPurged(result.error()),
                               !result && kafka::IsPermanent(result.error()), result.value_or(link::kNoReplyOffset)});
      });
  if (!outbox) return std::unexpected(outbox.error());
  outbox_ = std::move(*outbox);
  code_store_ = std::make_unique<FolderCodeStore>(config_.code_store,
                                                  [this](std::function<void()> work) { loop_.Post(std::move(work)); });
  show_.StartEvery(kShowMs);
  log_->info("executor={} incarnation={} http={}", config_.core.id.value, incarnation_, status_->port());
  for (const auto& warning :
       {WarnOfWildcard(config_.listen, config_.advertised, "advertise", {}),
        WarnOfWildcard(config_.status.http, config_.status.advertised, "http_advertise", kHttpAddress)}) {
    if (!warning.empty()) log_->warn("executor={} {}", config_.core.id.value, warning);
  }
  driver_->Open();
  return {};
}

void App::Open(MachineDriver::Opened driver) {
  acceleration_ = driver.acceleration;
  metrics_.Acceleration(acceleration_);
  Settings settings = config_.core;
  settings.detailed_traces = log_->should_log(spdlog::level::debug);
  settings.incarnation = incarnation_;
  settings.acceleration = acceleration_;
  settings.runtimes = std::move(driver.runtimes);
  if (getrandom(&settings.seed, sizeof settings.seed, 0) != sizeof settings.seed) std::abort();
  core_ = std::make_unique<Core>(std::move(settings));

  Result<void> opened = ListenForDispatchers();
  if (opened) opened = FollowFunctions();
  if (opened) opened = FollowSettings();
  if (!opened) {
    log_->error("executor={} cannot go on: {}", config_.core.id.value, opened.error().message);
    verdict_ = std::unexpected(opened.error());
    return loop_.Stop();
  }
  Register();
  tick_.StartEvery(kTickMs);
  if (driver.takes_host_room) watch_host_.StartEvery(kHostWatchMs);
  Handle(Tick{});
  driver_->Begin();
}

ExecutorRecord App::DescribeSelf() const {
  const Gauges gauges = core_->ReadGauges();
  ExecutorRecord record;
  record.address = config_.advertised.empty() ? config_.listen : config_.advertised;
  record.http = config_.status.Address(status_->port());
  record.incarnation = incarnation_;
  record.acceleration = acceleration_;
  record.state = draining_ ? "draining" : "ready";
  record.credit = gauges.credit;
  record.held = gauges.held;
  record.machines = gauges.machines;
  record.memory_mib = config_.core.memory_mib;
  record.pools = gauges.pools;
  return record;
}

void App::Show() {
  QueueDepths depths;
  driver_->Show(depths);
  depths.outbox = outbox_->outstanding();
  depths.usage_lost = outbox_->usage_lost();
  depths.dispatchers = links_ ? links_->size() : 0;
  depths.redis_up = registration_ && registration_->up();
  const Gauges gauges = core_ ? core_->ReadGauges() : Gauges{};
  metrics_.Show(gauges, depths);
  if (core_ == nullptr) return;
  // A pool that was full once may be empty for a moment later: that is load, not unreadiness. A shell counts: a request
  // gets a machine out of it while the first one of the pool still boots.
  std::int64_t warm = 0;
  bool wanted = false;
  for (const auto& profile : config_.core.profiles) wanted = wanted || profile.pool_min > 0;
  for (const auto& pool : gauges.pools) warm += pool.ready + pool.shells;
  if (warm > 0 || gauges.assigned > 0 || !wanted) readiness_->Set("pool", "");
  if (draining_) readiness_->Set("draining", "takes no new work");
  if (const auto count = lines_.TakeLeftOut(); count > 0) {
    log_->warn("lines={} of refused or orphaned attempts left out: {} are written in a second", count,
               kLinesOfAKindPerSecond);
  }
}

}  // namespace hearth::executor
