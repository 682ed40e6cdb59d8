// The executor's shell: builds everything, turns what happens into events for the core, carries out its effects, and
// takes the daemon from "no machine can be made yet" to "drained". Loop thread only.
#pragma once

#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/daemon/run.h"
#include "common/daemon/stepper.h"
#include "common/http/status.h"
#include "common/kafka/functions.h"
#include "common/log/line_budget.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "executor/code_store.h"
#include "executor/config.h"
#include "executor/core/core.h"
#include "executor/host_pressure.h"
#include "executor/links.h"
#include "executor/machine_driver.h"
#include "executor/metrics.h"
#include "executor/outbox.h"
#include "executor/pool_overrides.h"
#include "executor/registration.h"

namespace hearth::executor {

constexpr std::int64_t kTickMs = 25;
constexpr std::int64_t kShowMs = 250;  // metrics and readiness
constexpr std::int64_t kHostWatchMs = 1000;
// For the machines to be destroyed and the outbox to be emptied. A QEMU that does not react takes libvirt 15 s.
constexpr std::int64_t kShutdownMs = 20'000;

class App : public Daemon {
 public:
  using MakeDriver = std::function<std::unique_ptr<MachineDriver>(
      MachineDriver::Callbacks callbacks, std::shared_ptr<Readiness> readiness, Metrics& metrics)>;

  // `incarnation` is new for each process.
  App(Loop& loop, Config config, std::string incarnation, const MakeDriver& make_driver, Logger log);
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Opens what has to be had at once: the status port, the outbox, the link's address. Then the loop may run: what
  // makes machines, Kafka and Redis are waited for. An error names what could not be opened.
  Result<void> Start() override;
  // Takes no new work, finishes what runs, destroys the machines, stops the loop. The second call does not wait for
  // what runs.
  void Drain() override;
  [[nodiscard]] int exit_code() const override { return verdict_ ? kExitDrained : kExitFailed; }

 private:
  void Open(MachineDriver::Opened opened);
  [[nodiscard]] ExecutorRecord DescribeSelf() const;
  void Show();

  // app_events.cc
  MachineDriver::Callbacks MakeDriverCallbacks();
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
  void Do(Tally& effect);
  void Do(DrainFinished& effect);
  void Shutdown();

  Loop& loop_;
  const Config config_;
  const std::string incarnation_;
  const Logger log_;
  std::string listen_;  // with the host in numbers

  std::shared_ptr<Readiness> readiness_ = std::make_shared<Readiness>();
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  Metrics metrics_;
  std::unique_ptr<HttpServer> status_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<FolderCodeStore> code_store_;
  std::unique_ptr<MachineDriver> driver_;
  std::string acceleration_;

  std::unique_ptr<Core> core_;  // from here on: once the driver is open
  std::unique_ptr<DispatcherLinks> links_;
  std::unique_ptr<kafka::TopicFollower> follower_;
  std::unique_ptr<kafka::TopicFollower> settings_follower_;
  PoolOverrides pool_overrides_;
  HostWatch host_watch_{GroupScopeOf(config_)};
  std::string settings_alarm_;
  std::unique_ptr<Registration> registration_;
  std::map<MachineId, std::int64_t> started_us_;  // machines that have not said HELLO yet

  TurnEnd turn_end_;
  Timer tick_;
  Timer show_;
  LineBudget lines_;  // of attempts that were refused or orphaned
  Timer watch_host_;
  Timer shutdown_;
  Stepper<Event, Effect> stepper_;
  std::int32_t failed_starts_ = 0;  // in a row
  std::string last_alarm_;          // of Kafka: one line for each change, not for each attempt
  std::string redis_alarm_;         // likewise
  bool draining_ = false;
  bool shutting_down_ = false;
  Result<void> verdict_;  // why the loop stopped by itself, or nothing
};

}  // namespace hearth::executor
