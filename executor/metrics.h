// The executor's metrics: what the core counts, what it holds, and the depth of each queue beside its limit. Labels
// come from small fixed sets. Loop thread only (the registry itself may be read by any).
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/metrics/series.h"
#include "executor/core/core.h"
#include "executor/machines/saved_machine.h"

namespace hearth::executor {

// Depths that the shell knows, with their limits.
struct QueueDepths {
  std::size_t starts = 0, starts_limit = 0;
  std::size_t destroys = 0, destroys_limit = 0;
  std::size_t activations = 0, activations_limit = 0;
  std::int64_t monitor_commands = 0;
  std::size_t outbox = 0;
  std::size_t dispatchers = 0;
  std::int64_t usage_lost = 0;
  bool redis_up = false;
  std::optional<bool> libvirt_up;  // nothing where there is none to be connected to
};

class Metrics {
 public:
  explicit Metrics(prometheus::Registry& registry);
  void Count(const Tally& tally);
  void Acceleration(const std::string& acceleration);
  void Start(bool ok);      // of a machine
  void Lost(bool flooded);  // a machine that was ready; its guest may have cost the loop too much
  void StartTook(StartPath path, std::int64_t micros);  // from the order until it is ready
  void StartsBy(const std::string& profile, Way way);
  void Saved(const std::string& profile, std::int64_t made, std::int64_t condemned);
  void Show(const Gauges& gauges, const QueueDepths& depths);

 private:
  void Set(const char* name, double value);

  static constexpr std::size_t kPaths = 7;
  Counters<8 * kPaths> attempts_;  // by status and start path
  Counters<8> events_;             // by kind
  prometheus::Family<prometheus::Counter>& starts_;
  prometheus::Family<prometheus::Counter>& lost_;  // by why
  Stages<5> stages_;
  prometheus::Family<prometheus::Gauge>& held_;  // by what
  prometheus::Family<prometheus::Gauge>& pool_;  // by profile and kind
  prometheus::Family<prometheus::Gauge>& queue_;
  prometheus::Family<prometheus::Gauge>& queue_limit_;
  prometheus::Family<prometheus::Gauge>& up_;
  prometheus::Family<prometheus::Gauge>& acceleration_;
  prometheus::Family<prometheus::Gauge>& way_;    // by profile and way
  prometheus::Family<prometheus::Gauge>& saved_;  // by profile and what
};

}  // namespace hearth::executor
