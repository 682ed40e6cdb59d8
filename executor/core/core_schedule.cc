// Giving waiting attempts their containers: the ladder of choose.h on what the executor holds.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

bool Core::State::IsRetired(const FunctionVersion& function) const {
  return registry.IsRetired(std::get<0>(function), std::get<1>(function), std::get<2>(function));
}

std::vector<OwnMachine> Core::State::OwnMachines(const Attempt& attempt) const {
  const Function& function = attempt.exec.function;
  std::vector<OwnMachine> own;
  const auto profile = context_.settings().ProfileOf(function);
  for (const auto number : machines_.index().AssignedTo(function.user)) {
    const Machine& machine = machines_.Get(number);
    if (machine.profile() != profile || !machine.runtimes().contains(function.runtime)) continue;
    OwnMachine view{number, machine.free_mib(), machine.freeing_mib(), codes_.Holds(machine, function.code), {}};
    for (const auto& [container_number, container] : machine.containers()) {
      if (container.state() != ContainerState::kIdle) continue;
      view.idle.push_back(
          {container_number, container.memory_mib(), container.idle_since_us(), IsRetired(container.function())});
    }
    own.push_back(std::move(view));
  }
  return own;
}

House Core::State::DescribeHouse(const Attempt& attempt, std::size_t index, std::int32_t awaited_mib) const {
  const Function& function = attempt.exec.function;
  const MachineIndex& machines = machines_.index();
  const auto has_runtime = [&](std::uint64_t number) {
    return machines_.Get(number).runtimes().contains(function.runtime);
  };
  House house = pools_.Describe(index, function.user, attempt.why.accepted_us);
  house.awaited_mib = awaited_mib;
  for (const auto number : machines.ComingFor(function.user)) {  // became ready for the user in this step
    const Machine& machine = machines_.Get(number);
    if (house.pool || machine.state() != MachineState::kWarm || machine.profile() != index || !has_runtime(number)) {
      continue;
    }
    house.pool = number;
  }
  const auto& warm = machines.Warm(index);
  const auto ready = std::ranges::find_if(warm, has_runtime);
  if (!house.pool && ready != warm.end()) house.pool = *ready;
  const auto missing_mib = house.machine_mib - house.free_mib - house.freeing_mib;
  if (missing_mib > 0) house.spares = machines_.Spares(index, missing_mib);
  return house;
}

void Core::State::Schedule() {
  starved = false;
  if (waiting.empty()) return;
  // Room in machines of a profile that start for a user: each attempt takes its share.
  std::map<std::pair<UserId, std::size_t>, std::int32_t> awaited;
  std::vector<AttemptKey> keys;
  keys.reserve(waiting.size());
  for (const auto& [order, key] : waiting) keys.push_back(key);
  for (const auto& key : keys) {
    Attempt& attempt = attempts.at(key);
    const auto& user = attempt.exec.function.user;
    const auto profile = context_.settings().ProfileOf(attempt.exec.function);
    const auto [room, is_new] = awaited.try_emplace({user, profile});
    if (is_new) {
      for (const auto number : machines_.index().ComingFor(user)) {
        const Machine& machine = machines_.Get(number);
        if (machine.profile() == profile) room->second += machine.free_mib();
      }
    }
    Place(key, attempt, profile, room->second);
  }
}

void Core::State::CountArrival(Attempt& attempt, std::size_t profile) {
  if (!std::exchange(attempt.counted, true)) pools_.Arrived(profile);
}

// Gives the attempt a container, made or promised, or says what it waits for.
void Core::State::Place(const AttemptKey& key, Attempt& attempt, std::size_t profile, std::int32_t& awaited_mib) {
  const Function& function = attempt.exec.function;
  if (auto [machine, container] = machines_.FindIdle(VersionOf(function)); container != nullptr) {
    Unqueue(key, attempt);
    attempt.path = StartPath::kContainer;
    attempt.why.Note(Rung::kContainer, "idle_container");
    return Run(key, attempt, *machine, *container);
  }
  const auto choice =
      Choose(function.memory_mib, false, OwnMachines(attempt), DescribeHouse(attempt, profile, awaited_mib));
  attempt.why.Note(choice.rung, choice.because);
  const Profile& of_profile = context_.settings().profiles[profile];
  const std::int32_t room_mib = of_profile.memory_mib - of_profile.reserve_mib;
  switch (choice.rung) {
    case Rung::kCached: return CreateContainer(key, attempt, machines_.Get(choice.machine), StartPath::kCached);
    case Rung::kMachine: return CreateContainer(key, attempt, machines_.Get(choice.machine), StartPath::kMachine);
    case Rung::kPool: {
      Machine& machine = machines_.Get(choice.machine);
      const bool own = !machine.meant_for().empty();
      if (own) awaited_mib -= std::min(awaited_mib, machine.free_mib());
      CountArrival(attempt, profile);
      machines_.Assign(machine, function.user);
      return CreateContainer(key, attempt, machine, own ? machine.path() : StartPath::kPool);
    }
    case Rung::kAwaitMachine:
      CountArrival(attempt, profile);
      if (awaited_mib < function.memory_mib) {  // the one that has been starting longest becomes the user's
        machines_.MeanFor(machines_.Get(*machines_.index().Starting(profile).begin()), function.user);
        awaited_mib += room_mib;
      }
      awaited_mib -= function.memory_mib;
      return;
    case Rung::kRestore:
    case Rung::kStart:
      CountArrival(attempt, profile);
      pools_.Start(profile, function.user);
      awaited_mib += room_mib - function.memory_mib;
      return;
    case Rung::kEvictContainers: {
      Machine& machine = machines_.Get(choice.machine);
      for (const auto number : choice.containers) machines_.Remove(machine, machine.Get(number), "evicted");
      return;
    }
    case Rung::kEvictMachines:
      for (const auto number : choice.machines) machines_.Drain(machines_.Get(number), "evicted");
      starved = true;
      return;
    case Rung::kAwaitShell:
    case Rung::kAwaitMemory:
    case Rung::kWait:
      CountArrival(attempt, profile);
      starved = true;
      return;
    case Rung::kContainer:
    case Rung::kAwaitRoom: return;
  }
}

void Core::State::CreateContainer(const AttemptKey& key, Attempt& attempt, Machine& machine, StartPath path) {
  const Function& function = attempt.exec.function;
  Container& container = machines_.AddContainer(machine, function, key);
  Unqueue(key, attempt);
  promised_for[container.function()].emplace(attempt.order, key);
  attempt.phase = Phase::kPromised;
  attempt.machine = machine.number();
  attempt.container = container.number();
  attempt.path = path;
  if (codes_.Provide(machine, function.code, key)) machines_.SendCreate(machine, container, function);
}

// The containers that the attempts were promised in the machine are made: their code is there.
void Core::State::Create(Machine& machine, const std::vector<AttemptKey>& promised) {
  for (const auto& key : promised) {
    const Attempt& attempt = attempts.at(key);
    machines_.SendCreate(machine, machine.Get(attempt.container), attempt.exec.function);
  }
}

void Core::State::On(const ArchiveSent& event) {
  Machine* machine = machines_.Find(event.machine);
  if (machine != nullptr) Create(*machine, codes_.Sent(*machine, event.hash));
}

void Core::State::On(const CodeLoaded& event) {
  const UserCode code{event.user, event.hash};
  if (event.error.empty() && event.bytes != nullptr) return codes_.Loaded(code, event.bytes);
  for (const auto& key : codes_.LoadFailed(code)) {
    const Attempt& attempt = attempts.at(key);
    Machine& machine = machines_.Get(attempt.machine);
    machines_.Remove(machine, machine.Get(attempt.container), "no code");
    FailAttempt(key, "code_unavailable: " + event.error);
  }
}

void Core::State::Run(const AttemptKey& key, Attempt& attempt, Machine& machine, Container& container) {
  Unqueue(key, attempt);
  const link::Exec& exec = attempt.exec;
  machines_.Occupy(machine, container, key, exec.timeout_ms + context_.settings().kill_grace_ms);
  attempt.phase = Phase::kRunning;
  attempt.machine = machine.number();
  attempt.container = container.number();
  attempt.run_sent = context_.now();
  attempt.exec.times.leased_us = context_.now().wall_us;
  context_.Emit(SendToGuest{machine.id(),
                            {container.number(), guest::Run{exec.id, exec.try_number, exec.timeout_ms,
                                                            exec.content_type, exec.traceparent, exec.payload}}});
  context_.Emit(Trace{Trace::Kind::kStarted,
                      exec.ref,
                      exec.id,
                      exec.function.user,
                      exec.function.name,
                      machine.id(),
                      IdOf(machine, container.number()),
                      {},
                      {},
                      Status::kOk,
                      attempt.path,
                      exec.times,
                      {}});
}

// A container that comes free serves first who waits for its function, then who was promised one that is still made:
// the first container that comes free, own or promised, takes the oldest.
void Core::State::Serve(Machine& machine, Container& container) {
  if (const auto line = waiting_for.find(container.function()); line != waiting_for.end()) {
    const AttemptKey key = line->second.begin()->second;
    Attempt& attempt = attempts.at(key);
    attempt.path = StartPath::kContainer;
    attempt.why.Note(Rung::kContainer, "container_came_free");
    return Run(key, attempt, machine, container);
  }
  if (const auto line = promised_for.find(container.function()); line != promised_for.end()) {
    for (const auto& [order, key] : line->second) {
      Attempt& attempt = attempts.at(key);
      Container& promised = machines_.Get(attempt.machine).Get(attempt.container);
      if (!promised.create_sent()) continue;  // its making still needs to know for whom
      machines_.Release(promised);
      attempt.path = StartPath::kContainer;
      attempt.why.Note(Rung::kContainer, "freed_before_promised");
      const AttemptKey taken = key;
      return Run(taken, attempt, machine, container);
    }
  }
  if (!waiting.empty()) context_.AskToSchedule();  // its room may serve another function
}

}  // namespace hearth::executor
