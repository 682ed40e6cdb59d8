// The executor's shell: builds everything, turns what happens into events for the core, carries out its effects, and
// takes the daemon from "libvirt is not there yet" to "drained". Loop thread only.
#pragma once

#include <prometheus/registry.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/daemon/run.h"
#include "common/daemon/stepper.h"
#include "common/http/status.h"
#include "common/kafka/functions.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "executor/code_store.h"
#include "executor/config.h"
#include "executor/core/core.h"
#include "executor/host_pressure.h"
#include "executor/links.h"
#include "executor/machines/acceleration.h"
#include "executor/machines/fleet.h"
#include "executor/machines/hypervisor.h"
#include "executor/machines/image.h"
#include "executor/machines/ways.h"
#include "executor/metrics.h"
#include "executor/outbox.h"
#include "executor/pool_overrides.h"
#include "executor/registration.h"

namespace hearth::executor {

constexpr std::int64_t kTickMs = 25;
constexpr std::int64_t kShowMs = 250;  // metrics and readiness
constexpr std::int64_t kHostWatchMs = 1000;
constexpr std::int64_t kReconcileMs = 30'000;
constexpr std::int64_t kRetrySweepMs = 1000;
// For the machines to be destroyed and the outbox to be emptied. A QEMU that does not react takes libvirt 15 s.
constexpr std::int64_t kShutdownMs = 20'000;

class App : public Daemon {
 public:
  // `image` is checked and staged already. `incarnation` is new for each process.
  // `first_account`: of those that machines run under; none: they run under this process's.
  App(Loop& loop, Config config, MachineImage image, std::string incarnation,
      std::optional<MachineAccount> first_account, Logger log);
  ~App() override;
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Opens what has to be had at once: the status port, the outbox, the link's address. Then the loop may run: libvirt,
  // Kafka and Redis are waited for. An error names what could not be opened.
  Result<void> Start() override;
  // Takes no new work, finishes what runs, destroys the machines, stops the loop. The second call does not wait for
  // what runs.
  void Drain() override;
  [[nodiscard]] int exit_code() const override { return verdict_ ? kExitDrained : kExitFailed; }

 private:
  void HypervisorChanged(Hypervisor::State state, const std::string& reason);
  void Sweep();  // strays of an earlier life
  void ProveAcceleration();
  void Accelerated(Result<AccelerationProver::Outcome> outcome);
  void Open(const AccelerationProver::Outcome& outcome);
  [[nodiscard]] FleetOptions MakeFleetOptions() const;
  [[nodiscard]] ExecutorRecord DescribeSelf() const;
  void Show();

  // app_events.cc
  Fleet::Callbacks MakeFleetCallbacks();
  void WayChanged(const std::string& profile, const Ways::Status& status);
  Result<void> ListenForDispatchers();
  Result<void> FollowFunctions();
  Result<void> FollowSettings();
  void WatchHost();
  void Register();

  // app_effects.cc
  void Handle(Event event);
  void Do(SendToDispatcher& effect);
  void Do(StartMachine& effect);
  void Do(KeepShells& effect);
  void Do(DestroyMachine& effect);
  void Do(MarkOwner& effect);
  void Do(SendToGuest& effect);
  void Do(SendArchive& effect);
  void Do(LoadCode& effect);
  void Do(Publish& effect);
  void Do(PurgePublishes& effect);
  void Do(PublishUsage& effect);
  void Do(Trace& effect);
  void Do(DrainFinished& effect);
  void JudgeNetwork(pid_t process);  // of the first machine of each connection to libvirt, which decides it
  void Shutdown();

  Loop& loop_;
  const Config config_;
  const MachineImage image_;
  const std::string incarnation_;
  const std::optional<MachineAccount> first_account_;
  const Logger log_;
  std::string listen_;  // with the host in numbers

  std::shared_ptr<Readiness> readiness_ = std::make_shared<Readiness>();
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  Metrics metrics_;
  std::unique_ptr<HttpServer> status_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<FolderCodeStore> code_store_;
  std::unique_ptr<Hypervisor> hypervisor_;
  std::unique_ptr<BootStarter> starter_;
  std::unique_ptr<Fleet> sweeper_;  // until the strays of an earlier life are gone
  std::unique_ptr<AccelerationProver> prover_;
  std::string acceleration_;

  std::unique_ptr<Core> core_;  // from here on: once the acceleration is known
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<DispatcherLinks> links_;
  std::unique_ptr<kafka::TopicFollower> follower_;
  std::unique_ptr<kafka::TopicFollower> settings_follower_;
  PoolOverrides pool_overrides_;
  HostWatch host_watch_{GroupScopeOf(config_)};
  std::string settings_alarm_;
  std::unique_ptr<Registration> registration_;
  std::unique_ptr<Ways> ways_;
  std::map<MachineId, std::int64_t> started_us_;  // machines that have not said HELLO yet

  Timer sweep_retry_;
  Timer tick_;
  Timer show_;
  Timer reconcile_;
  Timer watch_host_;
  Timer shutdown_;
  Stepper<Event, Effect> stepper_;
  std::int32_t failed_starts_ = 0;  // in a row
  std::string last_alarm_;          // of Kafka: one line for each change, not for each attempt
  std::string redis_alarm_;         // likewise
  bool network_judged_ = false;
  bool draining_ = false;
  bool shutting_down_ = false;
  Result<void> verdict_;  // why the loop stopped by itself, or nothing
};

}  // namespace hearth::executor
