// Who reads back next. What is parked is read back by one reader, beside the group, a chunk at a time: users take
// turns, whatever lies in their lanes, and within a user its lanes do. What a former owner had read and not completed
// is looked through in turns of its own. Plain data, one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/backlog.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

class Partition;
struct Batch;

constexpr std::int64_t kReadRetryMs = 100;       // first back-off of a log that cannot be read; doubles
constexpr std::int64_t kMaxReadRetryMs = 5'000;  // and ends here

class ReadingBack {
 public:
  struct Want {
    Partition* partition = nullptr;
    Backlog::Lane* lane = nullptr;  // null: what is unread of the partition
    const Batch* spec = nullptr;    // of a partition of hearth.batches: whose spec
  };
  void Add(const Want& want);
  // The next whose turn it is. It wants nothing any more.
  std::optional<Want> Next();
  // The partition is given up, with its lanes.
  void Forget(const Partition& partition);

  // The partition's log could not be read. It is tried again later, and later each time.
  void Fail(const PartitionId& partition, std::int64_t now_us);
  void Succeed(const PartitionId& partition) { away_.erase(partition); }
  // Those whose time to be tried again has come.
  [[nodiscard]] std::vector<PartitionId> TakeRetries(std::int64_t now_us);

  // ---- The chunk under way.
  void Begin(Partition& partition);
  [[nodiscard]] bool busy() const { return is_busy_; }
  // It is answered. Returns for which partition; nullptr: it was given up since.
  [[nodiscard]] Partition* End();

 private:
  std::deque<UserId> turns_;  // users who want something, the next one first
  std::map<UserId, std::deque<Want>> wants_;
  struct Away {
    std::int64_t failures = 0;
    std::int64_t until_us = 0;  // on the monotonic clock; 0: it is being tried
  };
  std::map<PartitionId, Away> away_;
  Partition* under_way_ = nullptr;
  bool is_busy_ = false;
};

}  // namespace hearth::dispatcher
