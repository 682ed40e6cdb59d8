// The core's entry: one event in, its consequences out.
#include "executor/core/core.h"

#include "executor/core/core_state.h"

namespace hearth::executor {

namespace {
constexpr double kSecondsPerHour = 3600;
}  // namespace

Core::State::State(Settings given) : context_(std::move(given)), machines_(context_), codes_(context_, machines_) {
  for (const auto& profile : context_.settings().profiles) profiles.emplace_back().profile = profile;
}

Core::Core(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Core::~Core() = default;

void Core::Step(const Event& event, Time now, std::vector<Effect>& effects) {
  State& state = *state_;
  state.context_.Begin(now, effects);
  std::visit([&](const auto& what) { state.On(what); }, event);
  if (state.context_.TakeAskedToSchedule()) {
    state.Schedule();
    state.machines_.Unclaim();
    state.Refill();
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
  const MachineIndex& index = state.machines_.index();
  for (std::size_t profile = 0; profile < state.profiles.size(); ++profile) {
    const ProfileState& each = state.profiles[profile];
    PoolDemand demand = each.demand;
    PoolStatus pool;
    pool.executor = state.context_.settings().id;
    pool.profile = each.profile.name;
    pool.machine_mib = each.profile.memory_mib;
    pool.min = each.profile.pool_min;
    pool.max = each.profile.pool_max;
    pool.target = demand.Target(each.profile.pool_min, each.profile.pool_max, state.context_.now());
    pool.ready = static_cast<std::int64_t>(index.Warm(profile).size());
    pool.starting = static_cast<std::int64_t>(index.Starting(profile).size());
    pool.assigned = index.Assigned(profile);
    pool.shells = each.shells;
    pool.shells_wanted = each.shells_asked;
    pool.backlog = demand.backlog();
    pool.arrivals_per_hour = static_cast<std::int64_t>(demand.Rate(state.context_.now()) * kSecondsPerHour);
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
      index.size() + state.machines_.changes() + entries(state.waiting_for) + entries(state.promised_for) +
      state.codes_.waiting() + state.expiring.size() + state.publishing.size() + state.publish_again.size());
  gauges.done_ring = static_cast<std::int64_t>(state.ring.size());
  return gauges;
}

}  // namespace hearth::executor
