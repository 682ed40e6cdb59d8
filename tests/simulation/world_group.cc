// The consumer group: who owns which partition, who believes so, and what the broker accepts.
#include <algorithm>

#include "dispatcher/core/ledger_map.h"
#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr std::int64_t kMostRecordsTold = 4;  // in one step

}  // namespace

void World::Pump(int index, int number) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  const auto found = node.readers.find(number);
  if (found == node.readers.end() || !found->second.told || found->second.pumping || node.frozen) return;
  if (node.paused.contains(number)) return;
  const Partition& log = partitions_[static_cast<std::size_t>(number)];
  if (found->second.position >= log.log.size() && found->second.caught_up >= log.end) return;
  found->second.pumping = true;
  At(Between(100, 2000), [this, index, number, life = node.life, serial = found->second.serial] {
    auto& reader = *dispatchers_[static_cast<std::size_t>(index)];
    const auto at = reader.readers.find(number);
    if (reader.life != life || at == reader.readers.end() || at->second.serial != serial) return;
    at->second.pumping = false;
    if (reader.frozen || reader.paused.contains(number)) return;
    const Partition& partition = partitions_[static_cast<std::size_t>(number)];
    auto& reading = at->second;
    if (std::exchange(reading.unread_removed, false)) {
      Count(Fault::kUnreadRemoved);
      StepDispatcher(index, dispatcher::LogStartMoved{partition.id, partition.start});
    } else if (reading.position < partition.log.size()) {
      const auto most = static_cast<std::size_t>(Between(1, kMostRecordsTold));
      const std::size_t end = std::min(partition.log.size(), reading.position + most);
      dispatcher::RecordsReceived told;
      for (; reading.position < end; ++reading.position) {
        told.records.push_back(partition.log[reading.position]);
        if (told.records.back()->offset >= reading.log_end) Count(Fault::kNewToTheOwner);
      }
      StepDispatcher(index, std::move(told));
    } else if (reading.caught_up < partition.end) {
      reading.caught_up = partition.end;
      StepDispatcher(index, dispatcher::CaughtUp{partition.id, partition.end});
    }
    Pump(index, number);
  });
}

void World::PumpAll(int partition) {
  for (int i = 0; i < options_.dispatchers; ++i) Pump(i, partition);
}

void World::Assign(int index, int number) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  Partition& partition = partitions_[static_cast<std::size_t>(number)];
  partition.owner = index;
  history_.takeovers.push_back({partition.number, now_us_});
  const auto serial = ++sequence_;
  node.readers[number] = {.serial = serial};
  ForgetPlaced(index);
  if (!Happens(Fault::kLateAssignment)) return TellAssigned(index, number, serial);
  At(Between(1'000, 5'000'000), [this, index, number, serial] { TellAssigned(index, number, serial); });
}

void World::TellAssigned(int index, int number, std::uint64_t serial) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  const auto reader = node.readers.find(number);
  if (reader == node.readers.end() || reader->second.serial != serial) return;
  const Partition& partition = partitions_[static_cast<std::size_t>(number)];
  if (node.paused.contains(number)) Count(Fault::kPausedReturn);
  const bool has_batches = partition.id.topic == kBatches;  // it is read from its start
  const std::int64_t position = has_batches ? 0 : dispatcher::IntakePosition(partition.committed, partition.metadata);
  if (position > partition.committed) Count(Fault::kUnreadAtTakeOver);
  const auto at = std::lower_bound(partition.log.begin(), partition.log.end(), position,
                                   [](const auto& record, std::int64_t offset) { return record->offset < offset; });
  reader->second.position = static_cast<std::size_t>(at - partition.log.begin());
  reader->second.told = true;
  reader->second.log_end = partition.end;
  reader->second.unread_removed = position < partition.start;
  StepDispatcher(index,
                 dispatcher::PartitionAssigned{partition.id, partition.committed, partition.metadata, partition.end});
  Pump(index, number);
}

// Whoever does not answer the group in time is left out, and hears of it later.
void World::Rebalance() {
  std::vector<int> members;
  for (int i = 0; i < options_.dispatchers; ++i) {
    auto& node = *dispatchers_[static_cast<std::size_t>(i)];
    if (node.core == nullptr) continue;
    if (node.frozen && !node.readers.empty()) {
      if (!std::exchange(node.deposed, true)) Count(Fault::kDeposedOwner);
    }
    if (node.frozen || node.deposed || node.draining) continue;
    members.push_back(i);
  }
  for (int i = 0; i < options_.dispatchers; ++i) {
    auto& node = *dispatchers_[static_cast<std::size_t>(i)];
    if (node.core == nullptr || node.frozen || node.deposed) continue;
    for (const auto& [number, reader] : std::exchange(node.readers, {})) {
      StepDispatcher(i, dispatcher::PartitionRevoked{partitions_[static_cast<std::size_t>(number)].id, false});
    }
  }
  ++generation_;
  for (auto& partition : partitions_) partition.owner = -1;
  if (members.empty()) return;
  for (const int member : members) dispatchers_[static_cast<std::size_t>(member)]->generation = generation_;
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    Assign(members[(i + generation_) % members.size()], static_cast<int>(i));
  }
}

void World::Depose(int index) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (node.core == nullptr || node.deposed || node.readers.empty()) return;
  Note("depose " + std::to_string(index));
  node.deposed = true;
  Count(Fault::kDeposedOwner);
  Rebalance();
}

void World::NoteDeposed(const link::Exec& exec) {
  history_.placed_after_loss.insert(exec.id.value);
  const int number = IndexOf(exec.ref.partition);
  const int owner = partitions_[static_cast<std::size_t>(number)].owner;
  if (owner < 0) return;
  const auto& readers = dispatchers_[static_cast<std::size_t>(owner)]->readers;
  const auto reader = readers.find(number);
  const bool told = reader != readers.end() && reader->second.told;
  const std::int64_t offset = exec.item ? AcceptedAt(exec) : exec.ref.offset;
  if (told && offset >= reader->second.log_end) history_.placed_by_deposed.insert(exec.id.value);
}

void World::LosePartitions(int index) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  for (const auto& [number, reader] : std::exchange(node.readers, {})) {
    Count(Fault::kLostPartition);
    StepDispatcher(index, dispatcher::PartitionRevoked{partitions_[static_cast<std::size_t>(number)].id, true});
  }
}

void World::Rejoin(int index) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  if (node.core == nullptr || node.frozen || !node.deposed) return;
  LosePartitions(index);
  node.deposed = false;
  Rebalance();
}

void World::Apply(PendingCommit& pending) {
  if (std::exchange(pending.applied, true)) return;
  Partition& partition = partitions_[static_cast<std::size_t>(IndexOf(pending.commit.partition))];
  const bool valid =
      partition.owner == pending.dispatcher && pending.generation == generation_ && partition.number == pending.log;
  if (!valid) Count(Fault::kRefusedCommit);
  if (!valid || pending.lost) return;
  pending.ok = !pending.late;
  partition.committed = pending.commit.offset;
  if (options_.mutant == Mutant::kCommitEarly && Chance(100)) partition.committed += 2;
  partition.metadata = pending.commit.metadata;
  Committed committed{partition.number, partition.committed, {}, history_.outcomes.size()};
  if (auto map = dispatcher::DecodeLedgerMap(pending.commit.metadata)) {
    for (std::int64_t i = 0; i < map->span; ++i) {
      if (map->Claims(i)) committed.complete_above.push_back(pending.commit.offset + i);
    }
  }
  history_.commits.push_back(std::move(committed));
}

// A commit of a process that dies now is on its way all the same.
void World::SendCommit(int index, const dispatcher::Commit& commit) {
  auto& node = *dispatchers_[static_cast<std::size_t>(index)];
  auto pending = std::make_shared<PendingCommit>();
  pending->dispatcher = index;
  pending->commit = commit;
  pending->generation = node.generation;
  pending->log = partitions_[static_cast<std::size_t>(IndexOf(commit.partition))].number;
  pending->lost = Happens(Fault::kCommitLost);
  pending->late = !pending->lost && Happens(Fault::kCommitLate);
  const auto answer = [this, index, life = node.life, pending] {
    if (dispatchers_[static_cast<std::size_t>(index)]->life != life) return;
    StepDispatcher(index, dispatcher::CommitFinished{pending->commit.partition, pending->commit.epoch, pending->ok,
                                                     pending->ok ? "" : "simulated"});
  };
  if (commit.sync) {  // what was sent before goes first
    for (const auto& earlier : std::exchange(node.commits, {})) Apply(*earlier);
    Apply(*pending);
    return answer();
  }
  const auto slow_us = Happens(Fault::kCommitSlow) ? Between(200'000, 3'000'000) : 0;
  node.commit_at_us = std::max(node.commit_at_us + 1, now_us_ + Between(500, 10'000) + slow_us);
  node.commits.push_back(pending);
  At(node.commit_at_us - now_us_, [this, index, pending] {
    Apply(*pending);
    auto& commits = dispatchers_[static_cast<std::size_t>(index)]->commits;
    if (!commits.empty() && commits.front() == pending) commits.pop_front();
  });
  At(node.commit_at_us - now_us_ + Between(0, 5'000) + (pending->late ? Between(0, 500'000) : 0), answer);
}

}  // namespace hearth::simulation
