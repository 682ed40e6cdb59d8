// The executor's core: which attempt runs in which container of which machine, and what becomes of it. One state
// machine, Step(event, now) → effects; the shell (executor/app) owns sockets, libvirt, Kafka and clocks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "schemas/function.h"
#include "schemas/guest.h"
#include "schemas/link.h"
#include "schemas/pool_status.h"
#include "schemas/record.h"
#include "schemas/reply_policy.h"
#include "schemas/result.h"
#include "schemas/usage.h"

namespace hearth::executor {

struct Profile {
  std::string name = "default";
  std::int32_t memory_mib = 512;   // of a machine
  std::int32_t reserve_mib = 128;  // of that, kept for kernel, agent and runtimes
  std::int32_t vcpus = 1;
  std::int32_t pool_min = 1;  // unassigned warm machines to hold
  std::int32_t pool_max = 4;
  std::int32_t shells = 2;  // to hold behind the pool
};

// What holds for one user instead of the executor's defaults; 0 where nothing else was said.
struct UserLimits {
  std::int64_t container_idle_ms = 0;
  std::int64_t machine_idle_ms = 0;
  std::int32_t max_starts = 0;  // machines starting at once
};

struct Settings {
  ExecutorId id;
  std::string incarnation;
  std::string acceleration;  // "kvm", "tcg" or "simulated"
  std::vector<Profile> profiles;
  std::set<Runtime> runtimes;                   // that a machine must have; one that started without is replaced
  std::int32_t memory_mib = 8192;               // for all machines together
  std::int32_t credit = 64;                     // attempts held at once
  std::int32_t concurrent_starts = 2;           // machines starting at once: boots, and what refills the pool
  std::int32_t concurrent_activations = 8;      // shells activated at once for requests; refill never holds these back
  std::int32_t user_starts = 4;                 // machines starting at once for one user
  std::int64_t container_idle_ms = 5 * 60'000;  // where neither the function nor its user says otherwise
  std::int64_t machine_idle_ms = 15 * 60'000;
  std::map<UserId, UserLimits> users;
  std::int64_t start_timeout_ms = 30'000;      // StartMachine → agent's Hello; stretched by StartLimitMs
  std::int64_t ping_interval_ms = 2'000;       // three misses condemn
  std::int64_t container_timeout_ms = 30'000;  // Create → Created, Remove → ContainerGone
  std::int64_t kill_grace_ms = 2'000;          // past an attempt's time-out without Ended: the machine is condemned
  std::int64_t orphan_grace_ms = link::kOrphanGraceMs;
  ReplyPolicy replies{.default_topic = {}, .allowed = {"*"}};
  std::string undeliverable_topic = "hearth.undeliverable";
  std::string usage_topic = "hearth.usage";
  std::uint64_t seed = 0;
};

// A connection from a dispatcher, numbered by the shell; never re-used.
using LinkId = std::uint64_t;

// ---- events --------------------------------------------------------------------------------------------------------
struct DispatcherConnected {
  LinkId link = 0;
  DispatcherId dispatcher;
};  // its hello was read
struct DispatcherDisconnected {
  LinkId link = 0;
};
struct DispatcherMessage {
  LinkId link = 0;
  link::Message message;
};
// The agent said Hello on the machine's link; `path` is how the machine was made (kRestore or kBoot).
struct MachineReady {
  MachineId machine;
  StartPath path = StartPath::kBoot;
  guest::Hello hello;
};
struct MachineFailed {
  MachineId machine;
  std::string reason;
};  // could not be started
struct MachineLost {
  MachineId machine;
  std::string reason;
};  // its link or process ended, or it lied
struct MachineDestroyed {
  MachineId machine;
};  // answer to DestroyMachine
struct ShellsChanged {
  std::string profile;
  std::int32_t ready = 0;  // each turns a StartMachine into a restore
};
// What the host has left, measured every second or so.
struct HostPressure {
  std::int32_t memory_available_mib = 0;
  std::int32_t cpu_busy_ppm = 0;  // of all processors together
};
// Machines of the profile are made from another image or template from now on: those in the pool are replaced.
struct ImageChanged {
  std::string profile;
  std::string image;  // its hash
};
// How much of a profile to hold from now on.
struct PoolChanged {
  std::string profile;
  std::int32_t min = 0, max = 0, shells = 0;
};
struct GuestMessage {
  MachineId machine;
  guest::Frame frame;
};
// Answer to LoadCode; empty error: `bytes` holds the archive, hash already verified.
struct CodeLoaded {
  UserId user;
  CodeHash hash;
  std::shared_ptr<const std::string> bytes;
  std::string error;
};
// Answer to SendArchive: all of it is on its way to the machine, in order before whatever is sent from now on.
struct ArchiveSent {
  MachineId machine;
  CodeHash hash;
};
struct PublishFinished {
  std::uint64_t token = 0;
  bool ok = false;
  std::string error;
  bool purged = false;     // taken back before it was sent, as PurgePublishes asked
  bool permanent = false;  // it can never be written as it is
};
struct FunctionUpdated {
  std::shared_ptr<const Function> function;
};
struct FunctionRemoved {
  UserId user;
  FunctionName name;
};
struct FunctionsCaughtUp {};  // all that the registry held at the start was told
struct DrainRequested {};
struct Tick {};  // at least every 50 ms

using Event = std::variant<DispatcherConnected, DispatcherDisconnected, DispatcherMessage, MachineReady, MachineFailed,
                           MachineLost, MachineDestroyed, ShellsChanged, HostPressure, ImageChanged, PoolChanged,
                           GuestMessage, CodeLoaded, ArchiveSent, PublishFinished, FunctionUpdated, FunctionRemoved,
                           FunctionsCaughtUp, DrainRequested, Tick>;

// ---- effects -------------------------------------------------------------------------------------------------------
struct SendToDispatcher {
  LinkId link = 0;
  link::Message message;
};
// Make a machine of the profile, from a shell where one waits; answered by MachineReady or MachineFailed.
struct StartMachine {
  MachineId machine;
  std::string profile;
  bool warm_up = true;  // for the pool: each runtime runs once before MachineReady; else nobody waits for that
};
// How many shells of the profile shall wait. They are made in the background, bounded; ShellsChanged reports them.
struct KeepShells {
  std::string profile;
  std::int32_t count = 0;
};
// Answered by MachineDestroyed. Legal in every state, also while starting.
struct DestroyMachine {
  MachineId machine;
  std::string reason;
};
// The machine has an owner now: the shell records it in the domain's metadata, off the way of the request.
struct MarkOwner {
  MachineId machine;
  UserId user;
};
struct SendToGuest {
  MachineId machine;
  guest::Frame frame;
};
// The code travels a few chunks at a time, so that other frames to the machine do not wait behind it. Answered by
// ArchiveSent, unless the machine ends.
struct SendArchive {
  MachineId machine;
  CodeHash hash;
  std::shared_ptr<const std::string> bytes;
};
struct LoadCode {
  UserId user;
  CodeHash hash;
};
// Answered by PublishFinished with the same token, exactly once.
struct Publish {
  std::uint64_t token = 0;
  OutRecord record;
};
// What was handed to Kafka's client and not sent yet comes back as PublishFinished with `purged`.
struct PurgePublishes {};
struct PublishUsage {
  Usage usage;
};  // best effort, no answer
struct Trace {
  enum class Kind : std::uint8_t {
    kAccepted,
    kNacked,
    kStarted,
    kEnded,
    kPublished,
    kOrphaned,
    kMachineMoved,
    kContainerMoved
  };
  Kind kind = Kind::kAccepted;
  link::AttemptRef ref;
  InvocationId id;
  UserId user;
  FunctionName function;
  MachineId machine;
  ContainerId container;
  std::string from, to;  // states, where something moved
  Status status = Status::kOk;
  StartPath path = StartPath::kNone;
  Times times;
  std::string reason;
};
struct DrainFinished {};

using Effect = std::variant<SendToDispatcher, StartMachine, KeepShells, DestroyMachine, MarkOwner, SendToGuest,
                            SendArchive, LoadCode, Publish, PurgePublishes, PublishUsage, Trace, DrainFinished>;

// One profile's pool as it stands.
struct Gauges {
  std::int64_t held = 0, credit = 0, waiting = 0, running = 0, publishing = 0;
  std::int64_t machines = 0, assigned = 0, starting = 0, containers = 0, idle_containers = 0;
  std::vector<PoolStatus> pools;
  bool memory_short = false, cpu_short = false;
  std::int64_t done_ring = 0;
  std::int64_t indexed = 0;  // entries of the indexes beside the machines themselves: what would leak
};

// Not thread-safe: one thread steps it. Effects are appended in the order in which they must be carried out.
class Core {
 public:
  explicit Core(Settings settings);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void Step(const Event& event, Time now, std::vector<Effect>& effects);
  [[nodiscard]] Gauges ReadGauges() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hearth::executor
