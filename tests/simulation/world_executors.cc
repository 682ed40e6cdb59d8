// Simulated executors, and their machines.
#include <algorithm>

#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr std::int64_t kExecutorTickUs = 50'000;
constexpr const char* kProfile = "default";
constexpr const char* kLargeProfile = "large";

}  // namespace

void World::StartExecutor(int index) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  ++node.life;
  executor::Settings settings;
  settings.id = ExecutorId("executor-" + std::to_string(index));
  settings.incarnation = "life" + std::to_string(node.life) + "xxxx";
  settings.acceleration = "simulated";
  settings.profiles = {executor::Profile{kProfile, 512, 160, 1, options_.pool_min, options_.pool_max, options_.shells}};
  if (options_.large_profile) settings.profiles.push_back({kLargeProfile, 1024, 160, 1, 0, 1, 1});
  settings.memory_mib = options_.memory_mib;
  settings.credit = options_.credit;
  settings.waiting = options_.waiting;
  settings.seed = options_.seed;
  node.core = std::make_unique<executor::Core>(settings);
  node.seen_epoch.clear();
  for (int dispatcher = 0; dispatcher < options_.dispatchers; ++dispatcher) Connect(dispatcher, index);
  StepExecutor(index, executor::Tick{});
  TickExecutor(index, node.life);
}

void World::KillRuns(Machine& machine) {
  for (auto& [number, box] : machine.boxes) {
    if (box.run.serial == 0 || (!box.busy && !history_.executions[box.run.execution].unheard)) continue;
    auto& run = history_.executions[box.run.execution];
    run.killed = true;
    if (!box.busy) continue;
    run.end_us = now_us_;
    if (box.only_attempt) Count(Fault::kOnlyAttemptLost);
  }
}

void World::StopExecutor(int index) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  Note("stop executor " + std::to_string(index));
  history_.deaths.push_back({"executor-" + std::to_string(index), now_us_});
  for (auto& [id, machine] : node.machines) KillRuns(machine);
  const auto life = node.life + 1;
  node = Executor{};
  node.life = life;
  std::vector<std::uint64_t> mine;
  for (const auto& [id, connection] : connections_) {
    if (connection.executor == index) mine.push_back(id);
  }
  std::erase_if(stale_, [index](const auto& one) { return one.second == index; });
  for (const auto id : mine) Disconnect(id);
  At(Between(500'000, 5'000'000), [this, index] { StartExecutor(index); });
}

// The host has nothing left for seconds. What it says is measured every second.
void World::MakeShort(int index, Fault what) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  if (node.short_until_us > now_us_) return;
  Count(what);
  Note("short host " + std::to_string(index));
  constexpr std::int64_t kMeasureUs = 1'000'000;
  const auto seconds = Between(1, 20);
  node.short_until_us = now_us_ + seconds * kMeasureUs;
  for (std::int64_t second = 0; second < seconds; ++second) {
    const bool memory = what == Fault::kMemoryShort;
    StepLater(index, second * kMeasureUs, executor::HostPressure{memory ? 100 : 4000, memory ? 500'000 : 990'000});
  }
  StepLater(index, seconds * kMeasureUs, executor::HostPressure{4000, 500'000});
}

// The machines run on.
void World::FreezeExecutor(int index) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  Count(Fault::kFrozenExecutor);
  Note("freeze executor " + std::to_string(index));
  node.frozen = true;
  At(Chance(500) ? Between(300'000, 5'000'000) : Between(5'000'000, 35'000'000), [this, index, life = node.life] {
    auto& frozen = *executors_[static_cast<std::size_t>(index)];
    if (frozen.life != life) return;
    frozen.frozen = false;
    RunExecutor(index);
  });
}

void World::TickExecutor(int index, std::uint64_t life) {
  At(kExecutorTickUs, [this, index, life] {
    auto& node = *executors_[static_cast<std::size_t>(index)];
    if (node.core == nullptr || node.life != life) return;
    StepExecutor(index, executor::Tick{});
    TickExecutor(index, life);
  });
}

void World::StepExecutor(int index, const executor::Event& event) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  if (node.core == nullptr) return;
  node.stepper.Push(event);
  if (!node.frozen) RunExecutor(index);
}

void World::RunExecutor(int index) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  if (node.core == nullptr) return;
  node.stepper.Run(
      [this, &node](const auto& event, auto& effects) {
        if (!NoteFence(node, event)) node.core->Step(event, Now(), effects);
      },
      [this, index](auto& effect) { Do(index, effect); });
}

// Remembers the epochs that the executor has heard of. True: a mutant that hears nothing of them.
bool World::NoteFence(Executor& node, const executor::Event& event) const {
  const auto* message = std::get_if<executor::DispatcherMessage>(&event);
  const auto* fence = message != nullptr ? std::get_if<link::Fence>(&message->message) : nullptr;
  if (fence == nullptr) return false;
  auto& seen = node.seen_epoch[fence->partition];
  const bool of_live_link = connections_.contains(message->link) || stale_.contains(message->link);
  if (of_live_link) seen = std::max(seen, fence->epoch);
  return options_.mutant == Mutant::kForgetEpoch;
}

// Steps the executor later, unless it has died meanwhile.
void World::StepLater(int index, std::int64_t delay_us, executor::Event event) {
  const auto life = executors_[static_cast<std::size_t>(index)]->life;
  At(delay_us, [this, index, life, event = std::move(event)] {
    if (executors_[static_cast<std::size_t>(index)]->life == life) StepExecutor(index, event);
  });
}

void World::Do(int /*index*/, executor::SendToDispatcher& send) {
  ToDispatcher(send.link, send.message);
}

void World::Do(int index, executor::Trace& trace) {
  const auto& node = *executors_[static_cast<std::size_t>(index)];
  if (trace.kind == executor::Trace::Kind::kEnded) {
    const auto machine = node.machines.find(trace.machine);
    const std::string& name = trace.container.value;
    const auto number = static_cast<std::uint32_t>(std::stoul(name.substr(name.rfind('/') + 1)));
    if (machine != node.machines.end()) {
      const auto run = machine->second.runs.find(number);
      if (run != machine->second.runs.end()) history_.executions[run->second].unheard = false;
    }
  }
  if (trace.kind == executor::Trace::Kind::kOrphaned) {  // nobody renewed its lease
    history_.cut_offs.push_back({"executor-" + std::to_string(index), now_us_ - link::kOrphanGraceMs * 1000, now_us_});
  }
}

void World::Do(int index, executor::StartMachine& start) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  auto& shells = node.shells[start.profile];
  const bool shell = shells.ready > 0;
  if (shell) {
    StepLater(index, 0, executor::ShellsChanged{start.profile, --shells.ready});
    MakeShells(index, start.profile);
  }
  const auto path = shell ? StartPath::kRestore : StartPath::kBoot;
  const auto took_us = shell ? Between(30'000, 120'000) : Between(200'000, 2'500'000);
  const auto warm_up_us = start.warm_up ? Between(50'000, 200'000) : 0;
  At(took_us + warm_up_us, [this, index, life = node.life, id = start.machine, path] {
    auto& host = *executors_[static_cast<std::size_t>(index)];
    if (host.life != life) return;
    if (Happens(Fault::kStartFailure)) {
      return StepExecutor(index, executor::MachineFailed{id, "simulated"});
    }
    host.machines[id];
    guest::Hello hello;
    hello.runtimes = {"python3", "native"};
    StepExecutor(index, executor::MachineReady{id, path, hello});
  });
}

void World::Do(int index, executor::KeepShells& keep) {
  auto& shells = executors_[static_cast<std::size_t>(index)]->shells[keep.profile];
  shells.wanted = keep.count;
  if (shells.ready > shells.wanted) {
    shells.ready = shells.wanted;
    StepLater(index, 0, executor::ShellsChanged{keep.profile, shells.ready});
  }
  MakeShells(index, keep.profile);
}

void World::Do(int index, executor::DestroyMachine& destroy) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  if (const auto found = node.machines.find(destroy.machine); found != node.machines.end()) {
    for (auto& [number, box] : found->second.boxes) {
      if (box.busy) history_.executions[box.run.execution].end_us = now_us_;
    }
    node.machines.erase(found);
  }
  StepLater(index, Between(50'000, 300'000), executor::MachineDestroyed{destroy.machine});
}

void World::Do(int index, executor::SendToGuest& send) {
  Guest(index, send.machine, send.frame);
}

void World::Do(int index, executor::SendArchive& archive) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  const auto machine = node.machines.find(archive.machine);
  if (machine == node.machines.end()) return;
  machine->second.codes.insert(archive.hash.value);
  const auto sent_us = Between(100, 50'000);
  StepLater(index, sent_us, executor::ArchiveSent{archive.machine, archive.hash});
  FromGuest(index, archive.machine, {0, guest::CodeStored{archive.hash, ""}}, sent_us + Between(500, 5000));
}

void World::Do(int index, executor::LoadCode& load) {
  StepLater(index, Between(500, 5000),
            executor::CodeLoaded{load.user, load.hash, std::make_shared<const std::string>("code"), ""});
}

void World::Do(int index, executor::Publish& publish) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  std::string id;
  std::int64_t epoch = 0;
  for (const auto& [name, value, null] : publish.record->headers) {
    if (name == "hearth-id") id = value;
    if (name == "hearth-epoch") epoch = std::stoll(value);
  }
  const auto sent = sent_to_.find(id);
  if (sent != sent_to_.end() && (publish.record->topic == "hearth.reply" || publish.record->topic == kBatchResults)) {
    history_.published.push_back({id, epoch, node.seen_epoch[sent->second]});
  }
  const bool lost = Happens(Fault::kProduceLost);
  const bool late = !lost && Happens(Fault::kProduceLate);
  const bool early = options_.mutant == Mutant::kAckBeforeDurable;
  // Now and then longer than a lease: then it is taken back.
  const bool slow = Happens(Fault::kProduceSlow);
  const auto slow_us = !slow ? 0 : Between(0, 7) == 0 ? Between(5'000'000, 40'000'000) : Between(100'000, 2'000'000);
  const auto applied_us = early ? 2'000'000 : Between(500, 20'000) + slow_us;
  const auto purged = std::make_shared<bool>(false);
  const auto offset = std::make_shared<std::int64_t>(link::kNoReplyOffset);
  if (slow_us > 0) node.unsent[publish.token] = purged;  // it lies in the client until it is sent
  At(applied_us, [this, index, lost, purged, offset, token = publish.token, record = publish.record] {
    executors_[static_cast<std::size_t>(index)]->unsent.erase(token);
    if (!lost && !*purged) *offset = Append(*record);
  });
  const bool ok = !lost && !late;
  At(early ? 0 : applied_us + (late ? Between(0, 300'000) : 0),
     [this, index, life = node.life, ok, purged, offset, token = publish.token] {
       if (*purged || executors_[static_cast<std::size_t>(index)]->life != life) return;
       StepLater(index, 0,
                 executor::PublishFinished{token, ok, ok ? "" : "simulated", false, false,
                                           ok ? *offset : link::kNoReplyOffset});
     });
}

void World::Do(int index, executor::PurgePublishes&) {
  for (const auto& [token, purged] : std::exchange(executors_[static_cast<std::size_t>(index)]->unsent, {})) {
    *purged = true;
    Count(Fault::kPurged);
    StepLater(index, 0, executor::PublishFinished{token, false, "purged", true});
  }
}

// One shell of a profile at a time, in the background.
void World::MakeShells(int index, const std::string& profile) {
  auto& node = *executors_[static_cast<std::size_t>(index)];
  auto& shells = node.shells[profile];
  if (shells.making || shells.ready >= shells.wanted) return;
  shells.making = true;
  At(Between(150'000, 400'000), [this, index, profile, life = node.life] {
    auto& host = *executors_[static_cast<std::size_t>(index)];
    if (host.life != life) return;
    auto& made = host.shells[profile];
    made.making = false;
    if (Happens(Fault::kTemplateDeath)) {
      made.ready = 0;
    } else if (!Happens(Fault::kShellDeath)) {
      ++made.ready;
    }
    StepExecutor(index, executor::ShellsChanged{profile, made.ready});
    MakeShells(index, profile);
  });
}

}  // namespace hearth::simulation
