// Time, the broker, and misfortune.
#include "tests/simulation/world.h"

#include <algorithm>

#include "dispatcher/core/ledger_map.h"
#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr const char* kTopic = "hearth.invoke.std";
constexpr int kGapsInThousand = 50;
constexpr std::int64_t kStepUs = 100'000;  // between two rolls of the dice

const std::string* FindHeader(const OutRecord& record, const std::string& name) {
  for (const auto& header : record.headers) {
    if (header.name == name) return &header.value;
  }
  return nullptr;
}

}  // namespace

World::World(Options options) : options_(options), random_(options.seed) {
  partitions_.resize(static_cast<std::size_t>(options_.partitions));
  for (int i = 0; i < options_.dispatchers; ++i) dispatchers_.push_back(std::make_unique<Dispatcher>());
  for (int i = 0; i < options_.executors; ++i) executors_.push_back(std::make_unique<Executor>());
}
World::~World() = default;

void World::At(std::int64_t delay_us, std::function<void()> work) {
  heap_.push({now_us_ + delay_us, ++sequence_, std::move(work)});
}

// Not std::uniform_int_distribution: its results may differ between libraries.
std::int64_t World::Between(std::int64_t least, std::int64_t most) {
  return least + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most - least + 1));
}

bool World::Chance(int in_thousand) {
  return Between(0, 999) < in_thousand;
}

void World::Note(const std::string& what) {
  for (const char c : what + std::to_string(now_us_)) {
    fingerprint_ = (fingerprint_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
}

void World::Produce(int number) {
  std::int64_t there = options_.users;
  if (options_.arrive_us > 0) there = std::min(there, 1 + now_us_ * options_.users / options_.arrive_us);
  const auto user = "user" + std::to_string(Between(0, there - 1));
  const auto index = static_cast<std::int32_t>(std::hash<std::string>{}(user) % partitions_.size());
  Partition& partition = partitions_[static_cast<std::size_t>(index)];
  auto record = std::make_shared<Record>();
  record->partition = {kTopic, index};
  record->offset = partition.log.empty() ? 0 : partition.log.back()->offset + 1;
  if (Chance(kGapsInThousand)) record->offset += Between(1, 3);
  record->timestamp_ms = Now().wall_us / 1000;
  record->key = user;
  const auto id = "inv" + std::to_string(number);
  record->headers = {{"hearth-fn", "f"}, {"hearth-user", user}, {"hearth-id", id}};
  record->value = "in-" + id;
  history_.sent.push_back({id, user, index, record->offset});
  sent_to_[id] = index;
  partition.log.push_back(record);
  ++produced_;
  Pump(index);
}

void World::Pump(int index) {
  Partition& partition = partitions_[static_cast<std::size_t>(index)];
  if (partition.pumping || partition.owner < 0 || partition.paused) return;
  if (partition.position >= static_cast<std::int64_t>(partition.log.size())) return;
  partition.pumping = true;
  At(Between(100, 2000), [this, index, generation = generation_] {
    Partition& from = partitions_[static_cast<std::size_t>(index)];
    if (generation != generation_) return;  // the rebalance has started a new one
    from.pumping = false;
    if (from.owner < 0 || from.paused || dispatchers_[static_cast<std::size_t>(from.owner)]->core == nullptr) return;
    const auto record = from.log[static_cast<std::size_t>(from.position++)];
    StepDispatcher(from.owner, dispatcher::RecordReceived{record});
    Pump(index);
  });
}

void World::Rebalance() {
  for (int i = 0; i < options_.partitions; ++i) {
    Partition& partition = partitions_[static_cast<std::size_t>(i)];
    const int owner = partition.owner;
    if (owner >= 0 && dispatchers_[static_cast<std::size_t>(owner)]->core != nullptr) {
      StepDispatcher(owner, dispatcher::PartitionRevoked{{kTopic, i}, false});
    }
  }
  ++generation_;
  std::vector<int> alive;
  for (int i = 0; i < options_.dispatchers; ++i) {
    if (dispatchers_[static_cast<std::size_t>(i)]->core != nullptr) alive.push_back(i);
  }
  for (int i = 0; i < options_.partitions; ++i) {
    Partition& partition = partitions_[static_cast<std::size_t>(i)];
    partition.owner = alive.empty() ? -1 : alive[static_cast<std::size_t>(i) % alive.size()];
    partition.paused = false;
    partition.pumping = false;
    if (partition.owner < 0) continue;
    const auto at = std::lower_bound(partition.log.begin(), partition.log.end(), partition.committed,
                                     [](const auto& record, std::int64_t offset) { return record->offset < offset; });
    partition.position = at - partition.log.begin();
    StepDispatcher(partition.owner,
                   dispatcher::PartitionAssigned{{kTopic, i}, partition.committed, partition.metadata});
    Pump(i);
  }
}

void World::Append(const OutRecord& record) {
  const auto* id = FindHeader(record, "hearth-id");
  if (id == nullptr) return;  // usage
  Note(record.topic + *id);
  Outcome outcome;
  outcome.id = *id;
  outcome.dead_letter = record.topic == "hearth.dead-letter";
  if (const auto* status = FindHeader(record, "hearth-status")) outcome.status = *status;
  if (const auto* path = FindHeader(record, "hearth-start-path")) outcome.path = *path;
  outcome.at_us = now_us_;
  outcome.output = outcome.dead_letter ? "" : record.value;
  if (options_.mutant == Mutant::kDropReply && Chance(50)) return;
  history_.outcomes.push_back(outcome);
  ended_.insert(outcome.id);
  if (options_.mutant == Mutant::kDifferentTwin && !outcome.dead_letter && Chance(50)) {
    outcome.output += "?";
    history_.outcomes.push_back(outcome);
  }
}

void World::Misfortune() {
  if (now_us_ >= options_.load_us) return;
  const auto rolls = [&](double rate) { return Chance(static_cast<int>(rate * 100)); };  // per tenth of a second
  for (int i = 0; i < options_.dispatchers; ++i) {
    if (dispatchers_[static_cast<std::size_t>(i)]->core != nullptr && rolls(options_.faults.dispatcher_crash))
      StopDispatcher(i);
  }
  for (int i = 0; i < options_.executors; ++i) {
    auto& executor = *executors_[static_cast<std::size_t>(i)];
    if (executor.core == nullptr) continue;
    if (rolls(options_.faults.executor_crash)) {
      StopExecutor(i);
      continue;
    }
    if (!executor.machines.empty() && rolls(options_.faults.machine_death)) {
      auto victim = executor.machines.begin();
      std::advance(victim, Between(0, static_cast<std::int64_t>(executor.machines.size()) - 1));
      for (auto& [number, box] : victim->second.boxes) {
        if (box.busy) history_.executions[box.run.execution].end_us = now_us_;
      }
      const InstanceId id = victim->first;
      executor.machines.erase(victim);
      StepExecutor(i, executor::MachineLost{id, "simulated death"});
    }
  }
  std::vector<std::uint64_t> open;
  for (const auto& [id, connection] : connections_) open.push_back(id);
  for (const auto id : open) {
    if (connections_.contains(id) && rolls(options_.faults.link_break)) Disconnect(id);
  }
  At(kStepUs, [this] { Misfortune(); });
}

bool World::Over() const {
  if (produced_ < options_.invocations) return false;
  if (ended_.size() < history_.sent.size()) return false;
  return std::all_of(partitions_.begin(), partitions_.end(), [](const Partition& partition) {
    return partition.log.empty() || partition.committed > partition.log.back()->offset;
  });
}

History World::Run() {
  for (int i = 0; i < options_.executors; ++i) StartExecutor(i);
  for (int i = 0; i < options_.dispatchers; ++i) StartDispatcher(i);
  for (int i = 0; i < options_.invocations; ++i) {
    At(Between(0, options_.load_us), [this, i] { Produce(i); });
  }
  At(kStepUs, [this] { Misfortune(); });
  while (!heap_.empty() && now_us_ < options_.limit_us && !Over()) {
    auto due = heap_.top();
    heap_.pop();
    now_us_ = due.at_us;
    due.work();
  }
  history_.quiescent = Over();
  for (const auto& each : dispatchers_) {
    if (each->core == nullptr) continue;
    const auto gauges = each->core->ReadGauges(Now());
    history_.balances.push_back({gauges.received, gauges.in_flight, gauges.complete});
  }
  return history_;
}

}  // namespace hearth::simulation
