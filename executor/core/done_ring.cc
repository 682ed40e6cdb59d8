// An index by record over two queues by age: what is owed, and what no longer is.
#include "executor/core/done_ring.h"

#include <algorithm>
#include <utility>

namespace hearth::executor {
namespace {

std::size_t BytesOf(const link::Done& done) {
  constexpr std::size_t kIndexBytes = 160;  // of the maps' own nodes
  return sizeof(done) + kIndexBytes + done.ref.partition.topic.size() + done.id.value.size() + done.error_type.size() +
         done.error_message.size();
}

}  // namespace

DoneRing::Entry* DoneRing::FindEntry(Part& part, const Key& key) {
  const auto at = part.find(key);
  return at == part.end() ? nullptr : &at->second;
}

void DoneRing::Add(link::Done done, std::int64_t now_us) {
  const Key key = KeyOf(done.ref);
  Part& part = entries_[done.ref.partition];
  const auto [at, is_new] = part.try_emplace(key);
  Entry& entry = at->second;
  if (is_new) {
    ++size_;
  } else {
    bytes_ -= entry.bytes;
    if (entry.owed) {
      owed_.erase(entry.sequence);
      owed_bytes_ -= entry.bytes;
    }
  }
  entry = {std::move(done), next_++, 0, true};
  entry.bytes = BytesOf(entry.done);
  bytes_ += entry.bytes;
  owed_bytes_ += entry.bytes;
  owed_.emplace_hint(owed_.end(), entry.sequence, Age{&part, key, entry.sequence, now_us});
  Shrink(now_us);
}

void DoneRing::Settle(const Age& age, Entry& entry) {
  owed_bytes_ -= entry.bytes;
  bytes_ -= entry.bytes;
  entry.owed = false;
  entry.done.error_message = {};
  entry.bytes = BytesOf(entry.done);
  bytes_ += entry.bytes;
  settled_.push_back(age);
  owed_.erase(entry.sequence);
}

void DoneRing::Acknowledge(const link::AttemptRef& ref) {
  const auto part = entries_.find(ref.partition);
  if (part == entries_.end()) return;
  Entry* entry = FindEntry(part->second, KeyOf(ref));
  if (entry == nullptr || !entry->owed) return;
  const Age age = owed_.at(entry->sequence);
  Settle(age, *entry);
}

void DoneRing::Erase(Part& part, const Key& key) {
  const auto at = part.find(key);
  if (at == part.end()) return;
  if (at->second.owed) {
    owed_.erase(at->second.sequence);
    owed_bytes_ -= at->second.bytes;
  }
  bytes_ -= at->second.bytes;
  --size_;
  part.erase(at);
}

void DoneRing::Shrink(std::int64_t now_us) {
  while (!owed_.empty() && now_us - owed_.begin()->second.added_us > kOwedForUs) {
    const Age age = owed_.begin()->second;
    Settle(age, *FindEntry(*age.part, age.key));
  }
  while (!settled_.empty() && (size_ > most_entries_ || bytes_ > most_bytes_ || settled_.size() > most_entries_)) {
    const Age age = settled_.front();
    settled_.pop_front();
    const Entry* entry = FindEntry(*age.part, age.key);
    if (entry != nullptr && entry->sequence == age.sequence) Erase(*age.part, age.key);
  }
}

const link::Done* DoneRing::Find(const link::AttemptRef& ref) const {
  const auto part = entries_.find(ref.partition);
  if (part == entries_.end()) return nullptr;
  const auto at = part->second.find(KeyOf(ref));
  if (at == part->second.end() || at->second.done.ref.epoch != ref.epoch) return nullptr;
  return &at->second.done;
}

std::vector<link::Done> DoneRing::Report(const PartitionId& partition, std::int64_t generation, std::int64_t offset,
                                         std::int64_t epoch) {
  std::vector<link::Done> report;
  std::vector<Key> foreign;
  const auto part = entries_.find(partition);
  if (part == entries_.end()) return report;
  for (auto& [key, entry] : part->second) {
    if (std::get<0>(key) != generation) {
      foreign.push_back(key);
    } else if (entry.owed && std::get<1>(key) >= offset) {
      entry.done.ref.epoch = epoch;
      link::Done told = entry.done;
      told.error_message.clear();
      report.push_back(std::move(told));
    }
  }
  for (const Key& key : foreign) Erase(part->second, key);
  std::ranges::sort(report, {}, [](const link::Done& done) { return std::pair(done.ref.offset, done.ref.attempt); });
  return report;
}

}  // namespace hearth::executor
