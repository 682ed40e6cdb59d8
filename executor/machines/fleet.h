// The machines that this process started: each with its folder, socket, account, link and domain, from the order to
// start it until nothing of it is left; and the shells, machines that wait to be filled. Loop thread only.
//
// What holds at any time: a machine goes through the stages that machine_stage.h draws and through no others. No two
// machines have one slot, and so none shares a folder or an account. A machine is forgotten only when libvirt has
// confirmed that its domain is gone, and no domain is destroyed while libvirt still owes the answer to its start.
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
#include "executor/machines/shares.h"
#include "executor/machines/starter.h"

namespace hearth::executor {

constexpr std::int64_t kDestroyRetryMs = 1000;
constexpr std::int64_t kGreetAgainMs = 500;
constexpr std::int64_t kShellRetryMs = 1000;   // after one that could not be made
constexpr std::int32_t kShellsMadeAtOnce = 1;  // of all profiles, and none while a machine is being made now
// A machine that was just given to a request starts a container: so long it is neither replaced nor marked.
constexpr std::int64_t kShellYieldMs = 500;
constexpr std::int64_t kMarkAfterMs = 500;
constexpr std::int32_t kMaxShellsOfProfile = 256;
// Machines at once, shells included, where each has an account of its own.
constexpr std::uint32_t kAccountsOfExecutor = 1024;

struct FleetOptions {
  ExecutorId executor;
  std::string incarnation;
  std::string run_dir;  // each machine gets a folder in it
  std::string folder_prefix = "m";
  Acceleration acceleration = Acceleration::kTcg;
  std::int64_t start_within_ms = 30'000;   // from the order to HELLO
  std::int64_t hello_within_ms = 30'000;   // from libvirt's answer to HELLO, and from there to Warmed
  std::int64_t aside_within_ms = 120'000;  // both, for machines that nobody waits for
  // Accounts for QEMU, where the executor is root: one of `accounts` uids from this one on for each machine.
  std::optional<MachineAccount> first_account;
  std::uint32_t accounts = kAccountsOfExecutor;
  std::shared_ptr<Shares> shares;  // of the processors; null: none
};

// What a machine of the profile is made of, without name, socket, account and mark.
DomainSpec DescribeMachine(const MachineImage& image, Acceleration acceleration, const Profile& profile);

class Fleet {
 public:
  struct Callbacks {
    std::function<void(const MachineId&, StartPath, guest::Hello)> ready;
    std::function<void(const MachineId&, std::string reason)> failed;  // never became ready; it is being removed
    std::function<void(const MachineId&, std::string reason)> lost;    // was ready; it is being removed
    std::function<void(const MachineId&, guest::Frame)> frame;
    std::function<void(const MachineId&)> destroyed;  // answer to Destroy
    // The rest may be empty.
    std::function<void(pid_t)> process;  // of a machine, or a shell: QEMU has connected
    std::function<void(const std::string& profile, std::int32_t ready)> shells;
    // How a start, or a shell, of the profile's own way went. An empty reason: well.
    std::function<void(const std::string& profile, const MachineStarter*, const std::string& reason)> outcome;
  };
  // Of a machine that is not the core's: one to be saved, or a trial.
  struct Watch {
    std::function<void(const std::string& domain, guest::Hello)> ready;
    std::function<void(std::string reason)> ended;  // failed, or lost
    std::function<void()> destroyed;                // answer to Destroy
  };

  // `boot` makes the machines of profiles that have no other way.
  Fleet(Loop& loop, Hypervisor& hypervisor, MachineStarter& boot, MachineImage image, FleetOptions options,
        Callbacks callbacks);
  ~Fleet();  // closes the links; domains that are left are strays for the next life
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Answered by `ready` or `failed`, never from inside the call. A waiting shell is taken where there is one. With
  // `warm_up` a restored machine is ready only once each runtime has run in it again.
  void Start(const MachineId& machine_id, const Profile& profile, bool warm_up);
  // A machine made by `starter`, which must live until `destroyed`.
  void StartAside(const MachineId& machine_id, const Profile& profile, MachineStarter& starter, Watch watch);
  // How machines of the profile are made from now on; null: booted. Shells of the former way are destroyed.
  void Use(const Profile& profile, std::shared_ptr<MachineStarter> starter);
  // How many shells shall wait, where the profile's way knows them. `shells` reports those that do.
  void KeepShells(const Profile& profile, std::int32_t count);
  [[nodiscard]] std::int32_t ShellsReady(const std::string& profile) const;

  // Answered by `destroyed` once libvirt has confirmed; a machine that is not known is answered too. Legal in every
  // state. Where libvirt is away, it is tried until it answers.
  void Destroy(const MachineId& machine_id);
  // Destroys every machine and shell without a word to the callbacks; calls `done` when nothing is left of them. None
  // is made after it.
  void DestroyAll(std::function<void()> done);
  Result<void> Send(const MachineId& machine_id, const guest::Frame& frame);
  void SendArchive(const MachineId& machine_id, const CodeHash& hash, std::shared_ptr<const std::string> bytes,
                   std::function<void()> sent);  // see GuestLink
  // The machine is the user's, who has `rank` machines before it: it gets its share of the processors, and kMarkAfterMs
  // later the owner stands in the domain's metadata.
  void MarkOwner(const MachineId& machine_id, const UserId& user, std::int32_t rank = 0);
  // Compares libvirt's domains with these: destroys strays of this executor, reports what is gone. `done` (may be
  // empty) hears how many strays were found once they are destroyed, or why libvirt could not be asked.
  void Reconcile(std::function<void(Result<std::size_t>)> done);

  [[nodiscard]] std::size_t size() const { return machines_.size(); }
  // The domains of all machines, for the log.
  [[nodiscard]] std::vector<std::string> Left() const;

 private:
  class Machine;
  // Where the machines of one profile come from, and how many of its shells shall wait.
  struct Supply {
    Profile profile;
    std::shared_ptr<MachineStarter> starter;  // null: booted
    std::int32_t shells_wanted = 0;
    std::int32_t shells_told = 0;
    std::int64_t retry_at_ms = 0;
  };

  Machine& Add(const MachineId& machine_id, const Profile& profile, std::shared_ptr<MachineStarter> owned,
               MachineStarter& starter);
  DomainSpec MakeSpec(const Machine& machine, const Profile& profile) const;
  // Makes the machine's folder and listens in it for its agent.
  Result<void> OpenSocket(Machine& machine, std::int64_t hello_within_ms);
  void Begin(Machine& machine, const Profile& profile);
  void Created(const MachineId& machine_id, Result<void> result);
  void Heard(const MachineId& machine_id, guest::Frame frame);
  void Greeted(const MachineId& machine_id, guest::Hello hello);
  void Ready(Machine& machine);
  void Broken(const MachineId& machine_id, std::string reason);
  void Share(const Machine& machine);
  Machine* Find(const MachineId& machine_id);
  Machine* FindDomain(const std::string& domain);
  void Later(std::function<void()> work);  // posts to the loop; dropped once the fleet is gone

  // fleet_removal.cc
  void Remove(Machine& machine);
  void DestroyDomain(const Machine& machine);
  void Removed(const MachineId& machine_id, Result<void> result);

  // fleet_shells.cc
  void GreetUntilHello(Machine& machine);
  bool TakeShell(const MachineId& machine_id, Supply& supply, bool warm_up);
  void MakeShells();
  void MakeShell(Supply& supply);
  void ShellMade(const MachineId& shell, Result<void> result);
  void ShellEnded(Machine& shell, const std::string& reason);
  void TellShells(Supply& supply);
  [[nodiscard]] bool Waits(const Machine& machine) const;

  Loop& loop_;
  Hypervisor& hypervisor_;
  MachineStarter& boot_;
  const MachineImage image_;
  const FleetOptions options_;
  const Callbacks callbacks_;
  std::map<MachineId, std::unique_ptr<Machine>> machines_;
  std::map<std::string, Supply> supplies_;  // by profile
  std::uint64_t next_shell_ = 1;
  std::vector<std::unique_ptr<GuestLink>> ended_;  // may still be on the call stack; emptied from the loop
  std::set<std::uint32_t> slots_;                  // in use; a slot decides folder and account
  std::function<void()> on_empty_;
  bool going_down_ = false;
  Timer shell_retry_;
  std::int64_t shells_from_ms_ = INT64_MIN / 2;  // none is made before, of the loop's clock
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hearth::executor
