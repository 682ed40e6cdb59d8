#include "executor/libvirt_driver.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/text.h"
#include "executor/core/pool.h"
#include "executor/folders.h"
#include "executor/host_pressure.h"
#include "executor/machines/network.h"

namespace hearth::executor {

LibvirtDriver::LibvirtDriver(Loop& loop, Options options, Callbacks callbacks, std::shared_ptr<Readiness> readiness,
                             Metrics& metrics, Logger log)
    : loop_(loop),
      config_(std::move(options.config)),
      image_(std::move(options.image)),
      incarnation_(std::move(options.incarnation)),
      first_account_(options.first_account),
      callbacks_(std::move(callbacks)),
      readiness_(std::move(readiness)),
      metrics_(metrics),
      log_(std::move(log)),
      sweep_retry_(loop, [this] { Sweep(); }),
      reconcile_(loop, [this] { fleet_->Reconcile({}); }) {}

LibvirtDriver::~LibvirtDriver() {
  // Before the loop's other users: their callbacks come through the loop, which runs no more.
  hypervisor_.reset();
}

FleetOptions LibvirtDriver::MakeFleetOptions() const {
  FleetOptions options;
  options.executor = config_.core.id;
  options.incarnation = incarnation_;
  options.run_dir = config_.run_dir;
  options.first_account = first_account_;
  options.shares = shares_;
  return options;
}

void LibvirtDriver::Open() {
  readiness_->Set("libvirt", "not connected yet");
  readiness_->Set("acceleration", "not proved yet");
  HypervisorOptions options;
  options.uri = config_.libvirt;
  options.starters = static_cast<std::size_t>(config_.core.concurrent_starts);
  hypervisor_ = std::make_unique<Hypervisor>(
      options, [this](std::function<void()> work) { loop_.Post(std::move(work)); },
      [this](Hypervisor::State state, const std::string& reason) { HypervisorChanged(state, reason); });
  starter_ = std::make_unique<BootStarter>(*hypervisor_);
  const auto own = FindControlGroups(ReadFileText("/proc/self/cgroup"), ReadFileText("/proc/self/mountinfo"));
  shares_ = std::make_shared<Shares>(config_.shares, config_.core.id, own, [this](const std::string& what) {
    loop_.Post([this, what] {
      log_->info("executor={} processors=\"{}\"", config_.core.id.value, what);
      readiness_->Remark("processors", what);
    });
  });
  log_->info("executor={} image={} waiting for libvirt={}", config_.core.id.value, image_.hash.substr(0, 16),
             config_.libvirt);
}

void LibvirtDriver::HypervisorChanged(Hypervisor::State state, const std::string& reason) {
  readiness_->Set("libvirt", reason);
  if (state == Hypervisor::State::kHopeless) {
    log_->critical(
        "executor={} libvirt={} cannot be started in this process, and not be tried again there: {}. The account needs "
        "a "
        "folder as HOME, and one as root of the URI, in which it may write",
        config_.core.id.value, config_.libvirt, Quoted(reason));
    return callbacks_.must_go_down(Error{Code::kUnavailable, reason});
  }
  if (state == Hypervisor::State::kAway) {
    log_->warn("libvirt={} away: {}", config_.libvirt, reason);
    return;
  }
  log_->info("libvirt={} connected", config_.libvirt);
  network_judged_ = false;
  callbacks_.reconnected();
  if (fleet_ != nullptr) {
    ways_->TryAgain();
    return fleet_->Reconcile({});
  }
  Sweep();
}

void LibvirtDriver::Sweep() {
  if (fleet_ != nullptr || prover_ != nullptr || closing_) return;
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

void LibvirtDriver::ProveAcceleration() {
  if (prover_ != nullptr || closing_) return;
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

void LibvirtDriver::Accelerated(Result<AccelerationProver::Outcome> outcome) {
  if (closing_) return;
  if (!outcome) {
    readiness_->Set("acceleration", outcome.error().message);
    return callbacks_.opened(std::unexpected(outcome.error()));
  }
  const std::string name(AccelerationName(outcome->acceleration));
  if (outcome->acceleration == Acceleration::kTcg) {
    log_->warn("acceleration=tcg reason=\"{}\": emulated machines are slow and no isolation is promised for them",
               outcome->reason);
    readiness_->Remark("isolation", "none is promised: machines are emulated (TCG), for development and tests");
  } else {
    log_->info("acceleration=kvm reason=\"{}\"", outcome->reason);
  }
  readiness_->Set("acceleration", "");
  readiness_->Remark("acceleration", fmt::format("{}: {}", name, outcome->reason));
  MakeFleet(outcome->acceleration);
  callbacks_.opened(Opened{name, image_.runtimes, true});
}

void LibvirtDriver::MakeFleet(Acceleration acceleration) {
  FleetOptions options = MakeFleetOptions();
  options.acceleration = acceleration;
  options.start_within_ms = kMaxStartStretch * config_.core.start_timeout_ms;  // the core gives up before
  options.hello_within_ms = options.start_within_ms;
  fleet_ = std::make_unique<Fleet>(loop_, *hypervisor_, *starter_, image_, options, MakeFleetCallbacks());
  WaysOptions ways;
  ways.choice = config_.start;
  ways.profiles = config_.profile_start;
  ways.folder = config_.template_dir;
  ways_ = std::make_unique<Ways>(
      *hypervisor_, *fleet_, image_, std::move(options), std::move(ways), config_.core.profiles, loop_, log_,
      [this](const std::string& profile, const Ways::Status& status) { WayChanged(profile, status); });
}

Fleet::Callbacks LibvirtDriver::MakeFleetCallbacks() {
  Fleet::Callbacks callbacks;
  callbacks.ready = callbacks_.ready;
  callbacks.failed = callbacks_.failed;
  callbacks.lost = callbacks_.lost;
  callbacks.frame = callbacks_.frame;
  callbacks.destroyed = callbacks_.destroyed;
  callbacks.shells = callbacks_.shells;
  callbacks.process = [this](pid_t process) { JudgeNetwork(process); };
  callbacks.outcome = [this](const std::string& profile, const MachineStarter* starter, const std::string& reason) {
    ways_->Report(profile, starter, reason);
  };
  return callbacks;
}

void LibvirtDriver::Begin() {
  reconcile_.StartEvery(kReconcileMs);
  ways_->Begin();
}

void LibvirtDriver::WayChanged(const std::string& profile, const Ways::Status& status) {
  // What was made from a saved machine that failed is not handed out any more.
  if (status.condemned > 0) callbacks_.image_changed(profile, fmt::format("{}#{}", image_.hash, status.condemned));
  readiness_->Remark("start " + profile,
                     fmt::format("{}{}{}", WayName(status.way), status.reason.empty() ? "" : "; not ", status.reason));
  metrics_.StartsBy(profile, status.way);
}

void LibvirtDriver::JudgeNetwork(pid_t process) {
  if (std::exchange(network_judged_, true)) return;
  const std::string fault = NetworkFault(process);
  readiness_->Remark("network", fault.empty() ? "the processes of machines have none" : fault);
  if (fault.empty()) return;
  if (!config_.require_no_network) {
    return log_->warn("network=\"{}\": give libvirtd a network namespace without interfaces", fault);
  }
  log_->error("executor={} refuses to run: {}", config_.core.id.value, fault);
  // Before a machine has said HELLO, so that nobody's code has run in one.
  callbacks_.must_go_down(
      Error{Code::kUnavailable, "the configuration demands that machines have no network: " + fault});
}

void LibvirtDriver::Start(const MachineId& machine, const Profile& profile, bool warm_up) {
  fleet_->Start(machine, profile, warm_up);
}

void LibvirtDriver::KeepShells(const Profile& profile, std::int32_t count) {
  fleet_->KeepShells(profile, count);
}

void LibvirtDriver::Destroy(const MachineId& machine) {
  fleet_->Destroy(machine);
}

Result<void> LibvirtDriver::Send(const MachineId& machine, const guest::Frame& frame) {
  return fleet_->Send(machine, frame);
}

void LibvirtDriver::SendArchive(const MachineId& machine, const CodeHash& hash,
                                std::shared_ptr<const std::string> bytes, std::function<void()> sent) {
  fleet_->SendArchive(machine, hash, std::move(bytes), std::move(sent));
}

void LibvirtDriver::MarkOwner(const MachineId& machine, const UserId& user, std::int32_t rank) {
  fleet_->MarkOwner(machine, user, rank);
}

void LibvirtDriver::Close(std::function<void()> done) {
  closing_ = true;
  if (fleet_ == nullptr) return loop_.Post(std::move(done));
  reconcile_.Cancel();
  ways_->Stop();
  hypervisor_->RefuseStarts();
  fleet_->DestroyAll(std::move(done));
}

std::vector<std::string> LibvirtDriver::Left() const {
  return fleet_ ? fleet_->Left() : std::vector<std::string>{};
}

void LibvirtDriver::Show(QueueDepths& depths) {
  depths.starts = hypervisor_->starts_waiting();
  depths.starts_limit = kMaxStartsQueued;
  depths.destroys = hypervisor_->destroys_waiting();
  depths.destroys_limit = kMaxDestroysQueued;
  depths.activations = hypervisor_->activations_waiting();
  depths.activations_limit = kMaxActivationsQueued;
  depths.monitor_commands = hypervisor_->monitor_commands();
  depths.libvirt_up = hypervisor_->up();
  if (fleet_ == nullptr) return;
  for (const auto& profile : config_.core.profiles) {
    const auto& way = ways_->Of(profile.name);
    metrics_.Saved(profile.name, way.made, way.condemned);
  }
}

}  // namespace hearth::executor
