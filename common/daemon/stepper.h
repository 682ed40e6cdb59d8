// How a core is stepped: events go in, one at a time, and the effects of each are carried out before the next one. An
// effect may be answered at once, from inside the call that carries it out. That event waits for the step to end, so
// that a core is never stepped from inside its own step. Both daemons use this, and so does the simulator, which
// decides itself when a core runs. Not thread-safe.
#pragma once

#include <deque>
#include <utility>
#include <variant>
#include <vector>

namespace hearth {

// `Event` and `Effect` are the variants of one core.
template <class Event, class Effect>
class Stepper {
 public:
  // Keeps the event for Run.
  void Push(Event event) { events_.push_back(std::move(event)); }

  // Steps until no event is left: `step(event, effects)`, which may take the event apart, has the core append its
  // effects, `carry_out(effect)` is called with each of them, in its own type, and `settle()` after a step that leaves
  // no event, which may push further ones. False: called from inside itself, where nothing is to be done because the
  // call outside goes on.
  template <class Step, class CarryOut, class Settle>
  bool Run(Step&& step, CarryOut&& carry_out, Settle&& settle) {
    if (running_) return false;
    running_ = true;
    while (!events_.empty()) {
      Event event = std::move(events_.front());
      events_.pop_front();
      step(event, effects_);
      for (auto& effect : effects_) std::visit(carry_out, effect);
      effects_.clear();
      if (events_.empty()) settle();
    }
    running_ = false;
    return true;
  }
  template <class Step, class CarryOut>
  bool Run(Step&& step, CarryOut&& carry_out) {
    return Run(std::forward<Step>(step), std::forward<CarryOut>(carry_out), [] {});
  }

 private:
  std::deque<Event> events_;
  std::vector<Effect> effects_;  // of the step that runs
  bool running_ = false;
};

}  // namespace hearth
