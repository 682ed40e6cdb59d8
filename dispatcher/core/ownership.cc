// Partitions: how they are claimed, committed and given up.
#include "dispatcher/core/ownership.h"

#include <algorithm>

#include "dispatcher/core/check.h"
#include "dispatcher/core/ledger_map.h"
#include "dispatcher/core/outputs.h"
#include "dispatcher/core/spread.h"

namespace hearth::dispatcher {

Partition* Ownership::Find(const PartitionId& id) const {
  const auto found = partitions_.find(id);
  return found == partitions_.end() ? nullptr : found->second.get();
}

bool Ownership::MayPlace(const Invocation& invocation) const {
  const Partition& partition = invocation.partition();
  if (!partition.owned_) return false;
  if (partition.settled_) return true;
  const Request& request = invocation.request();
  if (!request.order_key.empty() || invocation.offset() < partition.former_end_) return false;
  // A former owner that does not know of us yet may place new records too.
  const Function* function = registry_.Find(request.user, request.function);
  return function == nullptr || function->max_attempts > 1;
}

Partition& Ownership::Take(const PartitionAssigned& assigned) {
  LedgerMap map;
  bool unreadable = false;
  if (!assigned.metadata.empty()) {
    if (auto decoded = DecodeLedgerMap(assigned.metadata)) {
      map = std::move(*decoded);
    } else {
      unreadable = true;
    }
  }
  const auto& topics = context_.settings().request_topics;
  const auto topic = topics.find(assigned.partition.topic);
  const std::int64_t map_epoch = map.epoch;
  const std::int64_t generation = map.generation;
  const std::int64_t witness_ms = map.witness_ms;
  const std::int64_t span = map.span;
  const bool has_pages = map.position > map.span;
  auto& owned = partitions_[assigned.partition];
  Check(owned == nullptr, "a partition is taken that is ours", assigned.committed);
  owned =
      std::make_unique<Partition>(assigned.partition, topic != topics.end() ? topic->second : RequestClass::kStandard,
                                  Ledger(assigned.committed, map), context_.settings().room);
  Partition& partition = *owned;
  // What cannot be read claims nothing: records repeat, none is lost.
  if (unreadable) Note(partition, "unreadable_map");
  std::int64_t& highest = highest_epochs_[assigned.partition];
  highest = std::max(highest, map_epoch) + 1;
  partition.epoch_ = highest;
  partition.generation_ = generation != 0 ? generation : NewGeneration();
  partition.witness_offset_ = assigned.committed;
  partition.witness_ms_ = witness_ms;
  partition.former_end_ = assigned.log_end;
  if (has_pages) partition.former_pages_ = Partition::FormerPages::kAwaitReports;
  partition.pages_from_ = assigned.committed + span;
  partition.intake_.Begin(partition.id_, context_);
  Claim(partition);
  return partition;
}

void Ownership::Forget(const Partition& partition) {
  Check(partition.records_.held().empty(), "a partition is given up with records in it", partition.epoch_);
  const PartitionId id = partition.id_;
  partitions_.erase(id);
}

bool Ownership::StoodStill() {
  const bool stood_still = stepped_us_ != 0 && context_.now_us() - stepped_us_ > kSessionMs * kMicrosPerMilli;
  stepped_us_ = context_.now_us();
  return stood_still;
}

void Ownership::Claim(Partition& partition) {
  partition.owned_ = false;
  partition.claim_at_us_ = 0;
  Commit(partition, false);
}

void Ownership::RetryClaim(Partition& partition) {
  if (partition.claim_at_us_ != 0 && context_.now_us() >= partition.claim_at_us_) Claim(partition);
}

void Ownership::Reclaim(Partition& partition, std::int64_t epoch) {
  Note(partition, "reclaim");
  partition.epoch_ = std::max(partition.epoch_ + 1, epoch);
  highest_epochs_[partition.id_] = partition.epoch_;
  partition.former_end_ = INT64_MAX;  // somebody else was here
  partition.fences_.clear();
  partition.reporting_.clear();
  partition.reads_pages_ = false;
  Cover(partition, partition.pages_.Restart());
  Claim(partition);
}

bool Ownership::WasMadeAnew(const Partition& partition, const Record& record) const {
  return record.offset == partition.witness_offset_ && partition.witness_ms_ != 0 &&
         partition.witness_ms_ != record.timestamp_ms;
}

void Ownership::BeginGeneration(Partition& partition) {
  Note(partition, "topic_made_anew");
  partition.generation_ = NewGeneration();
  partition.witness_offset_ = -1;
  partition.early_ = EarlyReports();
}

// Within the range that a map can say, and never 0.
std::int64_t Ownership::NewGeneration() {
  const std::uint64_t noise =
      Mix(context_.settings().seed ^ Mix(static_cast<std::uint64_t>(context_.now().wall_us)) ^ context_.NextOrder());
  return 1 + static_cast<std::int64_t>(noise >> 9);
}

void Ownership::Cover(Partition& partition, const ExecutorId& executor, const link::AttemptRef& ref) {
  partition.covered_.push_back({executor, ref});
}

void Ownership::Cover(Partition& partition, const std::vector<Owed>& owed) {
  partition.covered_.insert(partition.covered_.end(), owed.begin(), owed.end());
}

void Ownership::Commit(Partition& partition, bool sync) {
  const PartitionRecords& records = partition.records_;
  const auto is_over = [&](std::int64_t offset) { return !records.ledger().IsOpen(offset); };
  for (const EarlyEnd& early : partition.early_.TakeEndsBelow(records.ledger().next(), is_over)) {
    Cover(partition, early.executor, early.done.ref);
  }
  LedgerMap map = records.ledger().Map(partition.epoch_);
  map.generation = partition.generation_;
  const std::int64_t lowest = records.ledger().LowestIncomplete();
  if (const Invocation* head = records.Find(lowest); head != nullptr) {
    map.witness_ms = std::max<std::int64_t>(0, head->record().timestamp_ms);
  }
  if (partition.awaits_pages()) map.CutTo(partition.pages_from_ - lowest);  // the next owner has to read them too
  EncodedLedgerMap encoded = EncodeLedgerMap(map, context_.settings().map_bytes);
  if (encoded.truncated) {
    ++maps_truncated_;
    partition.pages_.Cut(lowest + encoded.span, records.ledger().next(), context_.settings().page_offsets);
  } else {
    partition.pages_.Whole();
  }
  partition.committing_ = lowest;
  partition.being_told_ = encoded.truncated ? records.ledger().next() : -1;
  // What the map has no room for stays owed.
  const auto fits = [end = lowest + encoded.span](const Owed& owed) { return owed.ref.offset < end; };
  const auto rest = std::partition(partition.covered_.begin(), partition.covered_.end(), fits);
  partition.being_covered_.insert(partition.being_covered_.end(), partition.covered_.begin(), rest);
  partition.covered_.erase(partition.covered_.begin(), rest);
  partition.dirty_ = false;
  partition.commit_pending_ = true;
  partition.committed_at_us_ = context_.now_us();
  context_.Emit(dispatcher::Commit{partition.id_, partition.epoch_, lowest, std::move(encoded.text), sync});
}

void Ownership::CommitIfDue(Partition& partition) {
  if (partition.batch_ != nullptr) return;
  const std::int64_t interval_us = context_.settings().commit_interval_ms * kMicrosPerMilli;
  const bool due = context_.now_us() - partition.committed_at_us_ >= interval_us;
  if (partition.dirty_ && !partition.commit_pending_ && due) Commit(partition, false);
}

Partition* Ownership::TakeCommit(const CommitFinished& commit) {
  Partition* partition = Find(commit.partition);
  if (partition == nullptr || partition->epoch_ != commit.epoch || !partition->commit_pending_) return nullptr;
  partition->commit_pending_ = false;
  if (commit.ok) {
    Acknowledge(*partition, std::exchange(partition->being_covered_, {}));
    partition->committed_ = partition->committing_;
    if (partition->being_told_ >= 0) {
      partition->pages_.Told(partition->being_told_);
    } else {
      partition->pages_.ToldWhole();
    }
  } else {
    Cover(*partition, partition->being_covered_);
    partition->being_covered_.clear();
  }
  if (partition->owned_) {
    if (!commit.ok) partition->dirty_ = true;
    return nullptr;
  }
  if (!commit.ok) {
    const auto doublings = std::min<std::int64_t>(partition->claim_failures_, 10);
    ++partition->claim_failures_;
    partition->claim_at_us_ = context_.After(std::min(kMaxRetryMs, kClaimRetryMs << doublings));
    return nullptr;
  }
  BecomeOwner(*partition);
  return partition;
}

void Ownership::Acknowledge(const Partition& partition, std::vector<Owed> covered) {
  for (Owed& owed : covered) {
    owed.ref.epoch = partition.epoch_;
    context_.Emit(SendToExecutor{owed.executor, link::DoneAck{std::move(owed.ref)}});
  }
}

void Ownership::Note(const Partition& partition, std::string_view what) {
  Trace trace;
  trace.kind = Trace::Kind::kFenced;
  trace.partition = partition.id_;
  trace.epoch = partition.epoch_;
  trace.constraint = std::string(what);
  context_.Emit(std::move(trace));
}

}  // namespace hearth::dispatcher
