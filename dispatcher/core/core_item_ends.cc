// How items of batches end, and the pages that say so.
#include <algorithm>

#include "dispatcher/core/core.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kMaxPageBytesPerSecond = 100'000;  // of one batch
constexpr std::int64_t kStatusRoundMs = 100;              // between two rounds of pages of a batch

}  // namespace

void Core::CompleteItem(Invocation& invocation) {
  Partition& partition = invocation.partition();
  Batch& batch = *partition.batch();
  const std::int64_t index = invocation.item()->index;
  const ItemStatus status = ItemStatusOf(invocation.ending().status);
  ownership_.Cover(partition, invocation.owed());
  Invocation* next = invocations_.Complete(invocation);
  if (index == kOnCompleteIndex) {
    batch.state.on_complete = status;
  } else {
    EndItem(batch, index, status);
  }
  if (next != nullptr && next->stage() == Stage::kKeyed) Activate(*next);
  batches_.Touch(batch);
}

void Core::EndItem(Batch& batch, std::int64_t index, ItemStatus status) {
  BatchRun& run = *batch.run;
  run.in_hand.erase(index);
  if (!run.statuses.End(index, status)) return;
  ++ended_items_[status];
  run.dirty_pages.insert(index / kPageItems);
  run.has_failures = run.has_failures || RowOf(status).failed;
}

// An executor tells of an item that was not read yet: its result is durable, and that is all that has to be known.
bool Core::TakeItemEnd(Partition& partition, const ExecutorId& executor, const link::Done& done) {
  Batch* batch = partition.batch();
  if (batch == nullptr || done.outcome != link::Outcome::kPublished) return false;
  if (batch->stage == BatchStage::kResuming) return false;  // kept until its pages are known
  const auto index = IndexIn(done.id, batch->ref.batch);
  if (!index || *index < 0 || *index >= batch->run->statuses.total()) return false;
  NoteResult(*batch, done.reply_offset);
  DropEarlyReports(partition, done.ref.offset);
  ownership_.Cover(partition, executor, done.ref);
  invocations_.Claim(partition, {{done.ref.offset, 1}});
  EndItem(*batch, *index, ItemStatusOf(done.status));
  batches_.Touch(*batch);
  return true;
}

// What was kept while its pages were not known.
void Core::TakeEarlyItemEnds(Partition& partition) {
  const auto is_published = [&](std::int64_t place) {
    return partition.early().FindEnd(place)->done.outcome == link::Outcome::kPublished;
  };
  for (const EarlyEnd& end : partition.early().TakeEndsBelow(INT64_MAX, is_published)) {
    if (!TakeItemEnd(partition, end.executor, end.done)) ownership_.Cover(partition, end.executor, end.done.ref);
  }
}

void Core::NoteResult(Batch& batch, std::int64_t offset) {
  if (offset < 0) return;
  auto& results = batch.state.results;
  if (!results) results = ResultOffsets{offset, offset};
  results->first = std::min(results->first, offset);
  results->last = std::max(results->last, offset);
}

void Core::NoteTries(const Invocation& invocation) {
  Batch* batch = invocation.partition().batch();
  if (batch == nullptr || invocation.item()->index == kOnCompleteIndex) return;
  const std::int64_t index = invocation.item()->index;
  batch->run->statuses.SetTries(index, {invocation.tries().failed(), invocation.tries().infrastructure_failures()});
  batch->run->dirty_pages.insert(index / kPageItems);
}

void Core::ReviewRun(Batch& batch) {
  BatchRun& run = *batch.run;
  if (std::exchange(batch.has_new_wishes, false)) TakeOrders(batch, PrioritiesOf(batch.ref.user));
  if (run.stop != StopCause::kNone) {
    Sweep(batch);
  } else {
    FillWindow(batch);
    FeedItems(batch);
  }
  const PartitionRecords& records = run.partition->records();
  const bool is_done = run.partition->settled() && records.held().empty() && !records.ledger().NextUnread();
  if (!is_done) return;
  const bool lacks_some = run.statuses.Counts()[ItemStatus::kPending] > 0;
  for (std::int64_t index = 0; lacks_some && index < run.statuses.total(); ++index) {
    if (run.statuses.Of(index) == ItemStatus::kPending) EndItem(batch, index, ItemStatus::kGone);
  }
  WriteStatusPages(batch, true);
  if (run.dirty_pages.empty() && run.writing_pages.empty()) Freeze(batch);
}

// What has not started gets its status at once, and no reply. What runs may finish, or is cancelled.
void Core::Sweep(Batch& batch) {
  BatchRun& run = *batch.run;
  Partition& partition = *run.partition;
  if (!partition.settled()) return;  // it may run somewhere
  const bool expires = run.stop == StopCause::kExpired;
  const auto waits = [](const Invocation& item) { return Waits(item.stage()); };
  for (Invocation* item : partition.records().Select(waits)) {
    if (!Waits(item->stage())) continue;  // the end of one may have decided the next one of its order key
    Finish(*item, expires ? Status::kExpired : Status::kCancelled, ReasonOfStop(run.stop), {});
  }
  if (!std::exchange(run.is_swept, true)) {
    std::set<std::int64_t> runs;
    for (const auto& [place, item] : partition.records().held()) runs.insert(item.item()->index);
    for (std::int64_t index = 0; index < run.statuses.total(); ++index) {
      if (run.statuses.Of(index) != ItemStatus::kPending || runs.contains(index)) continue;
      EndItem(batch, index, StatusOfStopped(run.stop));
    }
    invocations_.Claim(partition, {{0, run.places.size()}});
    for (const EarlyEnd& end : partition.early().TakeEndsBelow(INT64_MAX, [](auto) { return true; })) {
      ownership_.Cover(partition, end.executor, end.done.ref);
    }
    for (const EarlyRun& each : partition.early().TakeRuns([](auto) { return true; }))
      ownership_.Drop(partition, each.executor, each.run.ref);
  }
  if (!run.kills || std::exchange(run.has_killed, true)) return;
  const auto is_placed = [](const Invocation& item) { return item.stage() == Stage::kPlaced; };
  for (const Invocation* item : partition.records().Select(is_placed)) {
    context_.Emit(SendToExecutor{item->executor(), link::Cancel{partition.RefOf(*item)}});
  }
}

// ---- Pages of statuses.

// All that is dirty is written in one round. What has ended before the round began is acknowledged when all of it is
// durable.
void Core::WriteStatusPages(Batch& batch, bool at_once) {
  BatchRun& run = *batch.run;
  if (!run.partition->owned() || !run.writing_pages.empty()) return;
  if (run.dirty_pages.empty()) return ownership_.AcknowledgeCovered(*run.partition);
  if (context_.now_us() < (run.round_failed || !at_once ? run.next_round_us : 0)) return;
  run.round_failed = false;
  run.writing_pages = std::exchange(run.dirty_pages, {});
  ownership_.BeginRound(*run.partition);
  std::int64_t bytes = 0;
  for (const std::int64_t page : run.writing_pages) {
    std::string value = run.statuses.page(page).Encode();
    bytes += std::ssize(value);
    context_.Emit(WritePage{PageKeyOf(batch, page), std::move(value)});
  }
  const std::int64_t pause_ms = std::max({kStatusRoundMs, bytes * 1000 / kMaxPageBytesPerSecond,
                                          std::ssize(batches_.running()) * 1000 / kMaxStateWritesPerSecond});
  run.next_round_us = context_.After(pause_ms);
}

PageKey Core::PageKeyOf(const Batch& batch, std::int64_t page) const {
  return {batch.home, batch.state.generation, page, batches_.EpochOf(batch.home), batch.ref};
}

void Core::OnStatusPage(const PageWritten& written) {
  Batch* batch = batches_.Find(written.key.partition, written.key.batch);
  if (batch == nullptr || batch->run == nullptr) return;
  BatchRun& run = *batch->run;
  if (written.key != PageKeyOf(*batch, written.key.page) || run.writing_pages.erase(written.key.page) == 0) return;
  if (written.ok) {
    // What was written before under other keys is needed no more.
    std::erase_if(batch->old_pages, [&](const PageKey& old) {
      if (old.page != written.key.page) return false;
      if (old != written.key) context_.Emit(WritePage{old, ""});
      return true;
    });
    batch->old_pages.push_back(written.key);
  } else {
    run.round_failed = true;
    run.dirty_pages.insert(written.key.page);
  }
  if (!run.writing_pages.empty()) return;
  ownership_.EndRound(*run.partition, !run.round_failed);
  batches_.Touch(*batch);
}

// Another epoch begins: no write of the one before counts.
void Core::RestartPages(Batch& batch) {
  BatchRun& run = *batch.run;
  run.dirty_pages.merge(run.writing_pages);
  run.writing_pages.clear();
  run.round_failed = false;
  run.next_round_us = 0;
  ownership_.EndRound(*run.partition, false);
}

}  // namespace hearth::dispatcher
