// Who is warm, where: the dispatcher's working copy of the directory, fed by what executors say of themselves. Losing
// it costs warmth, never an invocation. Plain data, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "schemas/link.h"

namespace hearth::dispatcher {

// What one executor has for one user and one function version.
struct Warmth {
  std::int32_t containers = 0;        // of the version, idle, busy or being made
  std::int32_t machine_room_mib = 0;  // largest room in one machine
  bool code_cached = false;           // a machine with room has run this version
  bool holds_machine = false;         // of the user
};

class Warm {
 public:
  // All that the executor has. Returns what changed: the new lines, and kGone for those that vanished.
  std::vector<link::Slot> Replace(const ExecutorId& executor, const std::vector<link::Slot>& slots);
  void Apply(const ExecutorId& executor, const link::Slot& slot);
  void Drop(const ExecutorId& executor);

  [[nodiscard]] Warmth Of(const UserId& user, const ExecutorId& executor, const FunctionName& function,
                          std::int64_t version, std::int32_t memory_mib) const;
  // Calls `each(executor)` for every executor that holds something of the user, in the order of their ids.
  template <class Each>
  void ForExecutorsOf(const UserId& user, Each each) const {
    const auto executors = users_.find(user);
    if (executors == users_.end()) return;
    for (const auto& [executor, holding] : executors->second) each(executor);
  }
  [[nodiscard]] bool HasAny(const UserId& user) const { return users_.contains(user); }  // anything, anywhere
  [[nodiscard]] bool Has(const ExecutorId& executor, const link::Slot& slot) const;
  // Containers of the version that are idle by the last report; a walk over what the executor has of the user.
  [[nodiscard]] std::vector<link::Slot> IdleOf(const UserId& user, const ExecutorId& executor,
                                               const FunctionName& function, std::int64_t version) const;
  // Every line of the user, by executor.
  [[nodiscard]] std::vector<std::pair<ExecutorId, link::Slot>> SlotsOf(const UserId& user) const;

 private:
  using SlotKey = std::pair<MachineId, ContainerId>;
  using Version = std::pair<FunctionName, std::int64_t>;
  struct Held {
    std::int32_t containers = 0;
    std::map<MachineId, std::int32_t> in;  // how many of them in which machine
  };
  // Of one user on one executor. The counts say at once what a walk over the slots would.
  struct Holding {
    std::map<SlotKey, link::Slot> slots;
    std::map<Version, Held> versions;
    std::multiset<std::int32_t> rooms;  // of the machines
    void Count(const link::Slot& slot, std::int32_t by);
  };
  std::map<UserId, std::map<ExecutorId, Holding>> users_;
  std::map<ExecutorId, std::set<UserId>> users_of_;
};

}  // namespace hearth::dispatcher
