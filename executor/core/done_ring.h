// What this executor has finished lately. An entry is owed until the commit that covers it is durable: a new owner of
// the partition is told of it, so that nothing runs twice. Owed entries stay; of the others the oldest go when the ring
// is full. They answer an Exec that comes again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "schemas/link.h"

namespace hearth::executor {

constexpr std::size_t kDoneRingEntries = 100'000;
constexpr std::size_t kDoneRingBytes = 32U << 20;
// A partition that nobody has owned for so long: what is owed for it is let go. Records expire in that time too.
constexpr std::int64_t kOwedForUs = 6LL * 3600 * 1'000'000;

class DoneRing {
 public:
  explicit DoneRing(std::size_t entries = kDoneRingEntries, std::size_t bytes = kDoneRingBytes)
      : most_entries_(entries), most_bytes_(bytes) {}

  // Owed from now on.
  void Add(link::Done done, std::int64_t now_us);
  // No longer owed; its texts go.
  void Acknowledge(const link::AttemptRef& ref);
  // The same attempt under the same epoch; nullptr where unknown.
  [[nodiscard]] const link::Done* Find(const link::AttemptRef& ref) const;
  // What is owed of the generation from `offset` on, by offset and attempt, without texts and with the epoch set to
  // `epoch`: it is in force from now on. What other generations left is forgotten.
  std::vector<link::Done> Report(const PartitionId& partition, std::int64_t generation, std::int64_t offset,
                                 std::int64_t epoch);
  // Owed entries alone fill it: new work would not find room for its end.
  [[nodiscard]] bool full() const { return owed_.size() >= most_entries_ || owed_bytes_ >= most_bytes_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  using Key = std::tuple<std::int64_t, std::int64_t, std::int32_t>;  // generation, offset, attempt
  struct Entry {
    link::Done done;
    std::uint64_t sequence = 0;
    std::size_t bytes = 0;
    bool owed = true;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      constexpr std::uint64_t kSpread = 0x9E3779B97F4A7C15;  // neighbouring offsets fall far apart
      const auto& [generation, offset, attempt] = key;
      const auto mixed = static_cast<std::uint64_t>(generation) ^ (static_cast<std::uint64_t>(attempt) << 48);
      return static_cast<std::size_t>((static_cast<std::uint64_t>(offset) ^ mixed) * kSpread);
    }
  };
  using Part = std::unordered_map<Key, Entry, KeyHash>;
  struct Age {
    Part* part = nullptr;
    Key key;
    std::uint64_t sequence = 0;
    std::int64_t added_us = 0;
  };
  static Key KeyOf(const link::AttemptRef& ref) { return {ref.generation, ref.offset, ref.attempt}; }
  static Entry* FindEntry(Part& part, const Key& key);
  void Settle(const Age& age, Entry& entry);  // from owed to not owed
  void Erase(Part& part, const Key& key);
  void Shrink(std::int64_t now_us);

  std::size_t most_entries_;
  std::size_t most_bytes_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::size_t owed_bytes_ = 0;
  std::uint64_t next_ = 1;
  std::map<PartitionId, Part> entries_;  // parts stay: there are as many as partitions that were heard of
  std::map<std::uint64_t, Age> owed_;    // by sequence
  std::deque<Age> settled_;              // in the order in which they ceased to be owed
};

}  // namespace hearth::executor
