#include "executor/app.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <cstdlib>
#include <utility>

#include "common/base/text.h"
#include "executor/core/pool.h"
#include "executor/folders.h"

namespace hearth::executor {

App::App(Loop& loop, Config config, MachineImage image, std::string incarnation,
         std::optional<MachineAccount> first_account, Logger log)
    : loop_(loop),
      config_(std::move(config)),
      image_(std::move(image)),
      incarnation_(std::move(incarnation)),
      first_account_(first_account),
      log_(std::move(log)),
      metrics_(*registry_),
      pool_overrides_(config_.core.id, config_.core.profiles),
      sweep_retry_(loop, [this] { Sweep(); }),
      tick_(loop, [this] { Handle(Tick{}); }),
      show_(loop, [this] { Show(); }),
      reconcile_(loop, [this] { fleet_->Reconcile({}); }),
      watch_host_(loop, [this] { WatchHost(); }),
      shutdown_(loop, [this] {
        const auto left = fleet_ ? fleet_->Left() : std::vector<std::string>{};
        log_->warn("executor left={} not all machines could be destroyed in time: {}", left.size(),
                   fmt::join(left, ", "));
        loop_.Stop();
      }) {}

App::~App() {
  // Before the loop's other users: their callbacks come through the loop, which runs no more.
  hypervisor_.reset();
}

FleetOptions App::MakeFleetOptions() const {
  FleetOptions options;
  options.executor = config_.core.id;
  options.incarnation = incarnation_;
  options.run_dir = config_.run_dir;
  options.first_account = first_account_;
  return options;
}

Result<void> App::Start() {
  readiness_->Set("libvirt", "not connected yet");
  readiness_->Set("acceleration", "not proved yet");
  readiness_->Set("redis", "not connected yet");
  readiness_->Set("kafka", "the functions were not read yet");
  readiness_->Set("pool", "no machine and no shell is ready yet");
  auto status = ServeStatus(config_.status.http, readiness_, registry_);
  if (!status) return std::unexpected(status.error());
  status_ = std::move(*status);
  auto listen = InNumbers(config_.listen);
  if (!listen) return FailWith("listen", listen.error());
  listen_ = std::move(*listen);
  auto outbox = Outbox::Create(loop_, config_.kafka, config_.core.id.value, config_.core.usage_topic,
                               [this](std::uint64_t token, Result<void> result) {
                                 Handle(PublishFinished{token, result.has_value(), result ? "" : result.error().message,
                                                        !result && kafka::IsPurged(result.error()),
                                                        !result && kafka::IsPermanent(result.error())});
                               });
  if (!outbox) return std::unexpected(outbox.error());
  outbox_ = std::move(*outbox);
  const auto post = [this](std::function<void()> work) { loop_.Post(std::move(work)); };
  code_store_ = std::make_unique<FolderCodeStore>(config_.code_store, post);
  HypervisorOptions options;
  options.uri = config_.libvirt;
  options.starters = static_cast<std::size_t>(config_.core.concurrent_starts);
  hypervisor_ = std::make_unique<Hypervisor>(
      options, post, [this](Hypervisor::State state, const std::string& reason) { HypervisorChanged(state, reason); });
  starter_ = std::make_unique<BootStarter>(*hypervisor_);
  show_.StartEvery(kShowMs);
  log_->info("executor={} incarnation={} http={} image={} waiting for libvirt={}", config_.core.id.value, incarnation_,
             status_->port(), image_.hash.substr(0, 16), config_.libvirt);
  for (const auto& warning :
       {WarnOfWildcard(config_.listen, config_.advertised, "advertise", {}),
        WarnOfWildcard(config_.status.http, config_.status.advertised, "http_advertise", kHttpAddress)}) {
    if (!warning.empty()) log_->warn("executor={} {}", config_.core.id.value, warning);
  }
  return {};
}

void App::HypervisorChanged(Hypervisor::State state, const std::string& reason) {
  readiness_->Set("libvirt", reason);
  if (state == Hypervisor::State::kHopeless) {
    log_->critical(
        "executor={} libvirt={} cannot be started in this process, and not be tried again there: {}. The account needs "
        "a "
        "folder as HOME, and one as root of the URI, in which it may write",
        config_.core.id.value, config_.libvirt, Quoted(reason));
    verdict_ = Fail(Code::kUnavailable, reason);
    return loop_.Stop();
  }
  if (state == Hypervisor::State::kAway) {
    log_->warn("libvirt={} away: {}", config_.libvirt, reason);
    return;
  }
  log_->info("libvirt={} connected", config_.libvirt);
  network_judged_ = false;
  if (std::exchange(failed_starts_, 0) >= kStartFailuresGiveUp) readiness_->Set("machines", "");  // for want of libvirt
  if (fleet_ != nullptr) {
    ways_->TryAgain();
    return fleet_->Reconcile({});
  }
  Sweep();
}

void App::Sweep() {
  if (fleet_ != nullptr || prover_ != nullptr || draining_) return;
  sweeper_ = std::make_unique<Fleet>(loop_, *hypervisor_, *starter_, image_, MakeFleetOptions(), Fleet::Callbacks{});
  sweeper_->Reconcile([this](Result<std::size_t> strays) {
    if (!strays) {
      log_->warn("libvirt={} cannot be searched for strays: {}", config_.libvirt, strays.error().message);
      return sweep_retry_.StartOnce(kRetrySweepMs);
    }
    if (*strays > 0) log_->warn("executor={} destroyed={} machines of an earlier life", config_.core.id.value, *strays);
    ProveAcceleration();
  });
}

void App::ProveAcceleration() {
  if (prover_ != nullptr || draining_) return;
  RemoveMachineFolders(config_.run_dir);
  AccelerationProver::Options options;
  options.choice = config_.accel;
  options.require_kvm = config_.require_kvm;
  options.proof_file = config_.state_dir + "/acceleration.json";
  options.profile = config_.core.profiles.front();
  options.fleet = MakeFleetOptions();
  prover_ = std::make_unique<AccelerationProver>(
      loop_, *hypervisor_, image_, std::move(options),
      [this](Result<AccelerationProver::Outcome> outcome) { Accelerated(std::move(outcome)); });
}

void App::Accelerated(Result<AccelerationProver::Outcome> outcome) {
  if (draining_) return;
  if (!outcome) {
    readiness_->Set("acceleration", outcome.error().message);
    log_->error("executor={} refuses to run: {}", config_.core.id.value, outcome.error().message);
    verdict_ = std::unexpected(outcome.error());
    return loop_.Stop();
  }
  acceleration_ = AccelerationName(outcome->acceleration);
  if (outcome->acceleration == Acceleration::kTcg) {
    log_->warn("acceleration=tcg reason=\"{}\": emulated machines are slow and no isolation is promised for them",
               outcome->reason);
    readiness_->Remark("isolation", "none is promised: machines are emulated (TCG), for development and tests");
  } else {
    log_->info("acceleration=kvm reason=\"{}\"", outcome->reason);
  }
  readiness_->Set("acceleration", "");
  readiness_->Remark("acceleration", fmt::format("{}: {}", acceleration_, outcome->reason));
  metrics_.Acceleration(acceleration_);
  Open(*outcome);
}

void App::Open(const AccelerationProver::Outcome& outcome) {
  Settings settings = config_.core;
  settings.incarnation = incarnation_;
  settings.acceleration = acceleration_;
  settings.runtimes = image_.runtimes;
  if (getrandom(&settings.seed, sizeof settings.seed, 0) != sizeof settings.seed) std::abort();

  FleetOptions options = MakeFleetOptions();
  options.acceleration = outcome.acceleration;
  options.start_within_ms = kMaxStartStretch * settings.start_timeout_ms;  // the core gives up before
  options.hello_within_ms = options.start_within_ms;
  fleet_ = std::make_unique<Fleet>(loop_, *hypervisor_, *starter_, image_, options, MakeFleetCallbacks());
  WaysOptions ways;
  ways.choice = config_.start;
  ways.profiles = config_.profile_start;
  ways.folder = config_.template_dir;
  ways_ = std::make_unique<Ways>(
      *hypervisor_, *fleet_, image_, std::move(options), std::move(ways), config_.core.profiles, loop_, log_,
      [this](const std::string& profile, const Ways::Status& status) { WayChanged(profile, status); });
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
  reconcile_.StartEvery(kReconcileMs);
  watch_host_.StartEvery(kHostWatchMs);
  Handle(Tick{});
  ways_->Begin();
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
  depths.starts = hypervisor_->starts_waiting();
  depths.starts_limit = kMaxStartsQueued;
  depths.destroys = hypervisor_->destroys_waiting();
  depths.destroys_limit = kMaxDestroysQueued;
  depths.activations = hypervisor_->activations_waiting();
  depths.activations_limit = kMaxActivationsQueued;
  depths.monitor_commands = hypervisor_->monitor_commands();
  depths.outbox = outbox_->outstanding();
  depths.usage_lost = outbox_->usage_lost();
  depths.dispatchers = links_ ? links_->size() : 0;
  depths.redis_up = registration_ && registration_->up();
  depths.libvirt_up = hypervisor_->up();
  const Gauges gauges = core_ ? core_->ReadGauges() : Gauges{};
  metrics_.Show(gauges, depths);
  if (core_ == nullptr) return;
  for (const auto& profile : config_.core.profiles) {
    const auto& way = ways_->Of(profile.name);
    metrics_.Saved(profile.name, way.made, way.condemned);
  }
  // A pool that was full once may be empty for a moment later: that is load, not unreadiness. A shell counts: a request
  // gets a machine out of it while the first one of the pool still boots.
  std::int64_t warm = 0;
  bool wanted = false;
  for (const auto& profile : config_.core.profiles) wanted = wanted || profile.pool_min > 0;
  for (const auto& pool : gauges.pools) warm += pool.ready + pool.shells;
  if (warm > 0 || gauges.assigned > 0 || !wanted) readiness_->Set("pool", "");
  if (draining_) readiness_->Set("draining", "takes no new work");
}

}  // namespace hearth::executor
