// What every owner in the executor's core is given: the settings, the time of the step, and where effects go.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "executor/core/effects.h"
#include "executor/core/settings.h"

namespace hearth::executor {

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

  template <class E>
  void Emit(E effect) {
    effects_->emplace_back(std::move(effect));
  }

  // Something came free, or something waits: the core schedules at the end of the step.
  void AskToSchedule() { schedule_ = true; }
  [[nodiscard]] bool TakeAskedToSchedule() { return std::exchange(schedule_, false); }

  // The executor ends: it accepts nothing and starts nothing from now on.
  void Drain() { draining_ = true; }
  [[nodiscard]] bool draining() const { return draining_; }

 private:
  Settings settings_;
  Time now_;
  std::vector<Effect>* effects_ = nullptr;
  bool schedule_ = false;
  bool draining_ = false;
};

}  // namespace hearth::executor
