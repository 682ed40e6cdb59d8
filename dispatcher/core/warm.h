// Who is warm, where: the dispatcher's working copy of the directory, fed by what executors say of themselves. Losing
// it costs warmth, never an invocation. Plain data, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "schemas/link.h"

namespace hearth::dispatcher {

// What one executor has for one user and one function version.
struct Warmth {
  std::int32_t containers = 0;         // of the version, idle, busy or being made
  std::int32_t instance_room_mib = 0;  // largest room in one instance
  bool code_cached = false;            // an instance with room has run this version
};

class Warm {
 public:
  // All that the executor has. Returns what changed: the new lines, and kGone for those that vanished.
  std::vector<link::Slot> Replace(const ExecutorId& executor, const std::vector<link::Slot>& slots);
  void Apply(const ExecutorId& executor, const link::Slot& slot);
  void Drop(const ExecutorId& executor);

  [[nodiscard]] Warmth Of(const UserId& user, const ExecutorId& executor, const FunctionName& function,
                          std::int64_t version, std::int32_t memory_mib) const;
  [[nodiscard]] bool Has(const ExecutorId& executor, const link::Slot& slot) const;
  // Every line of the user, by executor.
  [[nodiscard]] std::vector<std::pair<ExecutorId, link::Slot>> SlotsOf(const UserId& user) const;

 private:
  using SlotKey = std::pair<InstanceId, ContainerId>;
  using Slots = std::map<SlotKey, link::Slot>;
  std::map<UserId, std::map<ExecutorId, Slots>> users_;
};

}  // namespace hearth::dispatcher
