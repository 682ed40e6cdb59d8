// The dispatcher's core: one state machine that decides all, Step(event, now) → effects. No input or output, no clock,
// no thread: the shell (dispatcher/app) turns what happens into events and carries the effects out, and the simulator
// does the same under virtual time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/time.h"
#include "dispatcher/core/decisions.h"
#include "dispatcher/core/effects.h"
#include "dispatcher/core/events.h"
#include "dispatcher/core/settings.h"

namespace hearth::dispatcher {

// Numbers for /metrics, read by the shell after steps.
struct Gauges {
  std::int64_t received = 0, complete = 0, in_flight = 0;  // I6: received == in_flight + complete, always
  std::int64_t queued = 0, queued_limit = 0, placed = 0, users = 0, executors_up = 0;
  std::int64_t window_max = 0, window_limit = 0, incomplete_ranges_max = 0;
  std::int64_t partitions = 0, oldest_incomplete_age_ms = 0;
  std::int64_t maps_truncated = 0;                 // commits whose map did not fit whole; counts up
  std::int64_t output_failures = 0;                // produces that failed and were sent again or elsewhere; counts up
  std::int64_t decisions = 0, decision_bytes = 0;  // of the decision log; its limits: decisions.h
};

// Not thread-safe: one thread steps it. Effects are appended in the order in which they must be carried out.
class Core {
 public:
  explicit Core(Settings settings);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void Step(const Event& event, Time now, std::vector<Effect>& effects);
  [[nodiscard]] Gauges ReadGauges(Time now) const;
  // How the newest invocation of that id got its place, while the log remembers it; else null. Holds until the next
  // step.
  [[nodiscard]] const Decision* Explain(const InvocationId& id) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hearth::dispatcher
