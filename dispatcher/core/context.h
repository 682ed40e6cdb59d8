// What every owner in the dispatcher's core is given: the settings, the time of the step, and where effects go.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "dispatcher/core/effects.h"
#include "dispatcher/core/settings.h"

namespace hearth::dispatcher {

class Context {
 public:
  explicit Context(Settings settings) : settings_(std::move(settings)) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // A step begins. Its effects are appended to `effects`, which outlives the step.
  void Begin(Time now, std::vector<Effect>& effects) {
    now_ = now;
    effects_ = &effects;
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const Time& now() const { return now_; }
  [[nodiscard]] std::int64_t now_us() const { return now_.mono_us; }  // on the monotonic clock, as the next
  [[nodiscard]] std::int64_t After(std::int64_t ms) const { return now_.mono_us + ms * kMicrosPerMilli; }
  [[nodiscard]] std::int64_t wall_ms() const { return now_.wall_us / kMicrosPerMilli; }

  // Returns the effect where it lies, for what is added to it before the next one.
  template <class E>
  E& Emit(E effect) {
    return std::get<E>(effects_->emplace_back(std::move(effect)));
  }

  // Numbers that rise with every placement and every fence, so that it can be told which of two came first.
  [[nodiscard]] std::uint64_t NextOrder() { return ++last_order_; }

  // The dispatcher ends: it reads nothing and places nothing from now on.
  void Drain() { draining_ = true; }
  [[nodiscard]] bool draining() const { return draining_; }

 private:
  Settings settings_;
  Time now_;
  std::vector<Effect>* effects_ = nullptr;
  std::uint64_t last_order_ = 0;
  bool draining_ = false;
};

}  // namespace hearth::dispatcher
