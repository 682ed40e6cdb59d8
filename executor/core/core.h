// The executor's core: which attempt runs in which container of which machine, and what becomes of it. One state
// machine, Step(event, now) → effects; the shell (executor/app) owns sockets, libvirt, Kafka and clocks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/time.h"
#include "executor/core/effects.h"
#include "executor/core/events.h"
#include "executor/core/machines.h"
#include "executor/core/settings.h"
#include "schemas/pool_status.h"

namespace hearth::executor {

// How much there is of everything at one moment, for metrics and for those who look.
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
  [[nodiscard]] const Machines& machines() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hearth::executor
