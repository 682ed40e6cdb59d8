// A member of a consumer group on the event loop, with offsets and their metadata in our own hands: nothing is
// committed by librdkafka, positions are given explicitly, and an offset out of range is reported and answered by the
// start of the partition, never by its end. Loop thread only; callbacks come from the loop, those of a revocation from
// inside the rebalance so that commits made in them still count.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "schemas/record.h"

namespace hearth::kafka {

struct Assigned {
  PartitionId partition;
  std::int64_t next_offset = 0;  // committed, or the start of the partition where nothing was
  std::string metadata;          // of the commit
};

// `offset` is the next to read.
struct OffsetCommit {
  PartitionId partition;
  std::int64_t offset = 0;
  std::string metadata;
};

class GroupConsumer {
 public:
  struct Callbacks {
    std::function<void(std::vector<Assigned>)> assigned;  // also again, where its committed offset was out of range
    std::function<void(std::vector<PartitionId>, bool lost)> revoked;
    std::function<void(std::shared_ptr<const Record>)> record;
    std::function<void(const std::string& what)> alarm;  // out of range, brokers away, fatal errors
  };
  static Result<std::unique_ptr<GroupConsumer>> Create(Loop& loop, const std::string& bootstrap,
                                                       const std::string& client_id, const std::string& group,
                                                       const std::vector<std::string>& topics, Callbacks callbacks);
  ~GroupConsumer();
  GroupConsumer(const GroupConsumer&) = delete;
  GroupConsumer& operator=(const GroupConsumer&) = delete;

  void Commit(const OffsetCommit& commit, std::function<void(Result<void>)> done);  // `done` may be empty
  // One request for all. Blocks until it is answered, for 2 s at most. What became of each, in the same order:
  // kDeadline where nobody answered, kUnavailable where it was refused.
  std::vector<Result<void>> CommitNow(const std::vector<OffsetCommit>& commits);
  // A pause ends with the assignment: what is assigned again is read.
  void Pause(const PartitionId& partition);
  void Resume(const PartitionId& partition);
  // Leaves the group (revocation included). Blocks.
  void Close();

 private:
  GroupConsumer(Loop& loop, Callbacks callbacks) : loop_(loop), callbacks_(std::move(callbacks)) {}
  void Drain();
  void Rebalance(rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions);
  void Assign(rd_kafka_topic_partition_list_t* partitions);
  void ResumeAll(const rd_kafka_topic_partition_list_t& partitions);
  void TakeError(const rd_kafka_message_t& message);
  Result<void> ReadFromStart(const PartitionId& partition);
  void Rejoin();

  Loop& loop_;
  Callbacks callbacks_;
  Client client_;
  std::unique_ptr<Doorbell> doorbell_;
  std::vector<Assigned> newly_assigned_;               // told after the poll that assigned them has returned
  std::map<PartitionId, std::int64_t> first_offsets_;  // where reading began
  std::set<PartitionId> paused_;
  bool closed_ = false;
  bool draining_ = false;
};

}  // namespace hearth::kafka
