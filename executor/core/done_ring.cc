// An ordered index over a queue by age.
#include "executor/core/done_ring.h"

namespace hearth::executor {

void DoneRing::Add(link::Done done) {
  const Key key{done.ref.offset, done.ref.attempt};
  const std::uint64_t sequence = next_++;
  order_.push_back(Age{done.ref.partition, key, sequence});
  entries_[order_.back().partition][key] = Entry{std::move(done), sequence, true};
  while (order_.size() > capacity_) {
    const Age& oldest = order_.front();
    if (const auto part = entries_.find(oldest.partition); part != entries_.end()) {
      const auto at = part->second.find(oldest.key);
      if (at != part->second.end() && at->second.sequence == oldest.sequence) part->second.erase(at);
      if (part->second.empty()) entries_.erase(part);
    }
    order_.pop_front();
  }
}

void DoneRing::Acknowledge(const link::AttemptRef& ref) {
  const auto part = entries_.find(ref.partition);
  if (part == entries_.end()) return;
  const auto at = part->second.find(Key{ref.offset, ref.attempt});
  if (at != part->second.end()) at->second.owed = false;
}

const link::Done* DoneRing::Find(const link::AttemptRef& ref) const {
  const auto part = entries_.find(ref.partition);
  if (part == entries_.end()) return nullptr;
  const auto at = part->second.find(Key{ref.offset, ref.attempt});
  if (at == part->second.end() || at->second.done.ref.epoch != ref.epoch) return nullptr;
  return &at->second.done;
}

std::vector<link::Done> DoneRing::Report(const PartitionId& partition, std::int64_t offset, std::int64_t epoch) {
  std::vector<link::Done> report;
  const auto part = entries_.find(partition);
  if (part == entries_.end()) return report;
  for (auto at = part->second.lower_bound(Key{offset, 0}); at != part->second.end(); ++at) {
    at->second.done.ref.epoch = epoch;
    report.push_back(at->second.done);
  }
  return report;
}

std::vector<link::Done> DoneRing::Owed(const PartitionId& partition) const {
  std::vector<link::Done> owed;
  const auto part = entries_.find(partition);
  if (part == entries_.end()) return owed;
  for (const auto& [key, entry] : part->second) {
    if (entry.owed) owed.push_back(entry.done);
  }
  return owed;
}

}  // namespace hearth::executor
