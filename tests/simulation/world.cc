// Time, the broker, and misfortune.
#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "dispatcher/core/ledger_map.h"
#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr const char* kTopics[] = {"hearth.invoke.std", "hearth.invoke.rt", "hearth.invoke.batch"};
constexpr int kGapsInThousand = 50;
constexpr std::int64_t kStepUs = 100'000;  // between two rolls of the dice

const std::string* FindHeader(const OutRecord& record, const std::string& name) {
  for (const auto& header : record.headers) {
    if (header.name == name) return &header.value;
  }
  return nullptr;
}

}  // namespace

World::World(Options options)
    : options_(options), trace_(std::getenv("HEARTH_SIMULATION_TRACE") != nullptr), random_(options.seed) {
  for (int topic = 0; topic < options_.topics; ++topic) {
    for (int i = 0; i < options_.partitions; ++i) {
      auto& partition = partitions_.emplace_back();
      partition.id = {kTopics[topic], i};
      partition.number = next_log_++;
    }
  }
  MakeBatches();
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

bool World::Chance(double in_thousand) {
  return in_thousand > 0 && Between(0, 999'999) < static_cast<std::int64_t>(in_thousand * 1000);
}

bool World::Happens(Fault fault) {
  const bool happens = Faulty() && Chance(options_.faults[fault]);
  if (happens) Count(fault);
  return happens;
}

// Ids as long as they may be.
std::string World::Padded(std::string id) const {
  if (id.size() < options_.id_bytes) id += "-" + std::string(options_.id_bytes - id.size() - 1, 'x');
  return id;
}

void World::Note(const std::string& what) {
  if (trace_) std::printf("%10lld %s\n", static_cast<long long>(now_us_), what.c_str());
  for (const char c : what + std::to_string(now_us_)) {
    fingerprint_ = (fingerprint_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
}

// A batch's partition is that which the batch lies in.
int World::IndexOf(const PartitionId& id) const {
  if (id.topic.find('/') != std::string::npos) return IndexOf({kBatches, id.partition});
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    if (partitions_[i].id == id) return static_cast<int>(i);
  }
  return -1;
}

void World::Produce(int number) {
  std::int64_t there = options_.users;
  if (options_.arrive_us > 0) there = std::min(there, 1 + now_us_ * options_.users / options_.arrive_us);
  std::int64_t who = Between(0, there - 1);
  auto function = static_cast<std::size_t>(Between(0, static_cast<std::int64_t>(options_.functions.size()) - 1));
  if (options_.flood_in_thousand > 0) {
    const bool floods = Chance(options_.flood_in_thousand);
    who = floods ? 0 : Between(1, there - 1);
    function = floods ? 0 : 1;
  }
  const auto user = Padded("user" + std::to_string(who));
  const auto topic = static_cast<int>(Between(0, options_.topics - 1));
  const auto in_topic =
      static_cast<int>(std::hash<std::string>{}(user) % static_cast<std::size_t>(options_.partitions));
  const int index = topic * options_.partitions + in_topic;
  Partition& partition = partitions_[static_cast<std::size_t>(index)];
  auto record = std::make_shared<Record>();
  record->partition = partition.id;
  record->offset = partition.end;
  if (Chance(kGapsInThousand)) record->offset += Between(1, 3);
  record->timestamp_ms = Now().wall_us / 1000;
  record->key = user;
  const auto id = Padded("inv" + std::to_string(number));
  record->headers = {{"hearth-fn", "f" + std::to_string(function)}, {"hearth-user", user}, {"hearth-id", id}};
  record->value = "in-" + id;
  if (Happens(Fault::kLargePayload)) record->value.resize(kMaxPayloadBytes, 'p');
  std::string key;
  if (options_.order_keys > 0 && Happens(Fault::kOrderKey)) {
    key = "key" + std::to_string(Between(0, options_.order_keys - 1));
    if (options_.mutant != Mutant::kForgetOrder) record->headers.push_back({"hearth-order-key", key});
  }
  if (Happens(Fault::kExpiry)) {
    record->headers.push_back({"hearth-expires", std::to_string(record->timestamp_ms + Between(50, 5'000))});
  }
  history_.sent.push_back(
      {id, user, partition.number, record->offset, key, options_.functions[function].max_attempts, now_us_});
  sent_to_[id] = partition.id;
  open_.insert(id);
  partition.log.push_back(record);
  partition.end = record->offset + 1;
  if (Happens(Fault::kControlRecords)) partition.end += Between(1, 3);
  ++produced_;
  PumpAll(index);
}

// The topic is deleted and made again: whoever read it loses it and gets it anew.
void World::MakeAnew(int topic) {
  Count(Fault::kTopicMadeAnew);
  Note("topic made anew");
  for (int i = 0; i < options_.dispatchers; ++i) {
    auto& node = *dispatchers_[static_cast<std::size_t>(i)];
    for (int k = topic * options_.partitions; k < (topic + 1) * options_.partitions; ++k) {
      if (node.readers.erase(k) == 0) continue;
      Count(Fault::kLostPartition);
      StepDispatcher(i, dispatcher::PartitionRevoked{partitions_[static_cast<std::size_t>(k)].id, true});
    }
  }
  for (int k = topic * options_.partitions; k < (topic + 1) * options_.partitions; ++k) {
    Partition& partition = partitions_[static_cast<std::size_t>(k)];
    history_.deleted.insert(partition.number);
    for (const auto& sent : history_.sent) {
      if (sent.partition == partition.number) open_.erase(sent.id);
    }
    partition.number = next_log_++;
    partition.log.clear();
    partition.start = partition.end = 0;
    partition.committed = 0;
    partition.metadata.clear();
  }
  Rebalance();
}

// An operator stops all dispatchers and sets the group back.
void World::SetBack() {
  // What is on its way to an executor is not to be taken for what runs again: nothing may be stuck.
  const bool frozen = std::any_of(executors_.begin(), executors_.end(), [](const auto& each) { return each->frozen; });
  if (frozen || !stale_.empty() || std::exchange(set_back_, true)) return;
  Count(Fault::kOffsetsSetBack);
  Note("offsets set back");
  for (int i = 0; i < options_.dispatchers; ++i) {
    if (dispatchers_[static_cast<std::size_t>(i)]->core != nullptr) StopDispatcher(i, false);
  }
  ++generation_;
  constexpr std::int64_t kOnItsWayUs = 100'000;
  constexpr std::int64_t kOperatorUs = 3'000'000;  // what executors were publishing is answered by then
  down_until_us_ = now_us_ + kOperatorUs + kOnItsWayUs;
  At(kOperatorUs, [this] {
    for (auto& partition : partitions_) {
      partition.owner = -1;
      partition.committed = std::max<std::int64_t>(0, partition.committed - Between(0, 10));
      partition.metadata.clear();
      history_.set_backs.push_back(
          {partition.number, partition.committed, now_us_, history_.outcomes.size(), history_.commits.size()});
      for (const auto& sent : history_.sent) {
        const bool there = !sent.item && sent.partition == partition.number && sent.offset >= partition.start;
        if (there && sent.offset >= partition.committed) open_.insert(sent.id);
      }
    }
  });
}

void World::Retain() {
  const auto index = static_cast<int>(Between(0, static_cast<std::int64_t>(partitions_.size()) - 1));
  Partition& partition = partitions_[static_cast<std::size_t>(index)];
  if (partition.id.topic == kBatches) return RetainItems(partition.id.partition);  // which is compacted itself
  const auto gone = static_cast<std::size_t>(std::min<std::int64_t>(Between(1, 5), std::ssize(partition.log)));
  if (gone == 0) return;
  Count(Fault::kRetention);
  Note("retention");
  const auto left = partition.log.begin() + static_cast<std::ptrdiff_t>(gone);
  partition.start = left == partition.log.end() ? partition.end : (*left)->offset;
  partition.log.erase(partition.log.begin(), left);
  for (const auto& sent : history_.sent) {
    if (sent.item || sent.partition != partition.number || sent.offset >= partition.start) continue;
    history_.removed.insert({sent.partition, sent.offset});
    open_.erase(sent.id);
  }
  for (const auto& node : dispatchers_) {
    const auto reader = node->readers.find(index);
    if (reader == node->readers.end()) continue;
    reader->second.unread_removed = reader->second.unread_removed || reader->second.position < gone;
    reader->second.position -= std::min(reader->second.position, gone);
  }
}

std::shared_ptr<const Function> World::MakeFunction(int user, std::size_t number) const {
  const auto& plan = options_.functions[number];
  auto function = std::make_shared<Function>();
  function->user = UserId(Padded("user" + std::to_string(user)));
  function->name = FunctionName("f" + std::to_string(number));
  const auto version = versions_.find({function->user.value, function->name.value});
  function->version = version == versions_.end() ? 1 : version->second;
  function->code = CodeHash(std::string(64, static_cast<char>('a' + function->version % 20)));
  function->code_bytes = 4;
  function->handler = "m.f";
  function->memory_mib = plan.memory_mib;
  function->timeout_ms = plan.timeout_ms;
  function->max_attempts = options_.mutant == Mutant::kTryAgain ? 3 : plan.max_attempts;
  function->profile = plan.profile;
  function->concurrency = plan.concurrency;
  return function;
}

void World::DeployNewVersion() {
  Count(Fault::kNewVersion);
  const auto user = static_cast<int>(Between(0, options_.users - 1));
  const auto number = static_cast<std::size_t>(Between(0, static_cast<std::int64_t>(options_.functions.size()) - 1));
  auto& version = versions_[{Padded("user" + std::to_string(user)), "f" + std::to_string(number)}];
  version = std::max<std::int64_t>(version, 1) + 1;
  if (options_.batches > 0) version = Now().wall_us / 1000;  // what is wished later is told by it
  // A compacted topic: whoever reads later reads the newest.
  for (int i = 0; i < options_.dispatchers; ++i) {
    At(Between(0, 500'000),
       [this, i, user, number] { StepDispatcher(i, dispatcher::FunctionUpdated{MakeFunction(user, number)}); });
  }
  for (int i = 0; i < options_.executors; ++i) {
    At(Between(0, 500'000),
       [this, i, user, number] { StepExecutor(i, executor::FunctionUpdated{MakeFunction(user, number)}); });
  }
}

std::int64_t World::Append(const OutRecord& record, bool deposed) {
  if (record.topic == kBatches || record.topic == kBatchState) return AppendToBatches(record);
  const auto* id = FindHeader(record, "hearth-id");
  if (id == nullptr) return -1;  // usage
  Note(record.topic + *id);
  Outcome outcome;
  outcome.id = *id;
  outcome.dead_letter = record.topic == "hearth.dead-letter";
  if (const auto* status = FindHeader(record, "hearth-status")) outcome.status = *status;
  if (const auto* path = FindHeader(record, "hearth-start-path")) outcome.path = *path;
  const auto* error = FindHeader(record, "hearth-error-type");
  outcome.given_up =
      outcome.status == "poison" || outcome.status == "expired" || (error != nullptr && *error == "attempt_lost");
  outcome.deposed = deposed;
  outcome.at_us = now_us_;
  outcome.output = outcome.dead_letter ? "" : record.value;
  if (options_.mutant == Mutant::kDropReply && Chance(50)) return -1;
  history_.outcomes.push_back(outcome);
  open_.erase(outcome.id);
  if (options_.mutant == Mutant::kDifferentTwin && !outcome.dead_letter && Chance(50)) {
    outcome.output += "?";
    history_.outcomes.push_back(outcome);
  }
  return AppendResult(record);
}

void World::Misfortune() {
  if (!Faulty()) return;
  constexpr double kThousandthsPerStep = 1000.0 * static_cast<double>(kStepUs) / 1'000'000.0;
  const auto rolls = [&](Fault fault) { return Chance(options_.faults[fault] * kThousandthsPerStep); };
  for (int i = 0; i < options_.dispatchers; ++i) {
    auto& node = *dispatchers_[static_cast<std::size_t>(i)];
    if (node.core == nullptr || node.frozen) continue;
    if (rolls(Fault::kDispatcherCrash)) {
      Count(Fault::kDispatcherCrash);
      StopDispatcher(i, false);
    } else if (rolls(Fault::kDrain)) {
      Count(Fault::kDrain);
      node.draining = true;
      StepDispatcher(i, dispatcher::DrainRequested{});
    } else if (rolls(Fault::kFrozenDispatcher)) {
      FreezeDispatcher(i);
    } else if (rolls(Fault::kDeposedOwner)) {
      Depose(i);
      At(Between(1'000'000, 8'000'000), [this, i] { Rejoin(i); });
    } else if (rolls(Fault::kSessionLost) && !node.deposed) {
      Count(Fault::kSessionLost);
      LosePartitions(i);
      Rebalance();
    }
  }
  for (int i = 0; i < options_.executors; ++i) {
    auto& executor = *executors_[static_cast<std::size_t>(i)];
    if (executor.core == nullptr) continue;
    if (rolls(Fault::kBlackout)) BlackOut(i);
    if (rolls(Fault::kDeafExecutor)) Deafen(i);
    for (const auto what : {Fault::kMemoryShort, Fault::kProcessorShort}) {
      if (rolls(what)) MakeShort(i, what);
    }
    if (rolls(Fault::kFrozenExecutor) && !executor.frozen && now_us_ >= down_until_us_) FreezeExecutor(i);
    if (rolls(Fault::kExecutorCrash)) {
      Count(Fault::kExecutorCrash);
      StopExecutor(i);
      continue;
    }
    if (!executor.machines.empty() && rolls(Fault::kMachineDeath)) {
      Count(Fault::kMachineDeath);
      auto victim = executor.machines.begin();
      std::advance(victim, Between(0, static_cast<std::int64_t>(executor.machines.size()) - 1));
      KillRuns(victim->second);
      const MachineId id = victim->first;
      executor.machines.erase(victim);
      StepExecutor(i, executor::MachineLost{id, "simulated death"});
    }
  }
  std::vector<std::uint64_t> open;
  for (const auto& [id, connection] : connections_) open.push_back(id);
  for (const auto id : open) {
    if (connections_.contains(id) && rolls(Fault::kLinkBreak)) {
      Count(Fault::kLinkBreak);
      Disconnect(id);
    }
    if (connections_.contains(id) && !stale_.contains(id) && rolls(Fault::kStalledLink)) Stall(id);
  }
  if (rolls(Fault::kRebalance)) {
    Count(Fault::kRebalance);
    Rebalance();
  }
  if (rolls(Fault::kTopicMadeAnew)) MakeAnew(static_cast<int>(Between(0, options_.topics - 1)));
  if (rolls(Fault::kOffsetsSetBack)) SetBack();
  if (rolls(Fault::kRetention)) Retain();
  if (rolls(Fault::kNewVersion)) DeployNewVersion();
  At(kStepUs, [this] { Misfortune(); });
}

bool World::Over() const {
  if (produced_ < options_.invocations || !open_.empty() || Faulty()) return false;
  return BatchesAreOver() && std::all_of(partitions_.begin(), partitions_.end(), [](const Partition& partition) {
           return partition.committed >= partition.end;
         });
}

History World::Run() {
  for (int i = 0; i < options_.executors; ++i) StartExecutor(i);
  for (int i = 0; i < options_.dispatchers; ++i) StartDispatcher(i);
  for (int i = 0; i < options_.invocations; ++i) {
    At(Between(0, options_.load_us), [this, i] { Produce(i); });
  }
  StartBatches();
  At(kStepUs, [this] { Misfortune(); });
  while (!heap_.empty() && now_us_ < options_.limit_us && !Over()) {
    auto due = heap_.top();
    heap_.pop();
    now_us_ = due.at_us;
    due.work();
  }
  history_.quiescent = Over();
  for (const auto& [pair, last_us] : acknowledged_) NoteAcknowledgement(pair.first, pair.second, last_us);
  for (const auto& each : dispatchers_) {
    if (each->core == nullptr) continue;
    const auto gauges = each->core->ReadGauges(Now());
    history_.balances.push_back({gauges.received, gauges.in_flight, gauges.complete});
    history_.missed_wakeups += gauges.missed_wakeups;
  }
  return history_;
}

}  // namespace hearth::simulation
