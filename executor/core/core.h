// The executor's core: which attempt runs in which container of which machine, and what becomes of it. One state
// machine, Step(event, now) → effects. The shell (executor/app) owns sockets, libvirt, Kafka and clocks.
//
// The core has no state of its own but its owners: each answers for one thing and keeps its invariants. What happens is
// passed to them; what takes several of them is decided here, and what is waiting is scheduled at the end of the step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "executor/core/attempts.h"
#include "executor/core/code_cache.h"
#include "executor/core/context.h"
#include "executor/core/dispatchers.h"
#include "executor/core/effects.h"
#include "executor/core/events.h"
#include "executor/core/machines.h"
#include "executor/core/pools.h"
#include "executor/core/registry.h"
#include "executor/core/scheduler.h"
#include "executor/core/settings.h"
#include "schemas/pool_status.h"

namespace hearth::executor {

// How much there is of everything at one moment, for metrics and for those who look.
struct Gauges {
  std::int64_t held = 0, credit = 0, waiting = 0, waiting_limit = 0, running = 0, publishing = 0;
  std::int64_t machines = 0, assigned = 0, starting = 0, containers = 0, idle_containers = 0;
  std::vector<PoolStatus> pools;
  bool memory_short = false, cpu_short = false;
  std::int64_t done_ring = 0;
  std::int64_t indexed = 0;  // entries of the indexes beside the machines and attempts themselves: what would leak
};

// Not thread-safe: one thread steps it. Effects are appended in the order in which they must be carried out.
class Core {
 public:
  explicit Core(Settings settings);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void Step(Event event, Time now, std::vector<Effect>& effects);
  [[nodiscard]] Gauges ReadGauges() const;
  // What the owners hold, to be looked at.
  [[nodiscard]] const Machines& machines() const { return machines_; }
  [[nodiscard]] const Attempts& attempts() const { return attempts_; }

 private:
  // ---- core.cc
  void On(const Tick& event);
  void On(const DrainRequested& event);
  void On(const PublishFinished& event) { attempts_.Published(event); }
  void On(const FunctionUpdated& event);
  void On(const FunctionRemoved& event) { registry_.Remove(event.user, event.name); }
  void On(const FunctionsCaughtUp&) { registry_.CaughtUp(); }
  void On(const ShellsChanged& event) { pools_.SetShells(event); }
  void On(const HostPressure& event) { pools_.SetPressure(event); }
  void On(const ImageChanged& event) { pools_.SetImage(event); }
  void On(const PoolChanged& event) { pools_.Resize(event); }
  void On(const ArchiveSent& event);
  void On(const CodeLoaded& event);
  // Removes the container that the attempt runs in, or that was promised to it, if any.
  void TakeContainer(Attempt& attempt, const std::string& reason);
  // Ends an attempt that nobody waits for any more.
  void LetGo(Attempt& attempt, const std::string& reason);

  // ---- core_links.cc: what dispatchers ask and are told.
  using Refusal = std::pair<link::NackReason, const char*>;  // and why, for people
  void On(const DispatcherConnected& event);
  void On(const DispatcherDisconnected& event);
  void On(DispatcherMessage& event);
  void OnExec(LinkId link, const DispatcherId& dispatcher, link::Exec& exec);
  [[nodiscard]] std::optional<Refusal> RefusalOf(const link::Exec& exec, const DispatcherId& dispatcher) const;
  [[nodiscard]] bool MayReplyTo(const link::Exec& exec) const;
  void RefuseReply(LinkId link, const link::Exec& exec);
  void OnFence(LinkId link, const DispatcherId& dispatcher, const link::Fence& fence);
  void OnCancel(const link::Cancel& cancel);
  void OnDrop(const link::Drop& drop);
  void OnDoneAck(const DispatcherId& dispatcher, const link::AttemptRef& ref);
  [[nodiscard]] link::ExecutorHello Hello() const;
  void SendHeartbeats();
  void ReportSlots();
  void DropOrphans();

  // ---- core_guest.cc: what agents say.
  void On(GuestMessage& event);
  void OnGuest(Machine& machine, std::uint32_t stream, guest::Message& message);
  void OnCodeStored(Machine& machine, const guest::CodeStored& stored);
  void OnCreated(Machine& machine, Container& container, const guest::Created& created);
  void OnEnded(Machine& machine, Container* container, guest::Ended& ended);
  void OnChecked(Machine& machine, Container* container, const guest::Checked& checked);
  void OnGone(Machine& machine, Container& container, const std::string& reason);
  void OnUnasked(Machine& machine);

  // ---- core_machines.cc: lives of machines.
  void On(const MachineReady& event);
  void On(const MachineFailed& event);
  void On(const MachineLost& event);
  void On(const MachineDestroyed& event);
  void Condemn(Machine& machine, const std::string& reason);
  void Erase(Machine& machine);
  void StartFailed(std::size_t profile);
  void PingAgents();
  void RunDue();
  void Expire(Machine& machine);
  void Expire(Machine& machine, Container& container);

  Context context_;
  Registry registry_;
  Machines machines_{context_};
  CodeCache codes_{context_, machines_};
  Pools pools_{context_, machines_};
  Dispatchers dispatchers_{context_};
  Attempts attempts_{context_, codes_, dispatchers_};
  Scheduler scheduler_{context_, registry_, attempts_, machines_, codes_, pools_};
  bool drained_ = false;  // and it was told
};

}  // namespace hearth::executor
