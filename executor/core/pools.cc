// What the pools are told, and what others are told of them. pools_refill.cc has what they decide.
#include "executor/core/pools.h"

#include <algorithm>

namespace hearth::executor {

namespace {
constexpr double kSecondsPerHour = 3600;
}  // namespace

Pools::Pools(Context& context, Machines& machines) : context_(context), machines_(machines) {
  for (const auto& profile : context_.settings().profiles) pools_.emplace_back().profile = profile;
}

Pools::Pool* Pools::Find(const std::string& profile) {
  const auto found = std::ranges::find_if(pools_, [&](const Pool& pool) { return pool.profile.name == profile; });
  return found == pools_.end() ? nullptr : &*found;
}

void Pools::SetShells(const ShellsChanged& event) {
  context_.AskToSchedule();
  Pool* pool = Find(event.profile);
  if (pool == nullptr) return;
  pool->shells = std::clamp(event.ready, 0, kMaxPool);
  if (pool->shells > 0) pool->shells_seen_us = context_.now_us();
}

void Pools::SetImage(const ImageChanged& event) {
  context_.AskToSchedule();
  if (Pool* pool = Find(event.profile); pool != nullptr) pool->image = event.image;
}

void Pools::Resize(const PoolChanged& event) {
  context_.AskToSchedule();
  Pool* pool = Find(event.profile);
  if (pool == nullptr) return;
  pool->profile.pool_min = std::clamp(event.min, 0, kMaxPool);
  pool->profile.pool_max = std::clamp(event.max, pool->profile.pool_min, kMaxPool);
  pool->profile.shells = std::clamp(event.shells, 0, kMaxPool);
}

void Pools::SetPressure(const HostPressure& event) {
  context_.AskToSchedule();
  shortage_.Update(event.memory_available_mib, event.cpu_busy_ppm);
  if (!shortage_.memory() || machines_.index().freeing_mib() > 0) return;
  const std::vector<std::int32_t> none(pools_.size(), 0);
  const auto spares = machines_.Spares({.missing_mib = 1, .keep = none});
  if (!spares.empty()) machines_.Drain(machines_.Get(spares.front().number), "memory is short");
}

void Pools::SetBacklog(LinkId link, const link::Demand& demand) {
  auto& backlog = backlogs_[link];
  backlog.clear();
  for (const auto& each : demand.profiles) {
    if (each.waiting > 0) backlog[each.profile] = each.waiting;
  }
  if (backlog.empty()) backlogs_.erase(link);
  SumBacklog();
}

void Pools::ForgetBacklog(LinkId link) {
  if (backlogs_.erase(link) > 0) SumBacklog();
}

void Pools::SumBacklog() {
  for (Pool& pool : pools_) {
    std::int64_t sum = 0;
    for (const auto& [link, backlog] : backlogs_) {
      const auto found = backlog.find(pool.profile.name);
      if (found != backlog.end()) sum += found->second;
    }
    pool.demand.SetBacklog(sum);
  }
  context_.AskToSchedule();
}

void Pools::Started(const Machine& machine, StartPath path, const std::set<Runtime>& runtimes) {
  Pool& pool = pools_[machine.profile()];
  pool.failures = 0;
  pool.may_start_us = 0;
  pool.runtimes = runtimes;
  const auto took_us = context_.now_us() - machine.since_us();
  if (machine.meant_for().empty()) {
    pool.demand.Refilled(took_us);
  } else {
    auto& average_us = path == StartPath::kRestore ? pool.restore_us : pool.boot_us;
    average_us = Average(average_us, took_us);
  }
  context_.AskToSchedule();
}

bool Pools::StartFailed(std::size_t profile) {
  Pool& pool = pools_[profile];
  ++pool.failures;
  pool.may_start_us = context_.After(StartBackoffMs(pool.failures));
  context_.AskToSchedule();
  return pool.failures >= kStartFailuresGiveUp;
}

House Pools::Describe(std::size_t profile, const UserId& user, bool holds, std::int64_t accepted_us) const {
  const Settings& settings = context_.settings();
  const MachineIndex& index = machines_.index();
  const Pool& pool = pools_[profile];
  House house;
  house.machine_mib = pool.profile.memory_mib;
  house.free_mib = machines_.FreeMib() - (holds ? OwedMib() : 0);
  house.freeing_mib = index.freeing_mib();
  if (!holds || MaySpare(profile)) house.starting = static_cast<std::int32_t>(index.Starting(profile).size());
  house.shells = pool.shells;
  house.shell_coming =
      pool.shells == 0 && ShellsComeAndGo(pool) && context_.now_us() - accepted_us < kShellWaitMs * kMicrosPerMilli;
  const auto own_bound = settings.LimitsOf(user).max_starts;
  const bool may = context_.now_us() >= pool.may_start_us && !context_.draining() &&
                   index.StartingFor(user) < (own_bound > 0 ? own_bound : settings.user_starts);
  // While processors are short, those who have a machine wait until nobody else's starts.
  const bool yields = holds && shortage_.cpu() && index.starting() + index.activating() > 0;
  house.may_start = may && !yields && index.starting() < settings.concurrent_starts;
  house.may_activate = may && !yields && index.activating() < settings.concurrent_activations;
  return house;
}

bool Pools::Runs(std::size_t profile, Runtime runtime) const {
  const auto& runtimes = pools_[profile].runtimes;
  return runtimes.empty() || runtimes.contains(runtime);
}

std::vector<link::ProfileCapacity> Pools::Capacities() const {
  std::vector<link::ProfileCapacity> capacities;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    const Pool& pool = pools_[i];
    link::ProfileCapacity capacity;
    capacity.profile = pool.profile.name;
    capacity.pool_ready = static_cast<std::int32_t>(machines_.index().Warm(i).size());
    capacity.pool_kept = MaySpare(i) ? 0 : capacity.pool_ready;
    capacity.shells = pool.shells;
    capacity.can_start = std::max(0, machines_.FreeMib() - OwedMib()) / pool.profile.memory_mib;
    capacity.container_mib = pool.profile.memory_mib - pool.profile.reserve_mib;
    for (const Runtime runtime : pool.runtimes) capacity.runtimes.emplace_back(RuntimeName(runtime));
    capacities.push_back(std::move(capacity));
  }
  return capacities;
}

std::vector<PoolStatus> Pools::Status() const {
  std::vector<PoolStatus> all;
  const MachineIndex& index = machines_.index();
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    const Pool& pool = pools_[i];
    PoolDemand demand = pool.demand;  // a copy, which turns to the time of now
    PoolStatus status;
    status.executor = context_.settings().id;
    status.profile = pool.profile.name;
    status.machine_mib = pool.profile.memory_mib;
    status.min = pool.profile.pool_min;
    status.max = pool.profile.pool_max;
    status.target = demand.Target(pool.profile.pool_min, pool.profile.pool_max, context_.now());
    status.ready = static_cast<std::int64_t>(index.Warm(i).size());
    status.starting = static_cast<std::int64_t>(index.Starting(i).size());
    status.assigned = index.Assigned(i);
    status.shells = pool.shells;
    status.shells_wanted = pool.shells_asked;
    status.backlog = demand.backlog();
    status.arrivals_per_hour = static_cast<std::int64_t>(demand.Rate(context_.now()) * kSecondsPerHour);
    status.refill_ms = demand.refill_us() / kMicrosPerMilli;
    status.restore_ms = pool.restore_us / kMicrosPerMilli;
    status.boot_ms = pool.boot_us / kMicrosPerMilli;
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace hearth::executor
