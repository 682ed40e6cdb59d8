// Simulated dispatchers and their connections.
#include <algorithm>

#include "dispatcher/core/ledger_map.h"
#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr const char* kTopic = "hearth.invoke.std";
constexpr std::int64_t kDispatcherTickUs = 25'000;

}  // namespace

void World::StartDispatcher(int index) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  dispatcher::Settings settings;
  settings.id = DispatcherId("dispatcher-" + std::to_string(index));
  settings.request_topics = {{kTopic, dispatcher::RequestClass::kStandard}};
  settings.reply_topics_allowed = {"hearth.reply"};
  settings.retry_base_ms = 200;
  settings.seed = options_.seed;
  node.core = std::make_unique<dispatcher::Core>(settings);
  ++node.life;
  for (int user = 0; user < options_.users; ++user) {
    auto function = std::make_shared<Function>();
    function->user = UserId("user" + std::to_string(user));
    function->name = FunctionName("f");
    function->version = 1;
    function->code = CodeHash(std::string(64, 'a'));
    function->code_bytes = 4;
    function->handler = "m.f";
    function->memory_mib = 128;
    StepDispatcher(index, dispatcher::FunctionUpdated{function});
  }
  for (int executor = 0; executor < options_.executors; ++executor) Connect(index, executor);
  TickDispatcher(index, node.life);
  Rebalance();
}

void World::StopDispatcher(int index) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  Note("stop dispatcher " + std::to_string(index));
  node.core.reset();
  node.events.clear();
  ++node.life;
  for (auto& partition : partitions_) {
    if (partition.owner == index) partition.owner = -1;
  }
  std::vector<std::uint64_t> mine;
  for (const auto& [id, connection] : connections_) {
    if (connection.dispatcher == index) mine.push_back(id);
  }
  for (const auto id : mine) Disconnect(id);
  At(Between(500'000, 5'000'000), [this, index] { StartDispatcher(index); });
}

void World::TickDispatcher(int index, std::uint64_t life) {
  At(kDispatcherTickUs, [this, index, life] {
    auto& node = *dispatchers_[static_cast<std::size_t>(index)];
    if (node.core == nullptr || node.life != life) return;
    StepDispatcher(index, dispatcher::Tick{});
    TickDispatcher(index, life);
  });
}

void World::StepDispatcher(int index, const dispatcher::Event& event) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (node.core == nullptr) return;
  node.events.push_back(event);
  if (node.stepping) return;
  node.stepping = true;
  std::vector<dispatcher::Effect> effects;
  while (!node.events.empty()) {
    const auto next = std::move(node.events.front());
    node.events.pop_front();
    effects.clear();
    node.core->Step(next, Now(), effects);
    for (auto& effect : effects) Do(index, effect);
  }
  node.stepping = false;
}

void World::Do(int index, dispatcher::Effect& effect) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (auto* send = std::get_if<dispatcher::SendToExecutor>(&effect)) {
    for (auto& [id, connection] : connections_) {
      if (connection.dispatcher != index || "executor-" + std::to_string(connection.executor) != send->executor.value)
        continue;
      connection.to_executor_us = std::max(now_us_ + Between(20, 3000), connection.to_executor_us + 1);
      At(connection.to_executor_us - now_us_, [this, link = id, message = std::move(send->message)] {
        const auto found = connections_.find(link);
        if (found == connections_.end()) return;
        auto& executor = *executors_[static_cast<std::size_t>(found->second.executor)];
        if (const auto* fence = std::get_if<link::Fence>(&message)) {
          auto& seen = executor.seen_epoch[fence->partition.partition];
          seen = std::max(seen, fence->epoch);
          if (options_.mutant == Mutant::kForgetEpoch) return;
        }
        StepExecutor(found->second.executor, executor::DispatcherMessage{link, message});
      });
      return;
    }
  } else if (auto* produce = std::get_if<dispatcher::Produce>(&effect)) {
    At(Between(500, 20'000),
       [this, index, life = node.life, token = produce->token, record = std::move(produce->record)] {
         const bool fails = now_us_ < options_.load_us && Chance(options_.faults.produce_failure);
         if (!fails) Append(record);
         if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
         StepDispatcher(index, dispatcher::ProduceFinished{token, !fails, fails ? "simulated" : ""});
       });
  } else if (auto* commit = std::get_if<dispatcher::Commit>(&effect)) {
    const auto apply = [this, index, commit = *commit, life = node.life, generation = generation_] {
      if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
      Partition& partition = partitions_[static_cast<std::size_t>(commit.partition.partition)];
      const bool ok = partition.owner == index && generation == generation_;
      if (ok) {
        partition.committed = commit.offset;
        if (options_.mutant == Mutant::kCommitEarly && Chance(100)) partition.committed += 2;
        partition.metadata = commit.metadata;
        Committed committed{commit.partition.partition, partition.committed, {}, history_.outcomes.size()};
        if (auto map = dispatcher::DecodeLedgerMap(commit.metadata)) {
          for (std::int64_t i = 0; i < map->span; ++i) {
            if (map->Claims(i)) committed.complete_above.push_back(commit.offset + i);
          }
        }
        history_.commits.push_back(std::move(committed));
      }
      StepDispatcher(index,
                     dispatcher::CommitFinished{commit.partition, commit.epoch, ok, ok ? "" : "illegal generation"});
    };
    if (commit->sync) {
      apply();
    } else {
      At(Between(500, 10'000), apply);
    }
  } else if (auto* pause = std::get_if<dispatcher::PauseIntake>(&effect)) {
    partitions_[static_cast<std::size_t>(pause->partition.partition)].paused = true;
  } else if (auto* resume = std::get_if<dispatcher::ResumeIntake>(&effect)) {
    partitions_[static_cast<std::size_t>(resume->partition.partition)].paused = false;
    Pump(resume->partition.partition);
  } else if (auto* load = std::get_if<dispatcher::LoadUser>(&effect)) {
    At(Between(100, 1000), [this, index, life = node.life, user = load->user] {
      if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
      StepDispatcher(index, dispatcher::UserLoaded{user, {}});
      StepDispatcher(index, dispatcher::UserShared{user, options_.dispatchers > 1});
    });
  } else if (auto* claim = std::get_if<dispatcher::ClaimSlot>(&effect)) {
    if (Chance(50)) return;  // Redis says nothing: the core goes on by itself
    At(Between(100, 5000), [this, index, life = node.life, claim = *claim] {
      if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
      auto& [since_ms, holder] = claims_[claim.container.value];
      const bool granted = claim.since_ms > since_ms || holder == index;
      if (granted) std::tie(since_ms, holder) = std::pair(claim.since_ms, index);
      StepDispatcher(index,
                     dispatcher::SlotClaimed{claim.user, claim.executor, claim.container, claim.since_ms, granted});
    });
  }
}

void World::Connect(int dispatcher, int executor) {
  if (dispatchers_[static_cast<std::size_t>(dispatcher)]->core == nullptr) return;
  if (executors_[static_cast<std::size_t>(executor)]->core == nullptr) return;
  for (const auto& [id, connection] : connections_) {
    if (connection.dispatcher == dispatcher && connection.executor == executor) return;
  }
  const auto link = next_connection_++;
  connections_.emplace(link, Connection{dispatcher, executor, false, 0, 0});
  StepExecutor(executor, executor::DispatcherConnected{link, DispatcherId("dispatcher-" + std::to_string(dispatcher))});
}

void World::Disconnect(std::uint64_t link) {
  const auto node = connections_.extract(link);
  if (node.empty()) return;
  const Connection connection = node.mapped();
  Note("disconnect " + std::to_string(link));
  if (connection.greeted) {
    StepDispatcher(connection.dispatcher,
                   dispatcher::ExecutorDisconnected{ExecutorId("executor-" + std::to_string(connection.executor))});
  }
  StepExecutor(connection.executor, executor::DispatcherDisconnected{link});
  At(Between(100'000, 2'000'000), [this, connection] { Connect(connection.dispatcher, connection.executor); });
}

}  // namespace hearth::simulation
