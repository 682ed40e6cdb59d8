// The core's entry: one event in, its consequences out.
#include "executor/core/core.h"

#include "executor/core/core_state.h"

namespace hearth::executor {

namespace {
constexpr double kSecondsPerHour = 3600;
}  // namespace

AttemptKey KeyOf(const link::AttemptRef& ref) {
  return {ref.partition, ref.generation, ref.offset, ref.attempt};
}
FunctionVersion VersionOf(const Function& function) {
  return {function.user, function.name, function.version};
}

Core::State::State(Settings given) : settings(std::move(given)), random(settings.seed | 1U) {
  for (const auto& profile : settings.profiles) profiles.emplace_back().profile = profile;
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
    state.Unclaim();
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
  for (const auto& [number, machine] : state.machines) {
    ++gauges.machines;
    if (machine.state == MachineState::kAssigned) ++gauges.assigned;
    if (machine.state == MachineState::kCreating) ++gauges.starting;
    for (const auto& [container_number, container] : machine.containers) {
      if (container.state == ContainerState::kGone) continue;
      ++gauges.containers;
      if (container.state == ContainerState::kIdle) ++gauges.idle_containers;
    }
  }
  for (const auto& each : state.profiles) {
    PoolDemand demand = each.demand;
    PoolStatus pool;
    pool.executor = state.settings.id;
    pool.profile = each.profile.name;
    pool.machine_mib = each.profile.memory_mib;
    pool.min = each.profile.pool_min;
    pool.max = each.profile.pool_max;
    pool.target = demand.Target(each.profile.pool_min, each.profile.pool_max, state.now);
    pool.ready = static_cast<std::int64_t>(each.warm.size());
    pool.starting = static_cast<std::int64_t>(each.starting.size());
    pool.assigned = each.assigned;
    pool.shells = each.shells;
    pool.shells_wanted = each.shells_asked;
    pool.backlog = demand.backlog();
    pool.arrivals_per_hour = static_cast<std::int64_t>(demand.Rate(state.now) * kSecondsPerHour);
    pool.refill_ms = demand.refill_us() / kMicrosPerMilli;
    pool.restore_ms = each.restore_us / kMicrosPerMilli;
    pool.boot_ms = each.boot_us / kMicrosPerMilli;
    gauges.pools.push_back(std::move(pool));
  }
  gauges.memory_short = state.shortage.memory;
  gauges.cpu_short = state.shortage.cpu;
  const auto entries = [](const auto& lines) {
    std::size_t count = 0;
    for (const auto& [key, line] : lines) count += line.size();
    return count;
  };
  gauges.indexed = static_cast<std::int64_t>(
      state.numbers.size() + state.due.size() + state.pings.size() + state.quiet.size() + state.holdings.size() +
      entries(state.idle) + entries(state.waiting_for) + entries(state.promised_for) + entries(state.awaiting_code) +
      state.expiring.size() + state.publishing.size() + state.publish_again.size() + state.changed.size());
  gauges.done_ring = static_cast<std::int64_t>(state.ring.size());
  return gauges;
}

}  // namespace hearth::executor
