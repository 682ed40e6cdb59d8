// Partitions come and go, and what is read of them.
#include <algorithm>

#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

void Core::On(const PartitionAssigned& event) {
  if (Partition* old = ownership_.Find(event.partition)) Forget(*old);  // a new epoch starts with a new ledger
  Partition& partition = ownership_.Take(event);
  if (event.partition.topic == context_.settings().batches_topic) {
    batches_.Begin(event.partition, event.log_end);
  } else {
    invocations_.Begin(partition);
  }
}

void Core::On(const PartitionRevoked& event) {
  Partition* partition = ownership_.Find(event.partition);
  if (partition == nullptr) return;
  // Without the claim's success the last owner's commit stands as it is.
  if (!event.lost && partition->owned()) ownership_.Commit(*partition, true);
  Forget(*partition);
  ForgetIdleUsers(0);
}

void Core::Forget(Partition& partition) {
  if (batches_.Has(partition.id())) ForgetHome(partition.id());
  invocations_.Forget(partition);
  ownership_.Forget(partition);
}

void Core::On(const CommitFinished& event) {
  Partition* ours = ownership_.TakeCommit(event);
  if (ours == nullptr) return;
  if (batches_.Has(ours->id())) OwnHome(*ours);
  ReviewSettling(*ours);
  QueueHeld(*ours);
}

void Core::On(const PageWritten& event) {
  if (!event.key.batch.batch.empty()) return OnStatusPage(event);
  ownership_.TakePageWritten(event);
  if (Partition* partition = ownership_.Find(event.key.partition); partition != nullptr) UpdateIntake(*partition);
}

// Whatever was reset, nothing of ours may lie below what a former owner has written: it is claimed again.
bool Core::IsAbove(std::int64_t highest, std::int64_t epoch) {
  return highest > epoch && highest < kMaxLedgerEpoch;
}

// What former owners have completed is known whole: what they had read and not completed is read back.
void Core::On(const PagesRead& event) {
  std::int64_t highest = 0;
  for (const PagesRead::Page& page : event.pages) highest = std::max(highest, page.key.epoch);
  const bool are_of_batches = batches_.Has(event.partition);
  if (are_of_batches && batches_.EpochOf(event.partition) == event.epoch && IsAbove(highest, event.epoch)) {
    return Reclaim(*ownership_.Find(event.partition), highest + 1);
  }
  for (Partition* partition : ownership_.TakePages(event)) {
    if (partition->batch() != nullptr) {
      Resume(*partition->batch(), event.pages);
    } else {
      if (highest >= partition->epoch() && highest < kMaxLedgerEpoch) Reclaim(*partition, highest + 1);
      invocations_.Claim(*partition, ownership_.ClaimsOf(*partition, event));
      ownership_.MarkDirty(*partition);
    }
    DropRunsOfComplete(*partition);
    ReviewSettling(*partition);
  }
}

void Core::Reclaim(Partition& partition, std::int64_t epoch) {
  if (const Batch* batch = partition.batch(); batch != nullptr) return Reclaim(*ownership_.Find(batch->home), epoch);
  if (batches_.Has(partition.id())) DisownHome(partition.id());
  invocations_.LeaveQueue(partition);
  ownership_.Reclaim(partition, epoch);
}

// What waited for its partition to be ours, or to settle.
void Core::QueueHeld(Partition& partition) {
  const auto is_held = [](const Invocation& invocation) {
    return invocation.stage() == Stage::kQueued && !invocation.in_queue();
  };
  for (Invocation* invocation : partition.records().Select(is_held)) Activate(*invocation);
}

void Core::On(const CaughtUp& event) {
  batches_.CaughtUp(event.partition, event.next);
  Partition* partition = ownership_.Find(event.partition);
  if (partition == nullptr || event.next <= partition->records().ledger().next()) return;
  invocations_.SkipTo(*partition, event.next);
  ownership_.MarkDirty(*partition);
}

void Core::On(const LogStartMoved& event) {
  Partition* partition = ownership_.Find(event.partition);
  if (partition == nullptr || event.start <= partition->records().ledger().next()) return;
  ownership_.Note(*partition, "retention_passed_unread_records");
  invocations_.SkipTo(*partition, event.start);
  ownership_.MarkDirty(*partition);
}

void Core::UpdateIntake(Partition& partition) {
  partition.intake().Update(partition, context_);
}

}  // namespace hearth::dispatcher
