// What this executor has finished lately, by partition and offset: the answer to a Fence, so that a new owner runs
// nothing twice, and the Done that nobody has acknowledged yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "schemas/link.h"

namespace hearth::executor {

constexpr std::size_t kDoneRingEntries = 100'000;

class DoneRing {
 public:
  explicit DoneRing(std::size_t capacity = kDoneRingEntries) : capacity_(capacity) {}

  // Owed until acknowledged. The oldest entry goes when the ring is full.
  void Add(link::Done done);
  void Acknowledge(const link::AttemptRef& ref);
  // The same attempt under the same epoch; nullptr where unknown.
  [[nodiscard]] const link::Done* Find(const link::AttemptRef& ref) const;
  // All from `offset` on, by offset and attempt, with the epoch set to `epoch`: it is in force from now on.
  std::vector<link::Done> Report(const PartitionId& partition, std::int64_t offset, std::int64_t epoch);
  [[nodiscard]] std::vector<link::Done> Owed(const PartitionId& partition) const;
  [[nodiscard]] std::size_t size() const { return order_.size(); }

 private:
  using Key = std::pair<std::int64_t, std::int32_t>;  // offset, attempt
  struct Entry {
    link::Done done;
    std::uint64_t sequence = 0;
    bool owed = true;
  };
  struct Age {
    PartitionId partition;
    Key key;
    std::uint64_t sequence = 0;
  };
  std::size_t capacity_;
  std::uint64_t next_ = 1;
  std::map<PartitionId, std::map<Key, Entry>> entries_;
  std::deque<Age> order_;
};

}  // namespace hearth::executor
