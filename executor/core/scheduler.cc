// The ladder of choose.h on what the executor holds.
#include "executor/core/scheduler.h"

#include <algorithm>
#include <map>
#include <utility>

namespace hearth::executor {

bool Scheduler::RunWarm(Attempt& attempt) {
  const auto [machine, container] = machines_.FindIdle(VersionOf(attempt.function()));
  if (container == nullptr) return false;
  attempt.Note(Rung::kContainer, "idle_container");
  Run(attempt, *machine, *container, StartPath::kContainer);
  return true;
}

Starved Scheduler::Schedule() {
  Starved starved = Starved::kNobody;
  if (attempts_.waiting().empty()) return starved;
  // Room in machines of a profile that start for a user: each attempt takes its share.
  std::map<std::pair<UserId, std::size_t>, std::int32_t> awaited;
  std::vector<Attempt*> waiting;
  waiting.reserve(attempts_.waiting().size());
  for (const auto& [order, attempt] : attempts_.waiting()) waiting.push_back(attempt);
  for (Attempt* attempt : waiting) {
    const auto& user = attempt->function().user;
    const auto profile = context_.settings().ProfileOf(attempt->function());
    const auto [awaited_mib, is_new] = awaited.try_emplace({user, profile});
    if (is_new) awaited_mib->second = AwaitedMib(user, profile);
    starved = std::max(starved, Place(*attempt, profile, awaited_mib->second));
  }
  return starved;
}

Starved Scheduler::Place(Attempt& attempt, std::size_t profile, std::int32_t& awaited_mib) {
  if (RunWarm(attempt)) return Starved::kNobody;
  if (WaitsForCheck(attempt)) {
    attempt.Note(Rung::kAwaitCheck, "container_under_check");
    return Starved::kNobody;
  }
  const Function& function = attempt.function();
  const auto own = OwnMachines(function, profile);
  const bool holds = Holds(function, profile, own);
  const Starved starved = holds ? Starved::kHolder : Starved::kNewcomer;
  House house = DescribeHouse(function, profile, holds, attempt.accepted_us());
  house.awaited_mib = awaited_mib;
  const auto choice = Choose(function.memory_mib, own, house);
  attempt.Note(choice.rung, choice.because);
  const Profile& of_profile = context_.settings().profiles[profile];
  const std::int32_t room_mib = of_profile.memory_mib - of_profile.reserve_mib;
  switch (choice.rung) {
    case Rung::kCached: Promise(attempt, machines_.Get(choice.machine), StartPath::kCached); return Starved::kNobody;
    case Rung::kMachine: Promise(attempt, machines_.Get(choice.machine), StartPath::kMachine); return Starved::kNobody;
    case Rung::kPool: {
      Machine& machine = machines_.Get(choice.machine);
      const bool came_for_it = !machine.meant_for().empty();
      if (came_for_it) awaited_mib -= std::min(awaited_mib, machine.free_mib());
      CountArrival(attempt, profile);
      machines_.Assign(machine, function.user);
      Promise(attempt, machine, came_for_it ? machine.path() : StartPath::kPool);
      return Starved::kNobody;
    }
    case Rung::kAwaitMachine:
      CountArrival(attempt, profile);
      if (awaited_mib < function.memory_mib) {  // the one that has been starting longest becomes the user's
        machines_.MeanFor(machines_.Get(*machines_.index().Starting(profile).begin()), function.user);
        awaited_mib += room_mib;
      }
      awaited_mib -= function.memory_mib;
      return Starved::kNobody;
    case Rung::kRestore:
    case Rung::kStart:
      CountArrival(attempt, profile);
      pools_.Start(profile, function.user);
      awaited_mib += room_mib - function.memory_mib;
      return Starved::kNobody;
    case Rung::kEvictContainers: {
      Machine& machine = machines_.Get(choice.machine);
      for (const auto number : choice.containers) machines_.Remove(machine, machine.Get(number), "evicted");
      return Starved::kNobody;
    }
    case Rung::kEvictMachines:
      for (const auto number : choice.machines) machines_.Drain(machines_.Get(number), "evicted");
      return starved;
    case Rung::kAwaitShell:
    case Rung::kAwaitMemory:
    case Rung::kWait: CountArrival(attempt, profile); return starved;
    case Rung::kContainer:
    case Rung::kAwaitCheck:
    case Rung::kAwaitRoom: return Starved::kNobody;
  }
  return Starved::kNobody;
}

bool Scheduler::WaitsForCheck(const Attempt& attempt) const {
  const auto version = VersionOf(attempt.function());
  auto checking = machines_.index().Checking(version);
  if (checking == 0) return false;
  for (const auto& [order, waiting] : attempts_.WaitingFor(version)) {
    if (waiting == &attempt) return true;
    if (--checking == 0) return false;
  }
  return false;
}

void Scheduler::CountArrival(Attempt& attempt, std::size_t profile) {
  if (attempt.CountOnce()) pools_.Arrived(profile);
}

void Scheduler::Promise(Attempt& attempt, Machine& machine, StartPath path) {
  const Function& function = attempt.function();
  Container& container = machines_.AddContainer(machine, function, attempt.key());
  attempts_.Promise(attempt, machine.number(), container.number(), path);
  if (codes_.Provide(machine, function.code, attempt.key())) machines_.SendCreate(machine, container, function);
}

void Scheduler::Create(Machine& machine, const std::vector<AttemptKey>& attempts) {
  for (const auto& key : attempts) {
    const Attempt& attempt = attempts_.Get(key);
    machines_.SendCreate(machine, machine.Get(attempt.container()), attempt.function());
  }
}

void Scheduler::Run(Attempt& attempt, Machine& machine, Container& container, StartPath path) {
  const link::Exec& exec = attempt.exec();
  machines_.Occupy(machine, container, attempt.key(), exec.timeout_ms + context_.settings().kill_grace_ms);
  attempts_.Run(attempt, machine.number(), container.number(), path);
  context_.Emit(
      SendToGuest{machine.id(),
                  {container.number(), guest::Run{exec.id, exec.try_number, exec.timeout_ms, exec.content_type,
                                                  exec.traceparent, attempts_.TakePayload(attempt)}}});
  context_.Emit(TraceOf(context_, Trace::Kind::kStarted, exec, path, Status::kOk, {}, {&machine, container.number()}));
}

void Scheduler::Serve(Machine& machine, Container& container) {
  if (const auto& line = attempts_.WaitingFor(container.function()); !line.empty()) {
    Attempt& attempt = *line.begin()->second;
    attempt.Note(Rung::kContainer, "container_came_free");
    return Run(attempt, machine, container, StartPath::kContainer);
  }
  for (const auto& [order, attempt] : attempts_.PromisedFor(container.function())) {
    Container& promised = machines_.Get(attempt->machine()).Get(attempt->container());
    if (!promised.create_sent()) continue;  // its making still needs to know for whom
    machines_.Release(promised);
    attempt->Note(Rung::kContainer, "freed_before_promised");
    return Run(*attempt, machine, container, StartPath::kContainer);
  }
  if (!attempts_.waiting().empty()) context_.AskToSchedule();  // its room may serve another function
}

std::vector<OwnMachine> Scheduler::OwnMachines(const Function& function, std::size_t profile) const {
  std::vector<OwnMachine> own;
  for (const auto number : machines_.index().AssignedTo(function.user)) {
    const Machine& machine = machines_.Get(number);
    if (machine.profile() != profile || !machine.runtimes().contains(function.runtime)) continue;
    OwnMachine view{number, machine.free_mib(), machine.freeing_mib(), codes_.Holds(machine, function.code), {}};
    for (const auto& [container_number, container] : machine.containers()) {
      if (container.state() != ContainerState::kIdle) continue;
      view.idle.push_back({container_number, container.memory_mib(), container.idle_since_us(),
                           registry_.IsRetired(container.function())});
    }
    own.push_back(std::move(view));
  }
  return own;
}

bool Scheduler::Holds(const Function& function, std::size_t profile, const std::vector<OwnMachine>& own) const {
  return !own.empty() || AwaitedMib(function.user, profile) > 0;
}

bool Scheduler::HasWarm(const FunctionVersion& function) const {
  const MachineIndex& index = machines_.index();
  return index.LastIdle(function).has_value() ||
         attempts_.WaitingFor(function).size() < static_cast<std::size_t>(index.Checking(function));
}

bool Scheduler::MayPlaceAtOnce(const Function& function) const {
  const auto profile = context_.settings().ProfileOf(function);
  const auto own = OwnMachines(function, profile);
  const House house = DescribeHouse(function, profile, Holds(function, profile, own), context_.now_us());
  const Rung rung = Choose(function.memory_mib, own, house).rung;
  return rung == Rung::kCached || rung == Rung::kMachine || rung == Rung::kPool;
}

House Scheduler::DescribeHouse(const Function& function, std::size_t profile, bool holds,
                               std::int64_t accepted_us) const {
  const MachineIndex& index = machines_.index();
  House house = pools_.Describe(profile, function.user, holds, accepted_us);
  const auto has_runtime = [&](std::uint64_t number) {
    return machines_.Get(number).runtimes().contains(function.runtime);
  };
  const auto came_up = [&](std::uint64_t number) {  // for the user, in this step
    const Machine& machine = machines_.Get(number);
    return machine.state() == MachineState::kWarm && machine.profile() == profile && has_runtime(number);
  };
  const auto& coming = index.ComingFor(function.user);
  const auto& warm = index.Warm(profile);
  if (const auto own = std::ranges::find_if(coming, came_up); own != coming.end()) {
    house.pool = *own;
  } else if (const auto ready = std::ranges::find_if(warm, has_runtime);
             ready != warm.end() && (!holds || pools_.MaySpare(profile))) {
    house.pool = *ready;
  }
  const auto missing_mib = house.machine_mib - house.free_mib - house.freeing_mib;
  if (missing_mib > 0) house.spares = machines_.Spares(pools_.SparesFor(profile, holds, missing_mib));
  return house;
}

std::int32_t Scheduler::AwaitedMib(const UserId& user, std::size_t profile) const {
  std::int32_t room_mib = 0;
  for (const auto number : machines_.index().ComingFor(user)) {
    const Machine& machine = machines_.Get(number);
    if (machine.profile() == profile) room_mib += machine.free_mib();
  }
  return room_mib;
}

}  // namespace hearth::executor
