// Where reading of partitions may begin: what their group has committed, and where their logs start and end. The
// library's calls for it block, and a partition without a leader makes them wait. So they are made in a thread of its
// own and answered on the loop, each partition for itself.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "schemas/record.h"

namespace hearth::kafka {

struct Position {
  std::int64_t committed = -1;  // the next offset to read; -1: nothing is committed
  std::string metadata;         // of the commit
  std::int64_t start = 0;       // of the log
  std::int64_t end = 0;         // of what may be read of it
  std::int64_t since = -1;      // the first record that is not older than the question's `since_ms`; -1: none
};

struct PositionQuestion {
  PartitionId partition;
  std::int64_t since_ms = 0;  // milliseconds since the epoch; 0: not asked
};

struct PositionAnswer {
  PartitionId partition;
  Result<Position> position;  // kUnavailable: to be asked again
};

using PartitionCounts = std::map<std::string, std::int32_t>;  // by topic; those that are not there are left out

// For people: which topics have how many partitions, where the numbers differ; else empty.
std::string DifferentCounts(const PartitionCounts& counts);

class PositionFinder {
 public:
  using Told = std::function<void(std::uint64_t ticket, std::vector<PositionAnswer> answers, PartitionCounts counts)>;
  // Of the group that `client` is in; it must outlive the finder. `told` is called on the loop, and is told how many
  // partitions `topics` have; nothing where nobody answers.
  PositionFinder(Loop& loop, rd_kafka_t* client, std::vector<std::string> topics, Told told);
  // Waits for the call under way, for some seconds at most; nothing is told any more. Loop thread only.
  ~PositionFinder();
  PositionFinder(const PositionFinder&) = delete;
  PositionFinder& operator=(const PositionFinder&) = delete;

  // Answered once, in one piece. What waits under another ticket is not asked any more.
  void Ask(std::uint64_t ticket, std::vector<PositionQuestion> questions);

 private:
  struct Round {
    std::uint64_t ticket = 0;
    std::vector<PositionQuestion> questions;
  };
  void Work();

  Loop& loop_;
  rd_kafka_t* client_;
  const std::vector<std::string> topics_;
  std::shared_ptr<Told> told_;  // what is posted finds it gone once the finder is
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Round> rounds_;  // guarded by mutex_
  bool ending_ = false;       // guarded by mutex_
  std::thread thread_;
};

}  // namespace hearth::kafka
