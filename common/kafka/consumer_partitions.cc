// The partitions of a member: where reading begins in them, and what becomes of those of which nobody can say so.
#include <algorithm>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/consumer.h"

namespace hearth::kafka {
namespace {

constexpr std::int64_t kAgainMs = 100;            // first back-off of a question; doubles
constexpr std::int64_t kMaxAgainMs = 5000;        // and ends here
constexpr std::int64_t kClockSlackMs = 60'000;    // producers' clocks may be wrong by so much
constexpr std::int64_t kMissingVoidMs = 600'000;  // a topic that was missing before that says nothing any more

std::int64_t WallMs() {
  return ReadClocks().wall_us / kMicrosPerMilli;
}

}  // namespace

struct GroupConsumer::Told {
  std::vector<Assigned> assigned;
  std::vector<std::pair<PartitionId, std::int64_t>> moved;
  std::set<std::string> made_anew;  // topics
  std::vector<std::string> alarms;
};

void GroupConsumer::Rebalance(rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions) {
  TellGathered();  // of the assignment that ends
  ++assignment_;
  reading_.clear();
  aside_.clear();
  paused_.clear();
  again_.Cancel();
  if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !closed_) return Assign(*partitions);
  std::vector<PartitionId> revoked;
  revoked.reserve(static_cast<std::size_t>(partitions->cnt));
  for (int i = 0; i < partitions->cnt; ++i) {
    revoked.push_back({partitions->elems[i].topic, partitions->elems[i].partition});
  }
  callbacks_.revoked(std::move(revoked), rd_kafka_assignment_lost(client_.get()) != 0);
  rd_kafka_assign(client_.get(), nullptr);
}

// The group is answered at once, with nothing: what is read comes when the answers do.
void GroupConsumer::Assign(const rd_kafka_topic_partition_list_t& partitions) {
  std::erase_if(missing_, [](const auto& one) { return one.second + kMissingVoidMs < WallMs(); });
  for (int i = 0; i < partitions.cnt; ++i) {
    const PartitionId id{partitions.elems[i].topic, partitions.elems[i].partition};
    const auto missing = missing_.find(id);
    aside_[id].missing_ms = missing == missing_.end() ? 0 : missing->second;
  }
  rd_kafka_assign(client_.get(), ListOf({}).get());
  again_ms_ = kAgainMs;
  AskAside();
}

void GroupConsumer::AskAside() {
  std::vector<PositionQuestion> questions;
  for (auto& [partition, aside] : aside_) {
    if (std::exchange(aside.asked, true)) continue;
    questions.push_back({partition, aside.missing_ms == 0 ? 0 : aside.missing_ms - kClockSlackMs});
  }
  if (finder_) finder_->Ask(assignment_, std::move(questions));
}

void GroupConsumer::Found(std::uint64_t ticket, const std::vector<PositionAnswer>& answers) {
  if (closed_ || ticket != assignment_) return;
  Told told;
  bool failed = false;
  bool begun = false;
  for (const auto& [partition, position] : answers) {
    const auto found = aside_.find(partition);
    if (found == aside_.end()) continue;
    if (!position) {
      failed = true;
      Postpone(partition, found->second, position.error());
      continue;
    }
    const Aside aside = std::move(found->second);
    aside_.erase(found);
    Begin(partition, aside, *position, told);
    begun = true;
  }
  if (failed) {
    again_.StartOnce(again_ms_);
    again_ms_ = std::min(again_ms_ * 2, kMaxAgainMs);
  }
  for (const std::string& what : told.alarms) callbacks_.alarm(what);
  std::vector<PartitionId> gone;  // what was known of the topic's other partitions is to be doubted
  for (const std::string& topic : told.made_anew) {
    for (auto& partition : SetAside(topic)) gone.push_back(std::move(partition));
  }
  if (!begun || !ReadAll()) return;
  if (!gone.empty()) callbacks_.revoked(std::move(gone), true);
  if (!told.assigned.empty()) callbacks_.assigned(std::move(told.assigned));
  for (const auto& [partition, start] : told.moved) callbacks_.log_start_moved(partition, start);
}

void GroupConsumer::Postpone(const PartitionId& partition, Aside& aside, const Error& error) {
  aside.asked = false;
  if (std::exchange(aside.reason, error.message) == error.message)
    return;  // one line for each reason, not for each try
  callbacks_.alarm(Name(partition) + ": not read until it is known where to begin: " + error.message);
}

void GroupConsumer::Begin(const PartitionId& partition, const Aside& aside, const Position& position, Told& told) {
  Assigned assigned{partition, position.committed, position.metadata, position.end};
  if (aside.out_of_range >= 0) {
    const std::string was = Name(partition) + ": offset " + std::to_string(aside.out_of_range);
    if (aside.out_of_range < position.start) {
      reading_[partition] = {position.start};
      told.moved.emplace_back(partition, position.start);
      return told.alarms.push_back(was + " was removed by retention, going on from the start of the partition at " +
                                   std::to_string(position.start));
    }
    if (aside.out_of_range <= position.end) {  // it is there after all
      reading_[partition] = {aside.out_of_range};
      return;
    }
    assigned.next_offset = -1;
    told.made_anew.insert(partition.topic);
    told.alarms.push_back(was + " is beyond the end at " + std::to_string(position.end) +
                          ": the log was cut or made anew, reading again from the start of the partition");
  } else if (aside.missing_ms != 0) {
    missing_.erase(partition);
    // All that is there came after its topic was missing: it is another topic, whatever was committed since.
    if (position.since == position.start || position.start == position.end) assigned.next_offset = -1;
  }
  if (assigned.next_offset < 0) {
    assigned.next_offset = position.start;
    assigned.metadata.clear();
  }
  paused_.erase(partition);
  reading_[partition] = {callbacks_.begin(partition, assigned.next_offset, assigned.metadata)};
  told.assigned.push_back(std::move(assigned));
}

PartitionList GroupConsumer::Positions() const {
  std::vector<PartitionId> ids;
  for (const auto& [partition, reading] : reading_) ids.push_back(partition);
  auto list = ListOf(ids);
  rd_kafka_position(client_.get(), list.get());
  for (int i = 0; i < list->cnt; ++i) {
    auto& entry = list->elems[i];
    const Reading& reading = reading_.at({entry.topic, entry.partition});
    if (reading.fresh || entry.offset < 0) entry.offset = reading.begin;  // < 0: nothing was read yet
  }
  return list;
}

// The library takes no partitions in one by one: all are assigned anew, those that it reads at their positions.
bool GroupConsumer::ReadAll() {
  const auto list = Positions();
  for (int i = 0; i < list->cnt; ++i) {  // the library forgets a position when it begins anew
    reading_.at({list->elems[i].topic, list->elems[i].partition}).begin = list->elems[i].offset;
  }
  const auto error = rd_kafka_assign(client_.get(), list.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    callbacks_.alarm(std::string("partitions cannot be read, joining again: ") + rd_kafka_err2str(error));
    Rejoin();
    return false;
  }
  for (auto& [partition, reading] : reading_) {
    // It keeps a pause from one assignment to the next.
    if (std::exchange(reading.fresh, false) && !paused_.contains(partition)) Resume(partition);
  }
  for (const PartitionId& each : std::set<PartitionId>(paused_)) Pause(each);
  return true;
}

// The library has given the partition up.
void GroupConsumer::OutOfRange(const PartitionId& partition) {
  if (!reading_.contains(partition)) return;
  const auto positions = Positions();
  Aside aside;
  aside.out_of_range =
      rd_kafka_topic_partition_list_find(positions.get(), partition.topic.c_str(), partition.partition)->offset;
  reading_.erase(partition);
  aside_[partition] = std::move(aside);
  again_ms_ = kAgainMs;
  again_.StartOnce(again_ms_);
}

// What was known of its partitions is void, and is not committed any more: the topic may be there again already.
void GroupConsumer::TopicMissing(const std::string& topic) {
  auto gone = SetAside(topic);
  if (gone.empty()) return;
  ReadAll();
  callbacks_.revoked(std::move(gone), true);
}

std::vector<PartitionId> GroupConsumer::SetAside(const std::string& topic) {
  std::vector<PartitionId> gone;
  for (const auto& [partition, reading] : reading_) {
    if (partition.topic == topic && !reading.fresh) gone.push_back(partition);
  }
  for (const PartitionId& partition : gone) {
    reading_.erase(partition);
    missing_[partition] = WallMs();
    aside_[partition].missing_ms = missing_[partition];
  }
  if (gone.empty()) return gone;
  again_ms_ = kAgainMs;
  again_.StartOnce(again_ms_);
  return gone;
}

}  // namespace hearth::kafka
