// The dispatcher's metrics: what the core counts, what it holds, and each queue's depth beside its limit. Labels come
// from small fixed sets. Loop thread only (the registry itself may be read by any).
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "common/metrics/series.h"
#include "dispatcher/core/core.h"
#include "dispatcher/directory.h"

namespace hearth::dispatcher {

inline constexpr std::size_t kTraceKinds = static_cast<std::size_t>(Trace::Kind::kLostPlacement) + 1;
// A step's name in metrics and in the log.
[[nodiscard]] const char* KindName(Trace::Kind kind);

class Metrics {
 public:
  explicit Metrics(prometheus::Registry& registry);
  void Count(const Trace& trace);
  void Show(const Gauges& gauges, const Directory::Numbers& directory, std::size_t executors,
            std::size_t partitions_aside);

 private:
  Counters<8> records_;           // complete, by outcome
  Counters<7> starts_;            // by start path
  Counters<kTraceKinds> events_;  // by kind
  Stages<6> stages_;
  prometheus::Family<prometheus::Counter>& batch_items_;
  prometheus::Family<prometheus::Gauge>& held_;
  prometheus::Family<prometheus::Gauge>& queue_;
  prometheus::Family<prometheus::Gauge>& queue_limit_;
  prometheus::Family<prometheus::Gauge>& directory_;
  prometheus::Gauge& conservation_;
};

}  // namespace hearth::dispatcher
