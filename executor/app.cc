#include "executor/app.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <cstdlib>
#include <utility>

#include "common/base/text.h"
#include "common/base/time.h"
#include "executor/core/pool.h"
#include "executor/folders.h"
#include "schemas/function.h"

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
      pool_overrides_(config_.id, config_.profiles),
      sweep_retry_(loop, [this] { Sweep(); }),
      tick_(loop, [this] { Handle(Tick{}); }),
      show_(loop, [this] { Show(); }),
      reconcile_(loop, [this] { fleet_->Reconcile({}); }),
      watch_host_(loop, [this] { WatchHost(); }),
      shutdown_(loop, [this] {
        log_->warn("executor left={} not all machines could be destroyed in time", fleet_ ? fleet_->size() : 0);
        loop_.Stop();
      }) {}

App::~App() {
  // Before the loop's other users: their callbacks come through the loop, which runs no more.
  hypervisor_.reset();
}

FleetOptions App::MakeFleetOptions() const {
  FleetOptions options;
  options.executor = config_.id;
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
  readiness_->Set("pool", "no machine is warm yet");
  auto status = ServeStatus(config_.http, readiness_, registry_);
  if (!status) return std::unexpected(status.error());
  status_ = std::move(*status);
  auto outbox = Outbox::Create(loop_, config_.kafka, config_.id.value, config_.topics.usage,
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
  options.starters = static_cast<std::size_t>(config_.concurrent_starts);
  hypervisor_ = std::make_unique<Hypervisor>(
      options, post, [this](bool up, const std::string& reason) { HypervisorChanged(up, reason); });
  starter_ = std::make_unique<BootStarter>(*hypervisor_);
  show_.StartEvery(kShowMs);
  log_->info("executor={} incarnation={} http={} image={} waiting for libvirt={}", config_.id.value, incarnation_,
             status_->port(), image_.hash.substr(0, 16), config_.libvirt);
  return {};
}

void App::HypervisorChanged(bool up, const std::string& reason) {
  readiness_->Set("libvirt", up ? "" : reason);
  if (!up) {
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
    if (*strays > 0) log_->warn("executor={} destroyed={} machines of an earlier life", config_.id.value, *strays);
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
  options.profile = config_.profiles.front();
  options.fleet = MakeFleetOptions();
  prover_ = std::make_unique<AccelerationProver>(
      loop_, *hypervisor_, image_, std::move(options),
      [this](Result<AccelerationProver::Outcome> outcome) { Accelerated(std::move(outcome)); });
}

void App::Accelerated(Result<AccelerationProver::Outcome> outcome) {
  if (draining_) return;
  if (!outcome) {
    readiness_->Set("acceleration", outcome.error().message);
    log_->error("executor={} refuses to run: {}", config_.id.value, outcome.error().message);
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
  Settings settings;
  settings.id = config_.id;
  settings.incarnation = incarnation_;
  settings.acceleration = acceleration_;
  settings.runtimes = image_.runtimes;
  settings.profiles = config_.profiles;
  settings.memory_mib = config_.memory_mib;
  settings.credit = config_.credit;
  settings.concurrent_starts = config_.concurrent_starts;
  settings.concurrent_activations = config_.concurrent_activations;
  settings.user_starts = config_.user_starts;
  settings.users = config_.users;
  settings.container_idle_ms = config_.container_idle_s * 1000;
  settings.machine_idle_ms = config_.machine_idle_s * 1000;
  settings.replies = config_.replies;
  settings.undeliverable_topic = config_.topics.undeliverable;
  settings.usage_topic = config_.topics.usage;
  if (getrandom(&settings.seed, sizeof settings.seed, 0) != sizeof settings.seed) std::abort();

  FleetOptions options = MakeFleetOptions();
  options.acceleration = outcome.acceleration;
  options.start_within_ms = kMaxStartStretch * settings.start_timeout_ms;  // the core gives up before
  options.hello_within_ms = options.start_within_ms;
  Fleet::Callbacks callbacks;
  callbacks.ready = [this](const MachineId& machine, StartPath path, guest::Hello hello) {
    metrics_.Start(true);
    if (std::exchange(failed_starts_, 0) >= kStartFailuresGiveUp) readiness_->Set("machines", "");
    if (const auto node = started_us_.extract(machine); !node.empty()) {
      metrics_.StartTook(path, ReadClocks().mono_us - node.mapped());
    }
    Handle(MachineReady{machine, path, std::move(hello)});
  };
  callbacks.failed = [this](const MachineId& machine, std::string reason) {
    metrics_.Start(false);
    started_us_.erase(machine);
    log_->error("instance={} could not be started: {}", machine.value, Quoted(reason));
    if (++failed_starts_ >= kStartFailuresGiveUp) {
      readiness_->Set("machines", fmt::format("the last {} could not be started: {}", failed_starts_, reason));
    }
    Handle(MachineFailed{machine, std::move(reason)});
  };
  callbacks.lost = [this](const MachineId& machine, std::string reason) {
    log_->warn("instance={} lost: {}", machine.value, Quoted(reason));
    metrics_.Lost(reason == kGuestFloods);
    Handle(MachineLost{machine, std::move(reason)});
  };
  callbacks.frame = [this](const MachineId& machine, guest::Frame frame) {
    Handle(GuestMessage{machine, std::move(frame)});
  };
  callbacks.destroyed = [this](const MachineId& machine) {
    started_us_.erase(machine);
    Handle(MachineDestroyed{machine});
  };
  callbacks.process = [this](pid_t process) { JudgeNetwork(process); };
  callbacks.shells = [this](const std::string& profile, std::int32_t ready) { Handle(ShellsChanged{profile, ready}); };
  callbacks.outcome = [this](const std::string& profile, const MachineStarter* starter, const std::string& reason) {
    ways_->Report(profile, starter, reason);
  };
  fleet_ = std::make_unique<Fleet>(loop_, *hypervisor_, *starter_, image_, options, std::move(callbacks));
  WaysOptions ways;
  ways.choice = config_.start;
  ways.profiles = config_.profile_start;
  ways.folder = config_.template_dir;
  ways_ = std::make_unique<Ways>(
      *hypervisor_, *fleet_, image_, std::move(options), std::move(ways), config_.profiles, loop_, log_,
      [this](const std::string& profile, const Ways::Status& status) { WayChanged(profile, status); });
  core_ = std::make_unique<Core>(std::move(settings));

  Result<void> opened = ListenForDispatchers();
  if (opened) opened = FollowFunctions();
  if (opened) opened = FollowSettings();
  if (!opened) {
    log_->error("executor={} cannot go on: {}", config_.id.value, opened.error().message);
    verdict_ = std::unexpected(opened.error());
    return loop_.Stop();
  }
  registration_ = std::make_unique<Registration>(
      loop_, config_.redis, config_.id, [this] { return DescribeSelf(); },
      [this](bool up, const std::string& reason) {
        if (up) readiness_->Set("redis", "");  // a later loss makes no executor unready: it goes on without
        readiness_->Remark("redis", up ? "connected" : "away: " + reason);
        if (up) {
          log_->info("redis={} connected", config_.redis);
        } else {
          log_->warn("redis={} away: {}", config_.redis, reason);
        }
      },
      config_.redis_account);
  tick_.StartEvery(kTickMs);
  reconcile_.StartEvery(kReconcileMs);
  watch_host_.StartEvery(kHostWatchMs);
  Handle(Tick{});
  ways_->Begin();
}

void App::WayChanged(const std::string& profile, const Ways::Status& status) {
  // What was made from a saved machine that failed is not handed out any more.
  if (status.condemned > 0) Handle(ImageChanged{profile, fmt::format("{}#{}", image_.hash, status.condemned)});
  readiness_->Remark("start " + profile,
                     fmt::format("{}{}{}", WayName(status.way), status.reason.empty() ? "" : "; not ", status.reason));
  metrics_.StartsBy(profile, status.way);
}

Result<void> App::ListenForDispatchers() {
  DispatcherLinks::Callbacks callbacks;
  callbacks.connected = [this](LinkId link, const DispatcherId& dispatcher) {
    log_->info("dispatcher={} link={} connected", dispatcher.value, link);
    Handle(DispatcherConnected{link, dispatcher});
  };
  callbacks.message = [this](LinkId link, link::Message message) {
    Handle(DispatcherMessage{link, std::move(message)});
  };
  callbacks.disconnected = [this](LinkId link, const std::string& reason) {
    log_->warn("link={} disconnected: {}", link, reason);
    Handle(DispatcherDisconnected{link});
  };
  callbacks.refused = [this](const std::string& reason) { log_->warn("a connection was refused: {}", reason); };
  auto links = DispatcherLinks::Listen(loop_, config_.listen, {config_.id, config_.link}, std::move(callbacks));
  if (!links) return std::unexpected(links.error());
  links_ = std::move(*links);
  return {};
}

Result<void> App::FollowFunctions() {
  kafka::TopicFollower::Callbacks callbacks;
  callbacks.record = [this](const Record& record) {
    if (!record.value.empty()) {
      auto function = DecodeFunctionRecord(record.key, record.value);
      if (!function) {
        return log_->warn("fn={} has a record that cannot be read: {}", Quoted(record.key), function.error().message);
      }
      return Handle(FunctionUpdated{std::make_shared<const Function>(std::move(*function))});
    }
    const auto slash = record.key.find('/');
    if (slash == std::string::npos) return;
    Handle(FunctionRemoved{UserId(record.key.substr(0, slash)), FunctionName(record.key.substr(slash + 1))});
  };
  callbacks.caught_up = [this] {
    readiness_->Set("kafka", "");
    readiness_->Remark("kafka", "the functions are read");
    last_alarm_.clear();
    log_->info("topic={} is read to its end", config_.topics.functions);
    Handle(FunctionsCaughtUp{});
  };
  callbacks.alarm = [this](const std::string& what) {
    readiness_->Remark("kafka", what);
    if (what == std::exchange(last_alarm_, what)) return;
    log_->warn("kafka: {}", what);
  };
  auto follower = kafka::TopicFollower::Create(loop_, config_.kafka, config_.id.value, config_.topics.functions,
                                               std::move(callbacks));
  if (!follower) return std::unexpected(follower.error());
  follower_ = std::move(*follower);
  return {};
}

// Nothing waits for the settings: until they are read, and where the topic does not exist, the configuration holds.
Result<void> App::FollowSettings() {
  kafka::TopicFollower::Callbacks callbacks;
  callbacks.record = [this](const Record& record) {
    auto changed = pool_overrides_.Apply(record.key, record.value);
    if (!changed) return log_->warn("setting={} cannot be read: {}", Quoted(record.key), changed.error().message);
    if (!*changed) return;
    const PoolChanged& pool = **changed;
    log_->info("profile={} pool_min={} pool_max={} shells={} set", pool.profile, pool.min, pool.max, pool.shells);
    Handle(pool);
  };
  callbacks.caught_up = [this] { settings_alarm_.clear(); };
  callbacks.alarm = [this](const std::string& what) {
    if (what != std::exchange(settings_alarm_, what)) log_->warn("topic={}: {}", config_.topics.settings, what);
  };
  auto follower = kafka::TopicFollower::Create(loop_, config_.kafka, config_.id.value, config_.topics.settings,
                                               std::move(callbacks));
  if (!follower) return std::unexpected(follower.error());
  settings_follower_ = std::move(*follower);
  return {};
}

void App::WatchHost() {
  if (const auto pressure = host_watch_.Read()) Handle(*pressure);
}

ExecutorRecord App::DescribeSelf() const {
  const Gauges gauges = core_->ReadGauges();
  ExecutorRecord record;
  record.address = config_.listen;
  record.incarnation = incarnation_;
  record.acceleration = acceleration_;
  record.state = draining_ ? "draining" : "ready";
  record.credit = gauges.credit;
  record.held = gauges.held;
  record.machines = gauges.machines;
  record.memory_mib = config_.memory_mib;
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
  for (const auto& profile : config_.profiles) {
    const auto& way = ways_->Of(profile.name);
    metrics_.Saved(profile.name, way.made, way.condemned);
  }
  // A pool that was full once may be empty for a moment later: that is load, not unreadiness.
  std::int64_t warm = 0;
  bool wanted = false;
  for (const auto& profile : config_.profiles) wanted = wanted || profile.pool_min > 0;
  for (const auto& pool : gauges.pools) warm += pool.ready;
  if (warm > 0 || gauges.assigned > 0 || !wanted) readiness_->Set("pool", "");
  if (draining_) readiness_->Set("draining", "takes no new work");
}

}  // namespace hearth::executor
