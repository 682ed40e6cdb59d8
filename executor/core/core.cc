// The core's entry: one event in, its consequences out.
#include "executor/core/core.h"

#include "executor/core/core_state.h"

namespace hearth::executor {

AttemptKey KeyOf(const link::AttemptRef& ref) {
  return {ref.partition, ref.offset, ref.attempt};
}
FunctionVersion VersionOf(const Function& function) {
  return {function.user, function.name, function.version};
}

Core::State::State(Settings given) : settings(std::move(given)), random(settings.seed | 1U) {
  for (const auto& profile : settings.profiles) {
    profiles.push_back({profile, PoolDemand(profile.pool_min, profile.pool_max)});
  }
}

Core::Core(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Core::~Core() = default;

void Core::Step(const Event& event, Time now, std::vector<Effect>& effects) {
  State& state = *state_;
  state.now = now;
  state.effects = &effects;
  std::visit([&](const auto& what) { state.On(what); }, event);
  if (std::exchange(state.dirty, false)) {
    state.Schedule();
    state.Refill();
  }
  if (state.draining && !state.drained && state.attempts.empty()) {
    state.drained = true;
    state.Emit(DrainFinished{});
  }
}

Gauges Core::ReadGauges() const {
  const State& state = *state_;
  Gauges gauges;
  gauges.held = static_cast<std::int64_t>(state.attempts.size());
  gauges.credit = state.settings.credit;
  gauges.waiting = static_cast<std::int64_t>(state.waiting.size());
  for (const auto& [key, attempt] : state.attempts) {
    if (attempt.phase == Phase::kRunning) ++gauges.running;
    if (attempt.phase == Phase::kPublishing) ++gauges.publishing;
  }
  for (const auto& profile : state.profiles) gauges.pool_ready[profile.profile.name] = 0;
  for (const auto& [number, instance] : state.instances) {
    ++gauges.instances;
    if (instance.state == InstanceState::kAssigned) ++gauges.assigned;
    if (instance.state == InstanceState::kCreating) ++gauges.starting;
    if (instance.state == InstanceState::kWarm) ++gauges.pool_ready[state.profiles[instance.profile].profile.name];
    for (const auto& [container_number, container] : instance.containers) {
      if (container.state == ContainerState::kGone) continue;
      ++gauges.containers;
      if (container.state == ContainerState::kIdle) ++gauges.idle_containers;
    }
  }
  for (const auto& profile : state.profiles) {
    PoolDemand demand = profile.demand;
    gauges.pool_target[profile.profile.name] = demand.Target(state.now.mono_us);
  }
  gauges.done_ring = static_cast<std::int64_t>(state.ring.size());
  return gauges;
}

link::ExecutorHello Core::MakeHello() const {
  return state_->Hello();
}

}  // namespace hearth::executor
