// Owning partitions: epochs, fences, commits, back-pressure.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {

void Core::State::On(const PartitionAssigned& event) {
  if (Partition* old = Find(event.partition)) Forget(*old);  // a new epoch starts with a new ledger
  const auto topic = settings.request_topics.find(event.partition.topic);
  auto owned = std::make_unique<Partition>();
  Partition& partition = *owned;
  partition.id = event.partition;
  if (topic != settings.request_topics.end()) partition.request_class = topic->second;
  LedgerMap map;
  if (!event.metadata.empty()) {
    // What cannot be read claims nothing: records repeat, none is lost.
    if (auto decoded = DecodeLedgerMap(event.metadata)) {
      map = std::move(*decoded);
    } else {
      NotePartition(Trace::Kind::kFenced, partition, "unreadable_map");
    }
  }
  partition.epoch = map.epoch + 1;
  partition.ledger = Ledger(event.committed, std::move(map));
  partitions[event.partition] = std::move(owned);
  if (draining) {
    partition.paused = true;
    Emit(PauseIntake{partition.id});
  }
  StartClaim(partition);
}

// Nothing of the partition is placed before this commit has succeeded.
void Core::State::StartClaim(Partition& partition) {
  partition.phase = Partition::Phase::kClaiming;
  partition.claim_at_us = 0;
  CommitNow(partition, true);
}

void Core::State::CommitNow(Partition& partition, bool sync) {
  EncodedLedgerMap map = EncodeLedgerMap(partition.ledger.Map(partition.epoch));
  if (map.truncated) ++maps_truncated;
  partition.dirty = false;
  partition.commit_pending = true;
  partition.committed_at_us = now.mono_us;
  Emit(Commit{partition.id, partition.epoch, partition.ledger.LowestIncomplete(), std::move(map.text), sync});
}

void Core::State::On(const CommitFinished& event) {
  Partition* partition = Find(event.partition);
  if (partition == nullptr || partition->epoch != event.epoch || !partition->commit_pending) return;
  partition->commit_pending = false;
  if (partition->phase != Partition::Phase::kClaiming) {
    if (!event.ok) partition->dirty = true;
    return;
  }
  if (!event.ok) {
    const std::int64_t wait_ms =
        std::min(kMaxRetryMs, kClaimRetryMs << std::min<std::int64_t>(partition->claim_failures, 10));
    ++partition->claim_failures;
    partition->claim_at_us = now.mono_us + wait_ms * kMicrosPerMilli;
    return;
  }
  partition->claim_failures = 0;
  partition->phase = Partition::Phase::kSettling;
  partition->owing.clear();
  partition->settle_until_us = now.mono_us + settings.fence_settle_ms * kMicrosPerMilli;
  for (auto& [id, executor] : executors) {
    if (executor.connected) {
      SendFence(*partition, executor);
    } else if (!executor.lease_over) {
      // Not reachable, but it may still run what its lease allows: ordered keys wait for that.
      partition->owing[id] = executor.heard_us + link::kLeaseMs * kMicrosPerMilli;
    }
  }
  ReviewSettling(*partition);
}

void Core::State::Reclaim(Partition& partition, std::int64_t epoch) {
  NotePartition(Trace::Kind::kFenced, partition, "reclaim");
  partition.epoch = std::max(partition.epoch + 1, epoch);
  for (auto& [id, executor] : executors) executor.fences.erase(partition.id);
  for (auto& [offset, invocation] : partition.invocations) {
    if (!invocation.in_queue) continue;
    queue.Remove(partition.request_class, invocation.request.user, invocation.request.function, invocation.serial);
    invocation.in_queue = false;
  }
  StartClaim(partition);
}

void Core::State::SendFence(Partition& partition, Executor& executor) {
  executor.fences.try_emplace(partition.id, ++last_order);  // the earliest unanswered one counts
  partition.owing[executor.id] = now.mono_us + link::kLeaseMs * kMicrosPerMilli;
  Emit(SendToExecutor{executor.id, link::Fence{partition.id, partition.epoch, partition.ledger.LowestIncomplete()}});
}

// Settled is when every executor that we know has reported, or the settle window is over. What has an order key waits
// for all reports, or for the lease of those that do not answer.
void Core::State::ReviewSettling(Partition& partition) {
  if (partition.phase == Partition::Phase::kClaiming) return;
  const bool ordered_before = partition.owing.empty();
  std::erase_if(partition.owing, [this](const auto& one) { return one.second <= now.mono_us; });
  const bool any_up =
      std::any_of(executors.begin(), executors.end(), [](const auto& one) { return one.second.connected; });
  const bool was_settling = partition.phase == Partition::Phase::kSettling;
  if (was_settling && ((partition.owing.empty() && any_up) || now.mono_us >= partition.settle_until_us)) {
    partition.phase = Partition::Phase::kOwned;
  }
  if (partition.phase != Partition::Phase::kOwned) return;
  if (was_settling || (!ordered_before && partition.owing.empty())) QueueHeld(partition);
}

bool Core::State::MayQueue(const Invocation& invocation) const {
  const Partition& partition = *invocation.partition;
  if (partition.phase != Partition::Phase::kOwned) return false;
  return invocation.request.order_key.empty() || partition.owing.empty();
}

void Core::State::QueueHeld(Partition& partition) {
  for (auto& [offset, invocation] : partition.invocations) {
    if (invocation.stage == Stage::kQueued && !invocation.in_queue) Enqueue(invocation);
  }
}

void Core::State::UpdateIntake(Partition& partition) {
  if (drained || draining) return;
  const auto over = [&](std::int64_t share) {
    const bool wide = partition.ledger.window() > kMaxWindowOffsets / share &&
                      partition.ledger.incomplete() > kMaxScatteredIncomplete / share;
    return wide || partition.held_bytes > kMaxHeldBytes / share;
  };
  std::erase_if(partition.flooding, [this](const UserId& id) {
    const auto user = users.find(id);
    return user == users.end() || user->second.waiting <= settings.user_queue_limit / 2;
  });
  const bool pause = partition.paused ? over(2) || !partition.flooding.empty() : over(1) || !partition.flooding.empty();
  if (pause == partition.paused) return;
  partition.paused = pause;
  if (pause) {
    Emit(PauseIntake{partition.id});
  } else {
    Emit(ResumeIntake{partition.id});
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
    --users[invocation.request.user].waiting;
    by_serial.erase(invocation.serial);
    by_token.erase(invocation.token);
  }
  for (auto& [id, executor] : executors) executor.fences.erase(partition.id);
  const PartitionId id = partition.id;
  partitions.erase(id);
}

}  // namespace hearth::dispatcher
