// The machines that this process started: each with its folder, socket, account, link and domain, from the order to
// start it until nothing of it is left. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/loop/loop.h"
#include "executor/core/core.h"
#include "executor/guest_link.h"
#include "executor/machines/hypervisor.h"
#include "executor/machines/image.h"
#include "executor/machines/starter.h"

namespace hearth::executor {

constexpr std::int64_t kDestroyRetryMs = 1000;

struct FleetOptions {
  ExecutorId executor;
  std::string incarnation;
  std::string run_dir;  // each machine gets a folder in it
  std::string folder_prefix = "m";
  Acceleration acceleration = Acceleration::kTcg;
  std::int64_t start_within_ms = 30'000;  // from the order to HELLO
  std::int64_t hello_within_ms = 30'000;  // from libvirt's answer to HELLO
  // Accounts for QEMU, where the executor is root: one of `accounts` uids from `first_uid` for each machine.
  std::optional<MachineAccount> first_account;
};

class Fleet {
 public:
  struct Callbacks {
    std::function<void(const InstanceId&, StartPath, guest::Hello)> ready;
    std::function<void(const InstanceId&, std::string reason)> failed;  // never became ready; it is being removed
    std::function<void(const InstanceId&, std::string reason)> lost;    // was ready; it is being removed
    std::function<void(const InstanceId&, guest::Frame)> frame;
    std::function<void(const InstanceId&)> destroyed;  // answer to Destroy
  };

  Fleet(Loop& loop, Hypervisor& hypervisor, MachineStarter& starter, MachineImage image, FleetOptions options,
        Callbacks callbacks);
  ~Fleet();  // closes the links; domains that are left are strays for the next life
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Answered by `ready` or `failed`, never from inside the call.
  void Start(const InstanceId& instance, const Profile& profile);
  // Answered by `destroyed` once libvirt has confirmed; an instance that is not known is answered too. Legal in every
  // state. Where libvirt is away, it is tried until it answers.
  void Destroy(const InstanceId& instance);
  // Destroys every machine without a word to the callbacks; calls `done` when nothing is left of them.
  void DestroyAll(std::function<void()> done);
  void Send(const InstanceId& instance, const guest::Frame& frame);
  // Records the owner in the domain's metadata.
  void MarkOwner(const InstanceId& instance, const UserId& user);
  // Compares libvirt's domains with these: destroys strays of this executor, reports what is gone. `done` (may be
  // empty) hears how many strays were found once they are destroyed, or why libvirt could not be asked.
  void Reconcile(std::function<void(Result<std::size_t>)> done);

  [[nodiscard]] std::size_t size() const { return machines_.size(); }

 private:
  struct Machine;

  DomainSpec MakeSpec(const Machine& machine, const Profile& profile) const;
  Result<void> Prepare(Machine& machine);
  void Created(const InstanceId& instance, Result<void> result);
  void Heard(const InstanceId& instance, guest::Frame frame);
  void Greeted(const InstanceId& instance, guest::Hello hello);
  void Broken(const InstanceId& instance, std::string reason);
  void Remove(Machine& machine);
  void Removed(const InstanceId& instance, Result<void> result);
  Machine* Find(const InstanceId& instance);
  void Later(std::function<void()> work);  // posts to the loop; dropped once the fleet is gone

  Loop& loop_;
  Hypervisor& hypervisor_;
  MachineStarter& starter_;
  const MachineImage image_;
  const FleetOptions options_;
  const Callbacks callbacks_;
  std::map<InstanceId, std::unique_ptr<Machine>> machines_;
  std::vector<std::unique_ptr<GuestLink>> ended_;  // may still be on the call stack; emptied from the loop
  std::set<std::uint32_t> slots_;                  // in use; a slot decides folder and account
  std::function<void()> on_empty_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hearth::executor
