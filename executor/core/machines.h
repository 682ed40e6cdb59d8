// The machines of this executor and the containers in them. Machines is the only one who changes them: it keeps every
// index over them, notes every change for the dispatchers, and tells the agents and the shell what follows.
//
// It holds at any time:
// - a state changes only as states.h allows, and a machine serves one user for its whole life;
// - the index is equal to one that is made anew from all machines;
// - containers are in assigned machines only, and what they take is taken from the machine's free memory until the
//   agent has confirmed that they are gone;
// - a container has an attempt while it is busy, may have one while it is created, and has none otherwise;
// - what a run used is published once, when its container leaves the check, whatever becomes of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "executor/core/choose.h"
#include "executor/core/context.h"
#include "executor/core/machine.h"
#include "executor/core/machine_index.h"
#include "schemas/link.h"

namespace hearth::executor {

constexpr std::int32_t kPingMisses = 3;
constexpr std::int32_t kMaxUnaskedFrames = 64;  // that an agent may send between two pings for nothing

// Whom memory is wanted for, and what it may cost others.
struct SpareQuery {
  std::int32_t missing_mib = 0;
  std::vector<std::int32_t> keep{};          // machines that each pool keeps, by profile; none: no pool gives anything
  std::vector<std::int32_t> keep_at_last{};  // the same where nothing else is left
  std::int64_t several_idle_ms = 0;          // so long a machine was quiet whose user has others besides
  std::int64_t only_idle_ms = 0;             // and one whose user has no other
};

class Machines {
 public:
  explicit Machines(Context& context);

  [[nodiscard]] const std::map<std::uint64_t, Machine>& all() const { return machines_; }
  [[nodiscard]] const MachineIndex& index() const { return index_; }
  [[nodiscard]] Machine* Find(const MachineId& id);  // nullptr where there is none
  [[nodiscard]] Machine& Get(std::uint64_t number) { return machines_.at(number); }
  [[nodiscard]] const Machine& Get(std::uint64_t number) const { return machines_.at(number); }
  // An idle container of the function, the last used; two nullptr where there is none.
  [[nodiscard]] std::pair<Machine*, Container*> FindIdle(const FunctionVersion& function);
  // Of the host, for further machines. Shells give way to machines.
  [[nodiscard]] std::int32_t FreeMib() const;
  // What could be given up, the cheapest first and no more than it takes: what pools hold beyond what they keep; then
  // machines in which nothing is going on, the longest quiet first, of users who have others besides; then users' only
  // ones; at last what pools keep.
  [[nodiscard]] std::vector<Spare> Spares(SpareQuery query) const;

  // ---- A machine's life, from the order to start it to the confirmation that it is destroyed.
  // Creating, in the making for at most `limit_ms`. `meant_for` is empty for one of the pool. `activates`: from a
  // shell, for a request.
  Machine& Add(std::size_t profile, const UserId& meant_for, const std::string& image, bool activates,
               std::int64_t limit_ms);
  // Warm: its agent answers, and has proved these runtimes.
  void TurnWarm(Machine& machine, StartPath path, std::set<Runtime> runtimes);
  // A machine that is not assigned is meant for the user from now on; for nobody where `user` is empty.
  void MeanFor(Machine& machine, const UserId& user);
  // Machines that became warm for a user in this step and were not assigned belong to the pool.
  void Unclaim();
  // Assigned: it serves this user and nobody else. Its agent and the shell are told.
  void Assign(Machine& machine, const UserId& user);
  // Gives up a machine that no attempt is in. Its memory is free when it is erased.
  void Drain(Machine& machine, const std::string& reason);
  // The machine is not trusted any more. Returns the attempts that end with it.
  [[nodiscard]] std::vector<AttemptKey> Condemn(Machine& machine, const std::string& reason);
  void Erase(Machine& machine);

  // ---- A container's life.
  // Creating, for the attempt. The agent hears of it with SendCreate.
  Container& AddContainer(Machine& machine, const Function& function, const AttemptKey& attempt);
  void SendCreate(Machine& machine, Container& container, const Function& function);
  // Idle: made, or free again.
  void TurnIdle(Machine& machine, Container& container, const std::string& reason);
  // Busy with the attempt, for at most `limit_ms`.
  void Occupy(Machine& machine, Container& container, const AttemptKey& attempt, std::int64_t limit_ms);
  // Checking: its run has ended. What it used is published when the check is over.
  void AwaitCheck(Machine& machine, Container& container, Usage usage);
  // What the check found of the run's use of the processor.
  void NoteCpu(Container& container, std::int64_t cpu_us) { container.usage_.cpu_us = cpu_us; }
  // The attempt has nothing to do with the container any more. Returns the one it was.
  std::optional<AttemptKey> Release(Container& container) { return std::exchange(container.attempt_, std::nullopt); }
  // Gone, as decided here: the agent is told to remove it, where it has heard of it.
  void Remove(Machine& machine, Container& container, const std::string& reason);
  // Gone, as the agent has announced: it removes the container by itself.
  void AwaitGone(Machine& machine, Container& container, const std::string& reason);
  // Gone, as the agent has confirmed: the container is forgotten and its memory is free.
  void Forget(Machine& machine, Container& container, const std::string& reason);

  // ---- Time.
  struct Due {
    Machine* machine;
    Container* container;  // nullptr: the machine itself
  };
  // The next whose time is over, if any. Nothing is due of it any more.
  [[nodiscard]] std::optional<Due> TakeDue();

  // ---- Health of agents.
  [[nodiscard]] Machine* NextToPing();  // whose next ping is due; nullptr where nobody's is
  void Ping(Machine& machine);
  // False: the agent was not asked for it.
  [[nodiscard]] bool TakePong(Machine& machine, std::uint64_t sequence);
  // Counts a frame that answers nothing. A few cross what made them pointless; false: these are too many.
  [[nodiscard]] bool TolerateUnasked(Machine& machine) { return ++machine.unasked_ <= kMaxUnaskedFrames; }

  // ---- What dispatchers are told of assigned machines and their containers.
  [[nodiscard]] std::vector<link::Slot> Slots() const;  // all of them
  [[nodiscard]] std::vector<link::Slot> TakeChanges();  // those that have changed since the last call
  [[nodiscard]] std::size_t changes() const { return changes_.size(); }

 private:
  void Move(Machine& machine, MachineState to, const std::string& reason);
  void Move(Machine& machine, Container& container, ContainerState to, const std::string& reason);
  // To draining or suspect. Returns the attempts that were in it.
  std::vector<AttemptKey> Destroy(Machine& machine, MachineState to, const std::string& reason);
  void FreeContainer(Machine& machine, Container& container);
  void UpdateQuiet(Machine& machine);
  [[nodiscard]] std::int32_t FreeRank(const UserId& user) const;
  void SetDue(Machine& machine, std::int64_t at_us);
  void SetDue(Machine& machine, Container& container, std::int64_t at_us);
  void SetLook(const Machine& machine, Container& container, std::int64_t at_us);
  void SetPing(Machine& machine, std::int64_t at_us);
  // The time of a change that is reported. It never falls while the process lives, whatever becomes of the clock: what
  // is known of a slot is ordered by it.
  [[nodiscard]] std::int64_t ChangeMs();
  void NoteChange(Machine& machine);
  void NoteChange(Machine& machine, Container& container);

  Context& context_;
  std::map<std::uint64_t, Machine> machines_;
  MachineIndex index_;
  std::vector<std::uint64_t> just_warm_;  // in this step, meant for a user
  // What has changed since it was told last. What is gone is described here, all else when it is told.
  std::map<MachineIndex::Place, std::optional<link::Slot>> changes_;
  std::int64_t last_change_ms_ = 0;
  std::uint64_t next_machine_ = 1;
  std::uint64_t next_idle_ = 1;
  std::uint64_t random_;  // of the ages at which warm machines are too old
};

}  // namespace hearth::executor
