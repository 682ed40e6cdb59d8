// Giving waiting attempts their containers: the ladder of choose.h on what the executor holds.
#include <algorithm>

#include "executor/core/core_state.h"

namespace hearth::executor {

bool Core::State::IsRetired(const FunctionVersion& function) const {
  const auto found = latest.find({std::get<0>(function), std::get<1>(function)});
  return found != latest.end() && found->second > std::get<2>(function);
}

std::pair<Instance*, Container*> Core::State::FindIdle(const FunctionVersion& function) {
  const auto found = idle.find(function);
  if (found == idle.end() || found->second.empty()) return {nullptr, nullptr};
  const auto [instance, container] = found->second.back();  // last used: its caches are warm, the others may expire
  Instance& at = instances.at(instance);
  return {&at, &at.containers.at(container)};
}

std::vector<OwnInstance> Core::State::OwnInstances(const Attempt& attempt) const {
  const Function& function = attempt.exec.function;
  std::vector<OwnInstance> own;
  for (const auto& [number, instance] : instances) {
    if (instance.state != InstanceState::kAssigned || instance.user != function.user) continue;
    if (profiles[instance.profile].profile.name != function.profile || !instance.runtimes.contains(function.runtime))
      continue;
    OwnInstance view{number, instance.free_mib, instance.freeing_mib, instance.codes.contains(function.code), {}};
    for (const auto& [container_number, container] : instance.containers) {
      if (container.state != ContainerState::kIdle) continue;
      view.idle.push_back(
          {container_number, container.memory_mib, container.idle_since_us, IsRetired(container.function)});
    }
    own.push_back(std::move(view));
  }
  return own;
}

House Core::State::DescribeHouse(const Attempt& attempt, std::int32_t awaited_mib) const {
  const Function& function = attempt.exec.function;
  House house;
  house.awaited_mib = awaited_mib;
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    const auto& profile = profiles[i];
    if (profile.profile.name != function.profile) continue;
    house.machine_mib = profile.profile.memory_mib;
    const bool may =
        now.mono_us >= profile.may_start_us && !draining && StartingFor(function.user) < settings.user_starts;
    house.may_start = may && Starting() < settings.concurrent_starts;
    house.may_activate = may && Activating() < settings.concurrent_activations;
    house.shells = profile.shells;
    house.shell_coming = profile.shells == 0 && profile.shells_asked > 0 &&
                         now.mono_us - profile.shells_seen_us < kShellsTrustMs * kMicrosPerMilli &&
                         now.mono_us - attempt.since_us < kShellWaitMs * kMicrosPerMilli;
    for (const auto& [number, instance] : instances) {
      if (instance.profile != i) continue;
      if (instance.state == InstanceState::kCreating && instance.meant_for.empty()) ++house.starting;
      if (instance.state != InstanceState::kWarm || !instance.runtimes.contains(function.runtime)) continue;
      const bool own = instance.meant_for == function.user;
      if (own || (instance.meant_for.empty() && !house.pool)) house.pool = number;
      if (own) break;
    }
  }
  house.free_mib = FreeMib();
  for (const auto& [number, instance] : instances) {
    const auto memory = profiles[instance.profile].profile.memory_mib;
    if (instance.state == InstanceState::kDraining || instance.state == InstanceState::kSuspect)
      house.freeing_mib += memory;
    const bool other_pool = instance.state == InstanceState::kWarm && instance.meant_for.empty() &&
                            profiles[instance.profile].profile.name != function.profile;
    bool quiet = instance.state == InstanceState::kAssigned;
    std::int64_t last_us = instance.since_us;
    for (const auto& [container_number, container] : instance.containers) {
      quiet = quiet && container.state == ContainerState::kIdle;
      last_us = std::max(last_us, container.idle_since_us);
    }
    if (other_pool || quiet) house.spares.push_back({number, memory, last_us, other_pool, instance.containers.empty()});
  }
  return house;
}

void Core::State::Schedule() {
  // Room in machines that start for a user already: each attempt that awaits one takes its share of it.
  std::map<UserId, std::int32_t> awaited;
  for (const auto& [number, instance] : instances) {
    if (instance.state != InstanceState::kCreating || instance.meant_for.empty()) continue;
    const Profile& profile = profiles[instance.profile].profile;
    awaited[instance.meant_for] += profile.memory_mib - profile.reserve_mib;
  }
  std::vector<AttemptKey> keys;
  keys.reserve(waiting.size());
  for (const auto& [order, key] : waiting) keys.push_back(key);
  for (const auto& key : keys) {
    Attempt& attempt = attempts.at(key);
    const auto order = attempt.order;
    if (Place(key, attempt, awaited)) waiting.erase(order);
  }
}

// True: the attempt has a container, made or promised.
bool Core::State::Place(const AttemptKey& key, Attempt& attempt, std::map<UserId, std::int32_t>& awaited) {
  const Function& function = attempt.exec.function;
  if (auto [instance, container] = FindIdle(VersionOf(function)); container != nullptr) {
    attempt.path = StartPath::kContainer;
    attempt.why.Note(Rung::kContainer, "idle_container");
    Run(key, attempt, *instance, *container);
    return true;
  }
  auto& own_awaited = awaited[function.user];
  const auto choice = Choose(function.memory_mib, false, OwnInstances(attempt), DescribeHouse(attempt, own_awaited));
  attempt.why.Note(choice.rung, choice.because);
  const auto profile =
      static_cast<std::size_t>(std::find_if(profiles.begin(), profiles.end(),
                                            [&](const auto& p) { return p.profile.name == function.profile; }) -
                               profiles.begin());
  const std::int32_t room = profiles[profile].profile.memory_mib - profiles[profile].profile.reserve_mib;
  switch (choice.rung) {
    case Rung::kCached: CreateContainer(key, attempt, instances.at(choice.instance), StartPath::kCached); return true;
    case Rung::kInstance:
      CreateContainer(key, attempt, instances.at(choice.instance), StartPath::kInstance);
      return true;
    case Rung::kPool: {
      Instance& instance = instances.at(choice.instance);
      const StartPath path = instance.meant_for.empty() ? StartPath::kPool : instance.path;
      profiles[profile].demand.Taken(now.mono_us);
      Assign(instance, function.user);
      CreateContainer(key, attempt, instance, path);
      return true;
    }
    case Rung::kAwaitMachine:
      if (own_awaited >= function.memory_mib) {
        own_awaited -= function.memory_mib;
        return false;
      }
      for (auto& [number, instance] : instances) {
        if (instance.state != InstanceState::kCreating || !instance.meant_for.empty() || instance.profile != profile)
          continue;
        instance.meant_for = function.user;
        own_awaited += room - function.memory_mib;
        break;
      }
      return false;
    case Rung::kRestore:
    case Rung::kStart:
      Start(profile, function.user);
      own_awaited += room - function.memory_mib;
      return false;
    case Rung::kEvictContainers: {
      Instance& instance = instances.at(choice.instance);
      for (const auto number : choice.containers) RemoveContainer(instance, instance.containers.at(number), "evicted");
      return false;
    }
    case Rung::kEvictInstances:
      for (const auto number : choice.instances) Destroy(instances.at(number), InstanceState::kDraining, "evicted");
      return false;
    case Rung::kContainer:
    case Rung::kAwaitRoom:
    case Rung::kAwaitShell:
    case Rung::kAwaitMemory:
    case Rung::kWait: return false;
  }
  return false;
}

void Core::State::Assign(Instance& instance, const UserId& user) {
  instance.user = user;
  instance.meant_for = UserId();
  Move(instance, InstanceState::kAssigned, "taken");
  instance.since_us = now.mono_us;
  Emit(SendToGuest{instance.id, {0, guest::Configure{instance.id, user, now.wall_us, ""}}});
  Emit(MarkOwner{instance.id, user});
}

void Core::State::CreateContainer(const AttemptKey& key, Attempt& attempt, Instance& instance, StartPath path) {
  const Function& function = attempt.exec.function;
  Container container;
  container.number = instance.next_container++;
  container.function = VersionOf(function);
  container.memory_mib = function.memory_mib;
  container.attempt = key;
  instance.free_mib -= function.memory_mib;
  attempt.phase = Phase::kPromised;
  attempt.instance = instance.number;
  attempt.container = container.number;
  attempt.path = path;
  auto& placed = instance.containers.emplace(container.number, std::move(container)).first->second;
  changed.insert_or_assign(instance.id.value, SlotOf(instance, nullptr));
  changed.insert_or_assign(instance.id.value + "/" + std::to_string(placed.number), SlotOf(instance, &placed));
  SendCode(instance, function.code);
  if (instance.codes.contains(function.code)) SendCreate(instance, placed);
}

// Sends the archive unless the instance has it; where it is not here either, it is loaded and sent when it comes.
void Core::State::SendCode(Instance& instance, const CodeHash& hash) {
  if (instance.codes.contains(hash)) return;
  const auto [found, is_new] = codes.try_emplace(hash);
  found->second.used = next_use++;
  if (is_new) Emit(LoadCode{hash, instance.user});
  if (found->second.bytes == nullptr) return;
  const std::string& bytes = *found->second.bytes;
  Emit(SendToGuest{instance.id, {0, guest::CodeOffer{hash, static_cast<std::int64_t>(bytes.size())}}});
  for (std::size_t at = 0; at < bytes.size(); at += kMaxCodeChunkBytes) {
    Emit(SendToGuest{instance.id, {0, guest::CodeChunk{bytes.substr(at, kMaxCodeChunkBytes)}}});
  }
  instance.codes.insert(hash);
}

void Core::State::SendCreate(Instance& instance, Container& container) {
  const Function& function = attempts.at(*container.attempt).exec.function;
  container.create_sent = true;
  Emit(SendToGuest{instance.id,
                   {container.number,
                    guest::Create{function.code, FunctionKey(function.user, function.name), function.version,
                                  function.runtime, function.handler, function.memory_mib, function.environment}}});
}

void Core::State::On(const CodeLoaded& event) {
  const auto found = codes.find(event.hash);
  if (found == codes.end()) return;
  if (event.error.empty() && event.bytes != nullptr) {
    found->second.bytes = event.bytes;
  } else {
    codes.erase(found);
  }
  std::vector<AttemptKey> failed;
  for (auto& [number, instance] : instances) {
    if (instance.state != InstanceState::kAssigned) continue;
    for (auto& [container_number, container] : instance.containers) {
      if (container.create_sent || !container.attempt || container.state != ContainerState::kCreating) continue;
      if (attempts.at(*container.attempt).exec.function.code != event.hash) continue;
      if (!event.error.empty()) {
        failed.push_back(*container.attempt);
        continue;
      }
      SendCode(instance, event.hash);
      SendCreate(instance, container);
    }
  }
  for (const auto& key : failed) {
    Attempt& attempt = attempts.at(key);
    Instance& instance = instances.at(attempt.instance);
    Container& container = instance.containers.at(attempt.container);
    container.attempt.reset();
    RemoveContainer(instance, container, "no code");
    FailAttempt(key, "code_unavailable: " + event.error);
  }
  std::size_t total = 0;  // keep what was used last
  for (const auto& [hash, code] : codes) total += code.bytes == nullptr ? 0 : code.bytes->size();
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

void Core::State::Run(const AttemptKey& key, Attempt& attempt, Instance& instance, Container& container) {
  Move(instance, container, ContainerState::kBusy, "leased");
  container.attempt = key;
  attempt.phase = Phase::kRunning;
  attempt.instance = instance.number;
  attempt.container = container.number;
  attempt.run_sent = now;
  attempt.exec.times.leased_us = now.wall_us;
  const link::Exec& exec = attempt.exec;
  container.condemn_us = now.mono_us + (exec.timeout_ms + settings.kill_grace_ms) * kMicrosPerMilli;
  Emit(SendToGuest{instance.id,
                   {container.number, guest::Run{exec.id, exec.try_number, exec.timeout_ms, exec.content_type,
                                                 exec.traceparent, exec.payload}}});
  Emit(Trace{Trace::Kind::kStarted,
             exec.ref,
             exec.id,
             exec.function.user,
             exec.function.name,
             instance.id,
             ContainerId(instance.id.value + "/" + std::to_string(container.number)),
             {},
             {},
             Status::kOk,
             attempt.path,
             exec.times,
             {}});
}

// A container that comes free serves first who waits for its function, then who was promised one that is still made.
void Core::State::TurnIdle(Instance& instance, Container& container) {
  Move(instance, container, ContainerState::kIdle, "ready");
  container.idle_since_us = now.mono_us;
  for (const auto& [order, key] : waiting) {
    Attempt& attempt = attempts.at(key);
    if (VersionOf(attempt.exec.function) != container.function) continue;
    attempt.path = StartPath::kContainer;
    attempt.why.Note(Rung::kContainer, "container_came_free");
    const AttemptKey taken = key;
    waiting.erase(order);
    return Run(taken, attempt, instance, container);
  }
  for (auto& [key, attempt] : attempts) {
    if (attempt.phase != Phase::kPromised || VersionOf(attempt.exec.function) != container.function) continue;
    Instance& other = instances.at(attempt.instance);
    Container& promised = other.containers.at(attempt.container);
    if (!promised.create_sent) continue;  // its making still needs to know for whom
    promised.attempt.reset();
    attempt.path = StartPath::kContainer;
    attempt.why.Note(Rung::kContainer, "freed_before_promised");
    return Run(key, attempt, instance, container);
  }
  dirty = true;  // its room may serve another function
}

void Core::State::RemoveContainer(Instance& instance, Container& container, const std::string& reason) {
  if (container.state == ContainerState::kGone) return;
  Move(instance, container, ContainerState::kGone, reason);
  instance.freeing_mib += container.memory_mib;
  if (!container.create_sent) return FreeContainer(instance, container.number);  // the agent never heard of it
  Emit(SendToGuest{instance.id, {container.number, guest::Remove{}}});
}

}  // namespace hearth::executor
