// Giving waiting attempts their containers: the ladder of choose.h on what the executor holds.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

bool Core::State::IsRetired(const FunctionVersion& function) const {
  return registry.IsRetired(std::get<0>(function), std::get<1>(function), std::get<2>(function));
}

std::pair<Machine*, Container*> Core::State::FindIdle(const FunctionVersion& function) {
  const auto found = idle.find(function);
  if (found == idle.end()) return {nullptr, nullptr};
  // Last used: its caches are warm, and the others may expire.
  const auto [machine, container] = found->second.rbegin()->second;
  Machine& at = machines.at(machine);
  return {&at, &at.containers.at(container)};
}

std::vector<OwnMachine> Core::State::OwnMachines(const Attempt& attempt) const {
  const Function& function = attempt.exec.function;
  std::vector<OwnMachine> own;
  const auto holding = holdings.find(function.user);
  if (holding == holdings.end()) return own;
  for (const auto number : holding->second.assigned) {
    const Machine& machine = machines.at(number);
    if (profiles[machine.profile].profile.name != function.profile || !machine.runtimes.contains(function.runtime))
      continue;
    OwnMachine view{number, machine.free_mib, machine.freeing_mib, machine.codes.contains(function.code), {}};
    for (const auto& [container_number, container] : machine.containers) {
      if (container.state != ContainerState::kIdle) continue;
      view.idle.push_back(
          {container_number, container.memory_mib, container.idle_since_us, IsRetired(container.function)});
    }
    own.push_back(std::move(view));
  }
  return own;
}

House Core::State::DescribeHouse(const Attempt& attempt, std::size_t index, std::int32_t awaited_mib) const {
  const Function& function = attempt.exec.function;
  const ProfileState& profile = profiles[index];
  const auto holding = holdings.find(function.user);
  const auto has_runtime = [&](std::uint64_t number) {
    return machines.at(number).runtimes.contains(function.runtime);
  };
  House house;
  house.awaited_mib = awaited_mib;
  house.machine_mib = profile.profile.memory_mib;
  house.free_mib = FreeMib();
  house.freeing_mib = freeing_mib;
  if (holding != holdings.end()) {
    for (const auto number : holding->second.coming) {  // became ready for the user in this step
      const Machine& machine = machines.at(number);
      if (house.pool || machine.state != MachineState::kWarm || machine.profile != index || !has_runtime(number))
        continue;
      house.pool = number;
    }
  }
  const auto ready = std::find_if(profile.warm.begin(), profile.warm.end(), has_runtime);
  if (!house.pool && ready != profile.warm.end()) house.pool = *ready;
  house.starting = static_cast<std::int32_t>(profile.starting.size());
  house.shells = profile.shells;
  house.shell_coming = profile.shells == 0 && ShellsComeAndGo(profile) &&
                       now.mono_us - attempt.why.accepted_us < kShellWaitMs * kMicrosPerMilli;
  const auto own_bound = LimitsOf(function.user).max_starts;
  const auto of_user = holding == holdings.end() ? 0 : holding->second.starting;
  const bool may =
      now.mono_us >= profile.may_start_us && !draining && of_user < (own_bound > 0 ? own_bound : settings.user_starts);
  house.may_start = may && starting < settings.concurrent_starts;
  house.may_activate = may && activating < settings.concurrent_activations;
  const auto missing_mib = house.machine_mib - house.free_mib - house.freeing_mib;
  if (missing_mib > 0) house.spares = Spares(index, missing_mib);
  return house;
}

// What could be given up, the cheapest first, no more than it takes: machines of other profiles' pools, then those
// whose containers have all been idle longest.
std::vector<Spare> Core::State::Spares(std::size_t for_profile, std::int32_t missing_mib) const {
  std::vector<Spare> spares;
  const auto add = [&](const Machine& machine, bool unassigned) {
    const auto memory_mib = profiles[machine.profile].profile.memory_mib;
    const auto since_us = unassigned ? machine.since_us : machine.quiet_us;
    spares.push_back({machine.number, memory_mib, since_us, unassigned, machine.containers.empty()});
    missing_mib -= memory_mib;
  };
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    if (i == for_profile) continue;
    for (const auto number : profiles[i].warm) {
      if (missing_mib <= 0) return spares;
      add(machines.at(number), true);
    }
  }
  for (const auto& [since_us, number] : quiet) {
    if (missing_mib <= 0) return spares;
    add(machines.at(number), false);
  }
  return spares;
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
    const auto profile = ProfileOf(attempt.exec.function);
    const auto [room, is_new] = awaited.try_emplace({user, profile});
    if (const auto holding = holdings.find(user); is_new && holding != holdings.end()) {
      for (const auto number : holding->second.coming) {
        const Machine& machine = machines.at(number);
        if (machine.profile == profile) room->second += machine.free_mib;
      }
    }
    Place(key, attempt, profile, room->second);
  }
}

void Core::State::CountArrival(Attempt& attempt, std::size_t profile) {
  if (!std::exchange(attempt.counted, true)) profiles[profile].demand.Arrived(now);
}

// Gives the attempt a container, made or promised, or says what it waits for.
void Core::State::Place(const AttemptKey& key, Attempt& attempt, std::size_t profile, std::int32_t& awaited_mib) {
  const Function& function = attempt.exec.function;
  if (auto [machine, container] = FindIdle(VersionOf(function)); container != nullptr) {
    Unqueue(key, attempt);
    attempt.path = StartPath::kContainer;
    attempt.why.Note(Rung::kContainer, "idle_container");
    return Run(key, attempt, *machine, *container);
  }
  const auto choice =
      Choose(function.memory_mib, false, OwnMachines(attempt), DescribeHouse(attempt, profile, awaited_mib));
  attempt.why.Note(choice.rung, choice.because);
  const std::int32_t room_mib = profiles[profile].profile.memory_mib - profiles[profile].profile.reserve_mib;
  switch (choice.rung) {
    case Rung::kCached: return CreateContainer(key, attempt, machines.at(choice.machine), StartPath::kCached);
    case Rung::kMachine: return CreateContainer(key, attempt, machines.at(choice.machine), StartPath::kMachine);
    case Rung::kPool: {
      Machine& machine = machines.at(choice.machine);
      const bool own = !machine.meant_for.empty();
      if (own) awaited_mib -= std::min(awaited_mib, machine.free_mib);
      CountArrival(attempt, profile);
      Assign(machine, function.user);
      return CreateContainer(key, attempt, machine, own ? machine.path : StartPath::kPool);
    }
    case Rung::kAwaitMachine:
      CountArrival(attempt, profile);
      if (awaited_mib < function.memory_mib) {  // the one that has been starting longest becomes the user's
        MeanFor(machines.at(*profiles[profile].starting.begin()), function.user);
        awaited_mib += room_mib;
      }
      awaited_mib -= function.memory_mib;
      return;
    case Rung::kRestore:
    case Rung::kStart:
      CountArrival(attempt, profile);
      Start(profile, function.user);
      awaited_mib += room_mib - function.memory_mib;
      return;
    case Rung::kEvictContainers: {
      Machine& machine = machines.at(choice.machine);
      for (const auto number : choice.containers) RemoveContainer(machine, machine.containers.at(number), "evicted");
      return;
    }
    case Rung::kEvictMachines:
      for (const auto number : choice.machines) Destroy(machines.at(number), MachineState::kDraining, "evicted");
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

void Core::State::Assign(Machine& machine, const UserId& user) {
  MeanFor(machine, user);
  Move(machine, MachineState::kAssigned, "taken");
  machine.since_us = now.mono_us;
  SetDue(machine, 0);
  Emit(SendToGuest{machine.id, {0, guest::Configure{machine.id, user, now.wall_us, ""}}});
  Emit(MarkOwner{machine.id, user});
}

void Core::State::CreateContainer(const AttemptKey& key, Attempt& attempt, Machine& machine, StartPath path) {
  const Function& function = attempt.exec.function;
  Container container;
  container.number = machine.next_container++;
  container.function = VersionOf(function);
  container.memory_mib = function.memory_mib;
  container.attempt = key;
  const auto user_ms = LimitsOf(function.user).container_idle_ms;
  container.idle_limit_us = function.container_idle_s > 0
                                ? function.container_idle_s * kMicrosPerSecond
                                : (user_ms > 0 ? user_ms : settings.container_idle_ms) * kMicrosPerMilli;
  machine.free_mib -= function.memory_mib;
  ++machine.not_idle;
  SetDue(machine, 0);
  Unqueue(key, attempt);
  promised_for[container.function].emplace(attempt.order, key);
  attempt.phase = Phase::kPromised;
  attempt.machine = machine.number;
  attempt.container = container.number;
  attempt.path = path;
  auto& placed = machine.containers.emplace(container.number, std::move(container)).first->second;
  UpdateQuiet(machine);
  NoteChange(machine);
  NoteChange(machine, placed);
  SendCode(machine, function.code);
  if (machine.codes.contains(function.code)) return SendCreate(machine, placed);
  awaiting_code[{function.user, function.code}].insert(key);
}

// Sends the archive unless the machine has it; where it is not here either, it is loaded and sent when it comes.
void Core::State::SendCode(Machine& machine, const CodeHash& hash) {
  if (machine.codes.contains(hash) || machine.sending.contains(hash)) return;
  const auto [found, is_new] = codes.try_emplace({machine.user, hash});
  found->second.used = next_use++;
  if (is_new) Emit(LoadCode{machine.user, hash});
  if (found->second.bytes == nullptr) return;
  Emit(SendArchive{machine.id, hash, found->second.bytes});
  machine.sending.insert(hash);
}

std::vector<AttemptKey> Core::State::AwaitingCode(const UserCode& code, const Machine* in) const {
  std::vector<AttemptKey> keys;
  const auto awaiting = awaiting_code.find(code);
  if (awaiting == awaiting_code.end()) return keys;
  for (const auto& key : awaiting->second) {
    if (in == nullptr || attempts.at(key).machine == in->number) keys.push_back(key);
  }
  return keys;
}

void Core::State::On(const ArchiveSent& event) {
  Machine* machine = Find(event.machine);
  if (machine == nullptr || machine->sending.erase(event.hash) == 0) return;
  machine->codes.insert(event.hash);
  CreateAwaiting(*machine, event.hash);
}

void Core::State::CreateAwaiting(Machine& machine, const CodeHash& hash) {
  const UserCode code{machine.user, hash};
  for (const auto& key : AwaitingCode(code, &machine)) {
    const auto awaiting = awaiting_code.find(code);
    awaiting->second.erase(key);
    if (awaiting->second.empty()) awaiting_code.erase(awaiting);
    SendCreate(machine, machine.containers.at(attempts.at(key).container));
  }
}

void Core::State::SendCreate(Machine& machine, Container& container) {
  const Function& function = attempts.at(*container.attempt).exec.function;
  container.create_sent = true;
  SetDue(machine, container, now.mono_us + settings.container_timeout_ms * kMicrosPerMilli);
  Emit(SendToGuest{machine.id,
                   {container.number,
                    guest::Create{function.code, FunctionKey(function.user, function.name), function.version,
                                  function.runtime, function.handler, function.memory_mib, function.environment}}});
}

void Core::State::On(const CodeLoaded& event) {
  const UserCode loaded_code{event.user, event.hash};
  const auto found = codes.find(loaded_code);
  if (found == codes.end()) return;
  const bool loaded = event.error.empty() && event.bytes != nullptr;
  if (loaded) {
    found->second.bytes = event.bytes;
  } else {
    codes.erase(found);
  }
  for (const auto& key : AwaitingCode(loaded_code, nullptr)) {
    const Attempt& attempt = attempts.at(key);
    Machine& machine = machines.at(attempt.machine);
    if (loaded) {
      SendCode(machine, event.hash);
      continue;
    }
    Container& container = machine.containers.at(attempt.container);
    container.attempt.reset();
    RemoveContainer(machine, container, "no code");
    FailAttempt(key, "code_unavailable: " + event.error);
  }
  std::size_t total = 0;  // keep what was used last
  for (const auto& [of, code] : codes) total += code.bytes == nullptr ? 0 : code.bytes->size();
  while (total > kMaxCodeCacheBytes) {
    auto oldest = codes.end();
    for (auto at = codes.begin(); at != codes.end(); ++at) {
      if (at->second.bytes != nullptr && (oldest == codes.end() || at->second.used < oldest->second.used)) oldest = at;
    }
    if (oldest == codes.end()) break;
    total -= oldest->second.bytes->size();
    codes.erase(oldest);
  }
}

void Core::State::Run(const AttemptKey& key, Attempt& attempt, Machine& machine, Container& container) {
  Unqueue(key, attempt);
  Move(machine, container, ContainerState::kBusy, "leased");
  container.attempt = key;
  attempt.phase = Phase::kRunning;
  attempt.machine = machine.number;
  attempt.container = container.number;
  attempt.run_sent = now;
  attempt.exec.times.leased_us = now.wall_us;
  const link::Exec& exec = attempt.exec;
  SetDue(machine, container, now.mono_us + (exec.timeout_ms + settings.kill_grace_ms) * kMicrosPerMilli);
  Emit(SendToGuest{machine.id,
                   {container.number, guest::Run{exec.id, exec.try_number, exec.timeout_ms, exec.content_type,
                                                 exec.traceparent, exec.payload}}});
  Emit(Trace{Trace::Kind::kStarted,
             exec.ref,
             exec.id,
             exec.function.user,
             exec.function.name,
             machine.id,
             ContainerId(machine.id.value + "/" + std::to_string(container.number)),
             {},
             {},
             Status::kOk,
             attempt.path,
             exec.times,
             {}});
}

// A container that comes free serves first who waits for its function, then who was promised one that is still made:
// the first container that comes free, own or promised, takes the oldest.
void Core::State::TurnIdle(Machine& machine, Container& container) {
  Move(machine, container, ContainerState::kIdle, "ready");
  container.idle_since_us = now.mono_us;
  SetDue(machine, container, now.mono_us + container.idle_limit_us);
  if (const auto line = waiting_for.find(container.function); line != waiting_for.end()) {
    const AttemptKey key = line->second.begin()->second;
    Attempt& attempt = attempts.at(key);
    attempt.path = StartPath::kContainer;
    attempt.why.Note(Rung::kContainer, "container_came_free");
    return Run(key, attempt, machine, container);
  }
  if (const auto line = promised_for.find(container.function); line != promised_for.end()) {
    for (const auto& [order, key] : line->second) {
      Attempt& attempt = attempts.at(key);
      Container& promised = machines.at(attempt.machine).containers.at(attempt.container);
      if (!promised.create_sent) continue;  // its making still needs to know for whom
      promised.attempt.reset();
      attempt.path = StartPath::kContainer;
      attempt.why.Note(Rung::kContainer, "freed_before_promised");
      const AttemptKey taken = key;
      return Run(taken, attempt, machine, container);
    }
  }
  dirty = dirty || !waiting.empty();  // its room may serve another function
}

void Core::State::RemoveContainer(Machine& machine, Container& container, const std::string& reason) {
  if (container.state == ContainerState::kGone) return;
  Move(machine, container, ContainerState::kGone, reason);
  machine.freeing_mib += container.memory_mib;
  if (!container.create_sent) return FreeContainer(machine, container.number);  // the agent never heard of it
  SetDue(machine, container, now.mono_us + settings.container_timeout_ms * kMicrosPerMilli);
  Emit(SendToGuest{machine.id, {container.number, guest::Remove{}}});
}

}  // namespace hearth::executor
