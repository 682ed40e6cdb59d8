// The core's entry: one event in, its consequences out.
#include "executor/core/core.h"

#include "executor/core/core_state.h"

namespace hearth::executor {

Core::State::State(Settings given)
    : context_(std::move(given)), machines_(context_), codes_(context_, machines_), pools_(context_, machines_) {}

Core::Core(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Core::~Core() = default;

void Core::Step(const Event& event, Time now, std::vector<Effect>& effects) {
  State& state = *state_;
  state.context_.Begin(now, effects);
  std::visit([&](const auto& what) { state.On(what); }, event);
  if (state.context_.TakeAskedToSchedule()) {
    state.Schedule();
    state.machines_.Unclaim();
    state.pools_.Refill(state.starved);
  }
  if (state.context_.draining() && !state.drained && state.attempts.empty()) {
    state.drained = true;
    state.context_.Emit(DrainFinished{});
  }
}

const Machines& Core::machines() const {
  return state_->machines_;
}

Gauges Core::ReadGauges() const {
  const State& state = *state_;
  Gauges gauges;
  gauges.held = static_cast<std::int64_t>(state.attempts.size());
  gauges.credit = state.context_.settings().credit;
  gauges.waiting = static_cast<std::int64_t>(state.waiting.size());
  for (const auto& [key, attempt] : state.attempts) {
    if (attempt.phase == Phase::kRunning) ++gauges.running;
    if (attempt.phase == Phase::kPublishing) ++gauges.publishing;
  }
  for (const auto& [number, machine] : state.machines_.all()) {
    ++gauges.machines;
    if (machine.state() == MachineState::kAssigned) ++gauges.assigned;
    if (machine.state() == MachineState::kCreating) ++gauges.starting;
    for (const auto& [container_number, container] : machine.containers()) {
      if (container.state() == ContainerState::kGone) continue;
      ++gauges.containers;
      if (container.state() == ContainerState::kIdle) ++gauges.idle_containers;
    }
  }
  gauges.pools = state.pools_.Status();
  gauges.memory_short = state.pools_.memory_short();
  gauges.cpu_short = state.pools_.cpu_short();
  const auto entries = [](const auto& lines) {
    std::size_t count = 0;
    for (const auto& [key, line] : lines) count += line.size();
    return count;
  };
  gauges.indexed =
      static_cast<std::int64_t>(state.machines_.index().size() + state.machines_.changes() +
                                entries(state.waiting_for) + entries(state.promised_for) + state.codes_.waiting() +
                                state.expiring.size() + state.publishing.size() + state.publish_again.size());
  gauges.done_ring = static_cast<std::int64_t>(state.ring.size());
  return gauges;
}

}  // namespace hearth::executor
