// Machines through libvirt. It waits for libvirt, destroys what an earlier life of the executor has left, proves the
// acceleration and then holds a fleet, whose machines come up by the best way that works. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/http/status.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "executor/config.h"
#include "executor/machine_driver.h"
#include "executor/machines/acceleration.h"
#include "executor/machines/fleet.h"
#include "executor/machines/hypervisor.h"
#include "executor/machines/image.h"
#include "executor/machines/ways.h"
#include "executor/metrics.h"

namespace hearth::executor {

constexpr std::int64_t kReconcileMs = 30'000;
constexpr std::int64_t kRetrySweepMs = 1000;

class LibvirtDriver : public MachineDriver {
 public:
  struct Options {
    Config config;
    MachineImage image;       // checked and staged already
    std::string incarnation;  // new for each process
    // Of those that machines run under; none: they run under this process's.
    std::optional<MachineAccount> first_account;
  };
  LibvirtDriver(Loop& loop, Options options, Callbacks callbacks, std::shared_ptr<Readiness> readiness,
                Metrics& metrics, Logger log);
  ~LibvirtDriver() override;
  LibvirtDriver(const LibvirtDriver&) = delete;
  LibvirtDriver& operator=(const LibvirtDriver&) = delete;

  void Open() override;
  void Begin() override;
  void Start(const MachineId& machine, const Profile& profile, bool warm_up) override;
  void KeepShells(const Profile& profile, std::int32_t count) override;
  void Destroy(const MachineId& machine) override;
  Result<void> Send(const MachineId& machine, const guest::Frame& frame) override;
  void SendArchive(const MachineId& machine, const CodeHash& hash, std::shared_ptr<const std::string> bytes,
                   std::function<void()> sent) override;
  void MarkOwner(const MachineId& machine, const UserId& user, std::int32_t rank) override;
  void Close(std::function<void()> done) override;
  [[nodiscard]] std::size_t size() const override { return fleet_ ? fleet_->size() : 0; }
  [[nodiscard]] std::vector<std::string> Left() const override;
  void Show(QueueDepths& depths) override;

 private:
  void HypervisorChanged(Hypervisor::State state, const std::string& reason);
  void Sweep();  // strays of an earlier life
  void ProveAcceleration();
  void Accelerated(Result<AccelerationProver::Outcome> outcome);
  void MakeFleet(Acceleration acceleration);
  void WayChanged(const std::string& profile, const Ways::Status& status);
  void JudgeNetwork(pid_t process);  // of the first machine of each connection to libvirt, which decides it
  [[nodiscard]] FleetOptions MakeFleetOptions() const;
  [[nodiscard]] Fleet::Callbacks MakeFleetCallbacks();

  Loop& loop_;
  const Config config_;
  const MachineImage image_;
  const std::string incarnation_;
  const std::optional<MachineAccount> first_account_;
  const Callbacks callbacks_;
  const std::shared_ptr<Readiness> readiness_;
  Metrics& metrics_;
  const Logger log_;
  std::shared_ptr<Shares> shares_;
  std::unique_ptr<Hypervisor> hypervisor_;
  std::unique_ptr<BootStarter> starter_;
  std::unique_ptr<Fleet> sweeper_;  // until the strays of an earlier life are gone
  std::unique_ptr<AccelerationProver> prover_;
  std::unique_ptr<Fleet> fleet_;  // once the acceleration is known
  std::unique_ptr<Ways> ways_;
  Timer sweep_retry_;
  Timer reconcile_;
  bool network_judged_ = false;
  bool closing_ = false;
};

}  // namespace hearth::executor
