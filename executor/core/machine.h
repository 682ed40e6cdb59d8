// A machine and its containers, as the executor knows them. Everybody may read them; only Machines (machines.h) changes
// them, so that no index over them can be forgotten.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/base/ids.h"
#include "executor/core/keys.h"
#include "executor/core/states.h"
#include "schemas/function.h"
#include "schemas/result.h"
#include "schemas/usage.h"

namespace hearth::executor {

class Container {
 public:
  [[nodiscard]] std::uint32_t number() const { return number_; }  // within its machine, never used again
  [[nodiscard]] ContainerState state() const { return state_; }
  [[nodiscard]] const FunctionVersion& function() const { return function_; }
  [[nodiscard]] std::int32_t memory_mib() const { return memory_mib_; }
  // The attempt that it is made for (creating) or that it runs (busy). Nobody's while it is idle or gone.
  [[nodiscard]] const std::optional<AttemptKey>& attempt() const { return attempt_; }
  [[nodiscard]] std::int64_t idle_since_us() const { return idle_since_us_; }
  [[nodiscard]] std::uint64_t idle_order() const { return idle_order_; }  // idle: its place in its function's line
  // When something has to have happened, 0: never. An idle container is removed then. For any other the agent counts as
  // hung.
  [[nodiscard]] std::int64_t due_us() const { return due_us_; }
  // When it is looked at, 0: never. Not after it is due, and perhaps before, because it was to be due then.
  [[nodiscard]] std::int64_t look_us() const { return look_us_; }
  [[nodiscard]] bool create_sent() const { return create_sent_; }        // the agent has heard of it
  [[nodiscard]] std::int64_t changed_ms() const { return changed_ms_; }  // of its slot, see Machines::TakeChanges

 private:
  friend class Machines;

  std::uint32_t number_ = 0;
  ContainerState state_ = ContainerState::kCreating;
  FunctionVersion function_;
  std::int32_t memory_mib_ = 0;
  std::int64_t idle_limit_us_ = 0;
  std::optional<AttemptKey> attempt_;
  std::int64_t idle_since_us_ = 0;
  std::uint64_t idle_order_ = 0;
  std::int64_t due_us_ = 0;
  std::int64_t look_us_ = 0;
  bool create_sent_ = false;
  std::int64_t changed_ms_ = 0;
  Usage usage_;  // checking: of the run that has ended
};

class Machine {
 public:
  [[nodiscard]] std::uint64_t number() const { return number_; }  // in the order of starting, never used again
  [[nodiscard]] const MachineId& id() const { return id_; }
  [[nodiscard]] std::size_t profile() const { return profile_; }  // its index in the settings
  [[nodiscard]] std::int32_t memory_mib() const { return memory_mib_; }
  [[nodiscard]] MachineState state() const { return state_; }
  [[nodiscard]] StartPath path() const { return path_; }
  [[nodiscard]] const std::string& image() const { return image_; }
  [[nodiscard]] bool activates() const { return activates_; }           // creating: a shell is activated for a request
  [[nodiscard]] const UserId& user() const { return user_; }            // empty until it is assigned
  [[nodiscard]] const UserId& meant_for() const { return meant_for_; }  // whose attempts it was started for
  // Assigned: how many others its user had before it, or the place among them that one has left since.
  [[nodiscard]] std::int32_t rank() const { return rank_; }
  [[nodiscard]] const std::set<Runtime>& runtimes() const { return runtimes_; }
  // Creating: when its start was ordered. Warm: when it became ready. Assigned: when it lost its last container.
  [[nodiscard]] std::int64_t since_us() const { return since_us_; }
  // When its state has lasted too long, 0: never. Creating: it has not said hello. Warm: it is too old. Assigned and
  // without containers: it was idle for its time.
  [[nodiscard]] std::int64_t due_us() const { return due_us_; }
  [[nodiscard]] std::int64_t ping_us() const { return ping_us_; }    // of the next ping, 0: none
  [[nodiscard]] std::int64_t quiet_us() const { return quiet_us_; }  // since when nothing is going on in it, −1: it is
  [[nodiscard]] std::int32_t free_mib() const { return free_mib_; }
  [[nodiscard]] std::int32_t freeing_mib() const { return freeing_mib_; }  // of containers that are going
  [[nodiscard]] const std::map<std::uint32_t, Container>& containers() const { return containers_; }
  [[nodiscard]] Container* Find(std::uint32_t container);  // nullptr where there is none
  [[nodiscard]] Container& Get(std::uint32_t container) { return containers_.at(container); }
  [[nodiscard]] std::int32_t pings_missed() const { return pings_missed_; }
  [[nodiscard]] std::int64_t changed_ms() const { return changed_ms_; }  // of its slot, see Machines::TakeChanges

 private:
  friend class Machines;

  std::uint64_t number_ = 0;
  MachineId id_;
  std::size_t profile_ = 0;
  std::int32_t memory_mib_ = 0;
  MachineState state_ = MachineState::kCreating;
  StartPath path_ = StartPath::kBoot;
  std::string image_;
  bool activates_ = false;
  UserId user_;
  UserId meant_for_;
  std::int32_t rank_ = 0;
  std::set<Runtime> runtimes_;
  std::int64_t since_us_ = 0;
  std::int64_t due_us_ = 0;
  std::int64_t ping_us_ = 0;
  std::int64_t quiet_us_ = -1;
  std::int32_t free_mib_ = 0;
  std::int32_t freeing_mib_ = 0;
  std::map<std::uint32_t, Container> containers_;
  std::int32_t not_idle_ = 0;  // of the containers
  std::uint32_t next_container_ = 1;
  std::uint64_t ping_sequence_ = 0;
  std::int32_t pings_missed_ = 0;
  std::int32_t unasked_ = 0;  // frames since the last ping
  std::int64_t changed_ms_ = 0;
};

inline Container* Machine::Find(std::uint32_t container) {
  const auto found = containers_.find(container);
  return found == containers_.end() ? nullptr : &found->second;
}

[[nodiscard]] inline ContainerId IdOf(const Machine& machine, std::uint32_t container) {
  return ContainerId(machine.id().value + "/" + std::to_string(container));
}

}  // namespace hearth::executor
