// Ledger pages: what of a partition is complete and has no room in a commit.
#include <algorithm>

#include "dispatcher/core/outputs.h"
#include "dispatcher/core/ownership.h"

namespace hearth::dispatcher {

void Ownership::WritePages() {
  if (context_.now_us() - pages_from_us_ >= kPageIntervalMs * kMicrosPerMilli) {
    pages_from_us_ = context_.now_us();
    pages_begun_ = 0;
  }
  for (const auto& [id, partition] : partitions_) {
    if (!partition->owned_) continue;
    WritePages(*partition);
    TakeIdlePagesAway(*partition);
  }
}

void Ownership::WritePages(Partition& partition) {
  const auto position = partition.pages_.position();
  if (!position) return;
  const std::int64_t offsets = context_.settings().page_offsets;
  std::vector<std::int64_t> begun;
  while (pages_begun_ < kMaxPageWrites) {
    const auto page = partition.pages_.TakeDue(context_.now_us());
    if (!page) break;
    ++pages_begun_;
    begun.push_back(*page);
    const std::int64_t start = *page * offsets;
    const PageKey key{partition.id_, partition.generation_, *page, partition.epoch_};
    const Ledger& ledger = partition.records_.ledger();
    const std::int64_t told = std::clamp(*position, start, start + offsets);
    context_.Emit(WritePage{key, EncodeLedgerPage(ledger.CompleteBetween(start, told))});
    // What lies above waits for the next commit.
    if (!ledger.CompleteBetween(told, start + offsets).empty()) partition.pages_.MarkDirty(start, offsets);
    if (std::ranges::find(partition.idle_pages_, key) == partition.idle_pages_.end()) {
      partition.idle_pages_.push_back(key);
    }
  }
  if (begun.empty()) return;
  const auto is_told = [&](const Owed& owed) {
    return owed.ref.offset < *position && std::ranges::binary_search(begun, owed.ref.offset / offsets);
  };
  const auto rest = std::partition(partition.covered_.begin(), partition.covered_.end(), std::not_fn(is_told));
  for (auto owed = rest; owed != partition.covered_.end(); ++owed) {
    partition.pages_.Cover(owed->ref.offset / offsets, std::move(*owed));
  }
  partition.covered_.erase(rest, partition.covered_.end());
}

// What the commit has passed nobody reads any more, and neither what is of another generation.
void Ownership::TakeIdlePagesAway(Partition& partition) {
  const auto is_idle = [&](const PageKey& key) {
    const bool passed = (key.page + 1) * context_.settings().page_offsets <= partition.committed_;
    return (passed || key.generation != partition.generation_) && !partition.pages_.is_writing(key.page);
  };
  auto key = partition.idle_pages_.begin();
  while (key != partition.idle_pages_.end() && pages_begun_ < kMaxPageWrites) {
    if (!is_idle(*key)) {
      ++key;
      continue;
    }
    ++pages_begun_;
    context_.Emit(WritePage{*key, ""});
    key = partition.idle_pages_.erase(key);
  }
}

void Ownership::TakePageWritten(const PageWritten& written) {
  Partition* partition = Find(written.key.partition);
  const bool is_ours = partition != nullptr && partition->epoch_ == written.key.epoch &&
                       partition->generation_ == written.key.generation;
  if (!is_ours) return;
  ++(written.ok ? pages_written_ : page_failures_);
  auto covered = partition->pages_.End(written.key.page, written.ok);
  if (written.ok) return Acknowledge(*partition, std::move(covered));
  Cover(*partition, covered);
}

void Ownership::AskForPages(Partition& asker) {
  if (asker.reads_pages_ || context_.now_us() < asker.pages_at_us_) return;
  if (PassOn(asker, Partition::FormerPages::kWanted, Partition::FormerPages::kBeingRead).empty()) return;
  asker.reads_pages_ = true;
  context_.Emit(ReadPages{asker.id_, asker.epoch_});
}

std::vector<Partition*> Ownership::TakePages(const PagesRead& read) {
  Partition* asker = Find(read.partition);
  if (asker == nullptr || asker->epoch_ != read.epoch || !asker->reads_pages_) return {};
  asker->reads_pages_ = false;
  if (read.ok) return PassOn(*asker, Partition::FormerPages::kBeingRead, Partition::FormerPages::kKnown);
  PassOn(*asker, Partition::FormerPages::kBeingRead, Partition::FormerPages::kWanted);
  const auto doublings = std::min<std::int64_t>(asker->page_failures_++, 10);
  asker->pages_at_us_ = context_.After(std::min(kMaxRetryMs, kClaimRetryMs << doublings));
  return {};
}

// Of all whose pages are asked for together. Returns those that were there.
std::vector<Partition*> Ownership::PassOn(const Partition& asker, Partition::FormerPages from,
                                          Partition::FormerPages to) {
  std::vector<Partition*> passed;
  for (const auto& [id, partition] : partitions_) {
    if ((partition.get() != &asker && partition->home_ != &asker) || partition->former_pages_ != from) continue;
    partition->former_pages_ = to;
    passed.push_back(partition.get());
  }
  return passed;
}

std::vector<LedgerRange> Ownership::ClaimsOf(Partition& partition, const PagesRead& read) {
  std::vector<LedgerRange> claims;
  for (const PagesRead::Page& page : read.pages) {
    if (!page.key.batch.batch.empty()) continue;  // of a batch
    partition.idle_pages_.push_back(page.key);
    if (page.key.generation != partition.generation_) continue;
    const auto complete = DecodeLedgerPage(page.value);
    if (!complete) {
      Note(partition, "unreadable_page");
      continue;
    }
    const std::int64_t start = page.key.page * context_.settings().page_offsets;
    for (const LedgerRange& range : *complete) claims.push_back({start + range.start, range.length});
  }
  return claims;
}

}  // namespace hearth::dispatcher
