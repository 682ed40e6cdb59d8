// Owning partitions: epochs, fences, commits, back-pressure.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {

void Core::State::On(const PartitionAssigned& event) {
  if (Partition* old = Find(event.partition)) Forget(*old);  // a new epoch starts with a new ledger
  const auto topic = context_.settings().request_topics.find(event.partition.topic);
  auto owned = std::make_unique<Partition>();
  Partition& partition = *owned;
  partition.id = event.partition;
  if (topic != context_.settings().request_topics.end()) partition.request_class = topic->second;
  LedgerMap map;
  if (!event.metadata.empty()) {
    // What cannot be read claims nothing: records repeat, none is lost.
    if (auto decoded = DecodeLedgerMap(event.metadata)) {
      map = std::move(*decoded);
    } else {
      NotePartition(Trace::Kind::kFenced, partition, "unreadable_map");
    }
  }
  std::int64_t& highest = highest_epochs[event.partition];  // whatever is reset, it does not fall
  highest = std::max(highest, map.epoch) + 1;
  partition.epoch = highest;
  partition.generation = map.generation;
  partition.witness_offset = event.committed;
  partition.witness_ms = map.witness_ms;
  partition.former_end = event.log_end;
  partition.ledger = Ledger(event.committed, std::move(map));
  partitions[event.partition] = std::move(owned);
  if (partition.generation == 0) partition.generation = NewGeneration();
  // The client may remember a pause of an earlier ownership.
  if (context_.draining()) {
    partition.paused = true;
    context_.Emit(PauseIntake{partition.id});
  } else {
    context_.Emit(ResumeIntake{partition.id});
  }
  StartClaim(partition);
}

// Within the range that a map can say, and never 0.
std::int64_t Core::State::NewGeneration() {
  const std::uint64_t noise =
      Mix(context_.settings().seed ^ Mix(static_cast<std::uint64_t>(context_.now().wall_us)) ^ context_.NextOrder());
  return 1 + static_cast<std::int64_t>(noise >> 9);
}

void Core::State::BeginGeneration(Partition& partition) {
  partition.generation = NewGeneration();
  partition.witness_offset = -1;
  partition.ledger.ForgetInherited();
  partition.finished_early.clear();
  partition.running_early.clear();
}

// Nothing of the partition is placed before this commit has succeeded.
void Core::State::StartClaim(Partition& partition) {
  partition.phase = Partition::Phase::kClaiming;
  partition.claim_at_us = 0;
  CommitNow(partition, false);
}

void Core::State::CommitNow(Partition& partition, bool sync) {
  const std::int64_t next = partition.ledger.next();
  for (auto early = partition.finished_early.begin(); early != partition.finished_early.end() && early->first < next;) {
    if (Find(partition, early->first) != nullptr) {
      ++early;
      continue;
    }
    partition.covered.push_back({early->second.executor, early->second.done.ref});  // complete, or a gap
    early = partition.finished_early.erase(early);
  }
  LedgerMap map = partition.ledger.Map(partition.epoch);
  map.generation = partition.generation;
  const std::int64_t lowest = partition.ledger.LowestIncomplete();
  if (const Invocation* head = Find(partition, lowest); head != nullptr) {
    map.witness_ms = std::max<std::int64_t>(0, head->record->timestamp_ms);
  }
  EncodedLedgerMap encoded = EncodeLedgerMap(map);
  if (encoded.truncated) ++maps_truncated;
  // What the map has no room for stays owed.
  const auto fits = [end = lowest + encoded.span](const Owed& owed) { return owed.ref.offset < end; };
  const auto rest = std::partition(partition.covered.begin(), partition.covered.end(), fits);
  partition.being_covered.insert(partition.being_covered.end(), partition.covered.begin(), rest);
  partition.covered.erase(partition.covered.begin(), rest);
  partition.dirty = false;
  partition.commit_pending = true;
  partition.committed_at_us = context_.now_us();
  context_.Emit(Commit{partition.id, partition.epoch, lowest, std::move(encoded.text), sync});
}

void Core::State::Acknowledge(Partition& partition) {
  for (Owed& owed : partition.being_covered) {
    owed.ref.epoch = partition.epoch;
    context_.Emit(SendToExecutor{owed.executor, link::DoneAck{std::move(owed.ref)}});
  }
  partition.being_covered.clear();
}

void Core::State::On(const CommitFinished& event) {
  Partition* partition = Find(event.partition);
  if (partition == nullptr || partition->epoch != event.epoch || !partition->commit_pending) return;
  partition->commit_pending = false;
  if (event.ok) {
    Acknowledge(*partition);
  } else {
    partition->covered.insert(partition->covered.end(), partition->being_covered.begin(),
                              partition->being_covered.end());
    partition->being_covered.clear();
  }
  if (partition->phase != Partition::Phase::kClaiming) {
    if (!event.ok) partition->dirty = true;
    return;
  }
  if (!event.ok) {
    const std::int64_t wait_ms =
        std::min(kMaxRetryMs, kClaimRetryMs << std::min<std::int64_t>(partition->claim_failures, 10));
    ++partition->claim_failures;
    partition->claim_at_us = context_.After(wait_ms);
    return;
  }
  partition->claim_failures = 0;
  partition->phase = Partition::Phase::kOwned;
  partition->settled = false;
  partition->owing.clear();
  partition->settle_until_us = context_.After(context_.settings().fence_settle_ms);
  for (const auto& [id, executor] : executors_.all()) {
    if (executor.connected()) {
      SendFence(*partition, executor);
    } else if (!executor.lease_over()) {
      // Not reachable, but it may still run what its lease allows.
      partition->owing[id] = executor.heard_us() + link::kLeaseMs * kMicrosPerMilli;
    }
  }
  partition->expected.clear();
  for (const std::string& address : executors_.expected()) {
    partition->expected[address] = context_.now_us() + link::kLeaseMs * kMicrosPerMilli;
  }
  ReviewSettling(*partition);
  QueueHeld(*partition);
}

void Core::State::Reclaim(Partition& partition, std::int64_t epoch) {
  NotePartition(Trace::Kind::kFenced, partition, "reclaim");
  partition.epoch = std::max(partition.epoch + 1, epoch);
  highest_epochs[partition.id] = partition.epoch;
  partition.former_end = INT64_MAX;  // somebody else was here
  partition.fences.clear();
  partition.reporting.clear();
  for (auto& [offset, invocation] : partition.invocations) {
    if (!invocation.in_queue) continue;
    turns_.Leave(partition.request_class, invocation.request.user, invocation.request.function, invocation.serial);
    invocation.in_queue = false;
  }
  StartClaim(partition);
}

void Core::State::SendFence(Partition& partition, const Executor& executor) {
  partition.fences.try_emplace(executor.id(), context_.NextOrder());  // the earliest unanswered one counts
  if (!partition.settled) partition.owing[executor.id()] = context_.now_us() + link::kLeaseMs * kMicrosPerMilli;
  context_.Emit(SendToExecutor{executor.id(), link::Fence{partition.id, partition.epoch,
                                                          partition.ledger.LowestIncomplete(), partition.generation}});
}

// A partition is settled when every executor that we know or expect has reported, or its lease is over. Until then what
// a former owner may have placed waits, and what must not run twice or out of order.
void Core::State::ReviewSettling(Partition& partition) {
  if (partition.phase == Partition::Phase::kClaiming || partition.settled) return;
  if (executors_.MayJudgeSilence()) {
    std::erase_if(partition.owing, [this](const auto& one) { return one.second <= context_.now_us(); });
    std::erase_if(partition.expected, [this](const auto& one) { return one.second <= context_.now_us(); });
  }
  const bool any_up = std::ranges::any_of(executors_.all(), [](const auto& one) { return one.second.connected(); });
  const bool waited = any_up || context_.now_us() >= partition.settle_until_us;
  if (!waited || !partition.owing.empty() || !partition.expected.empty()) return;
  partition.settled = true;
  SettleEarly(partition);
  QueueHeld(partition);
}

bool Core::State::MayQueue(const Invocation& invocation) const {
  const Partition& partition = *invocation.partition;
  if (partition.phase != Partition::Phase::kOwned) return false;
  if (partition.settled) return true;
  if (!invocation.request.order_key.empty() || invocation.offset < partition.former_end) return false;
  // A former owner that does not know of us yet may place new records too.
  const Function* function = FunctionOf(invocation.request);
  return function == nullptr || function->max_attempts > 1;
}

void Core::State::QueueHeld(Partition& partition) {
  std::vector<Invocation*> held;  // one that is refused may complete at once
  for (auto& [offset, invocation] : partition.invocations) {
    if (invocation.stage == Stage::kQueued && !invocation.in_queue) held.push_back(&invocation);
  }
  for (Invocation* invocation : held) Activate(*invocation);
}

void Core::State::On(const CaughtUp& event) {
  Partition* partition = Find(event.partition);
  if (partition == nullptr || event.next <= partition->ledger.next()) return;
  partition->ledger.SkipTo(event.next);
  partition->dirty = true;
}

void Core::State::On(const LogStartMoved& event) {
  Partition* partition = Find(event.partition);
  if (partition == nullptr || event.start <= partition->ledger.next()) return;
  NotePartition(Trace::Kind::kFenced, *partition, "retention_passed_unread_records");
  partition->ledger.SkipTo(event.start);
  partition->dirty = true;
}

void Core::State::UpdateIntake(Partition& partition) {
  if (drained || context_.draining()) return;
  const auto over = [&](std::int64_t share) {
    const bool wide = partition.ledger.window() > kMaxWindowOffsets / share &&
                      partition.ledger.incomplete() > kMaxScatteredIncomplete / share;
    return wide || partition.held_bytes > kMaxHeldBytes / share;
  };
  std::erase_if(partition.flooding, [this](const UserId& id) {
    const User* user = turns_.Find(id);
    return user == nullptr || user->waiting() <= context_.settings().user_queue_limit / 2;
  });
  const bool pause = partition.paused ? over(2) || !partition.flooding.empty() : over(1) || !partition.flooding.empty();
  if (pause == partition.paused) return;
  partition.paused = pause;
  if (pause) {
    context_.Emit(PauseIntake{partition.id});
  } else {
    context_.Emit(ResumeIntake{partition.id});
  }
}

void Core::State::On(const PartitionRevoked& event) {
  Partition* partition = Find(event.partition);
  if (partition == nullptr) return;
  // Without the claim's success the last owner's commit stands as it is.
  if (!event.lost && partition->phase != Partition::Phase::kClaiming) CommitNow(*partition, true);
  Forget(*partition);
  PruneUsers();
}

void Core::State::Forget(Partition& partition) {
  for (auto& [offset, invocation] : partition.invocations) {
    ChangeStage(invocation, Stage::kQueued);
    turns_.StopWaiting(invocation.request.user);
    by_serial.erase(invocation.serial);
    by_token.erase(invocation.token);
  }
  const PartitionId id = partition.id;
  partitions.erase(id);
}

}  // namespace hearth::dispatcher
