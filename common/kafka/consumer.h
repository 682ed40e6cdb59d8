// A member of a consumer group on the event loop, with offsets and their metadata in our own hands: nothing is
// committed by librdkafka, and positions are given explicitly. A partition is read once it is known where to begin in
// it; one of which nobody can say so is asked about again, aside, and holds up no other. An offset out of range is
// reported and answered by the start of the partition, never by its end. Loop thread only; callbacks come from the
// loop, those of a revocation from inside the rebalance so that commits made in them still count.
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
#include "common/kafka/positions.h"
#include "schemas/record.h"

namespace hearth::kafka {

struct Assigned {
  PartitionId partition;
  std::int64_t next_offset = 0;  // committed, or the start of the partition where nothing was
  std::string metadata;          // of the commit
  std::int64_t log_end = 0;      // when the assignment began: records from there on are new
};

// `offset` is the next to read.
struct OffsetCommit {
  PartitionId partition;
  std::int64_t offset = 0;
  std::string metadata;
};

constexpr std::size_t kMaxRecordsTold = 64;  // in one call

// Who joins which group.
struct Membership {
  std::string bootstrap;
  std::string client_id;
  std::string group;
  std::vector<std::string> topics;
  // Under this name a process that died takes its partitions back if it returns within the session. Two processes must
  // not bear it. Empty: a seat goes with its process.
  std::string instance{};
  // After so long without a heartbeat the group takes a member for dead. Where the brokers take only longer ones,
  // theirs.
  std::int64_t session_ms = 6000;
  std::vector<std::string> counted_beside{};  // topics that are not read
};

class GroupConsumer {
 public:
  struct Callbacks {
    // Also again, where what was known of a partition's offsets holds no more: then there is no metadata.
    std::function<void(std::vector<Assigned>)> assigned;
    std::function<void(std::vector<PartitionId>, bool lost)> revoked;
    // As they lay together, kMaxRecordsTold at most.
    std::function<void(std::vector<std::shared_ptr<const Record>>)> records;
    // All below `next` that is a record was told.
    std::function<void(const PartitionId&, std::int64_t next)> caught_up = [](const auto&, auto) {};
    // Retention removed what lies below `start` before it was read.
    std::function<void(const PartitionId&, std::int64_t start)> log_start_moved = [](const auto&, auto) {};
    // Where reading of the partition begins, given what was committed for it.
    std::function<std::int64_t(const PartitionId&, std::int64_t committed, const std::string& metadata)> begin =
        [](const auto&, std::int64_t committed, const auto&) { return committed; };
    std::function<void(const std::string& what)> alarm;  // out of range, brokers away
    // How many partitions the topics of the group have, and those counted beside them; told with an assignment.
    std::function<void(const PartitionCounts&)> counted = [](const auto&) {};
    // The member cannot go on: another process has its instance.
    std::function<void(const std::string& why)> ended = [](const auto&) {};
  };
  static Result<std::unique_ptr<GroupConsumer>> Create(Loop& loop, Membership membership, Callbacks callbacks);
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
  // Leaves the group (revocation included), so that its partitions are free at once. Blocks, for some seconds where no
  // broker answers.
  void Close();
  // Partitions that are ours and not read, because nobody says where to begin.
  [[nodiscard]] std::size_t aside() const { return aside_.size(); }

 private:
  struct Aside {
    std::int64_t out_of_range = -1;  // where reading was, if the log does not have it
    std::int64_t missing_ms = 0;     // when its topic was missing, wall clock; 0: never
    bool asked = false;              // and not answered yet
    std::string reason;              // of the last failure
  };
  struct Reading {
    std::int64_t begin = 0;
    bool fresh = true;  // the library does not read it yet
  };
  struct Told;  // what an answer has to tell

  GroupConsumer(Loop& loop, Membership membership, Callbacks callbacks);
  Result<void> Open();
  void Shut();
  void Leave();
  void TakeLongerSession();
  void Drain();
  void TellGathered();
  void TakeError(const rd_kafka_message_t& message);
  void Rejoin();

  // consumer_partitions.cc
  void Rebalance(rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions);
  void Assign(const rd_kafka_topic_partition_list_t& partitions);
  void AskAside();
  void Found(std::uint64_t ticket, const std::vector<PositionAnswer>& answers);
  void Begin(const PartitionId& partition, const Aside& aside, const Position& position, Told& told);
  void Postpone(const PartitionId& partition, Aside& aside, const Error& error);
  bool ReadAll();
  [[nodiscard]] PartitionList Positions() const;  // of all that is read
  void OutOfRange(const PartitionId& partition);
  void TopicMissing(const std::string& topic);
  std::vector<PartitionId> SetAside(const std::string& topic);  // what is read of it, but for what has just begun

  Loop& loop_;
  Membership membership_;
  Callbacks callbacks_;
  Client client_;
  std::unique_ptr<PositionFinder> finder_;
  std::unique_ptr<Doorbell> doorbell_;
  std::uint64_t assignment_ = 0;  // rises with each one
  std::map<PartitionId, Reading> reading_;
  std::map<PartitionId, Aside> aside_;
  std::map<PartitionId, std::int64_t> missing_;  // partitions that we had: when their topic was missing
  Timer again_;
  std::int64_t again_ms_ = 0;
  std::set<PartitionId> paused_;
  std::vector<std::shared_ptr<const Record>> gathered_;  // not told yet
  bool closed_ = false;
  bool draining_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // what was posted finds it gone with us
};

}  // namespace hearth::kafka
