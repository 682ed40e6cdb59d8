// The partitions of a member: where reading begins in them, and what becomes of those of which nobody can say so.
#include <algorithm>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/consumer.h"

namespace hearth::kafka {
namespace {

constexpr std::int64_t kAgainMs = 100;            // first back-off of a question; doubles
constexpr std::int64_t kMaxAgainMs = 5000;        // and ends here
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
  std::erase_if(missing_, [](const auto& one) { return one.second.seen_ms + kMissingVoidMs < WallMs(); });
  for (int i = 0; i < partitions.cnt; ++i) {
    const PartitionId id{partitions.elems[i].topic, partitions.elems[i].partition};
    const auto missing = missing_.find(id);
    aside_[id].since_ms = missing == missing_.end() ? 0 : missing->second.since_ms;
  }
  rd_kafka_assign(client_.get(), ListOf({}).get());
  again_ms_ = kAgainMs;
  AskAside();
}

void GroupConsumer::AskAside() {
  std::vector<PositionQuestion> questions;
  for (auto& [partition, aside] : aside_) {
    if (std::exchange(aside.asked, true)) continue;
    questions.push_back({partition, aside.since_ms});
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
    begun = Begin(partition, aside, *position, told) || begun;
  }
  if (failed) {
    again_.StartOnce(again_ms_);
    again_ms_ = std::min(again_ms_ * 2, kMaxAgainMs);
  }
  for (const std::string& what : told.alarms) callbacks_.alarm(what);
  for (const std::string& topic : told.made_anew) Doubt(topic);
  if (!begun || !ReadAll()) return;
  if (!told.assigned.empty()) callbacks_.assigned(std::move(told.assigned));
  for (const auto& [partition, start] : told.moved) callbacks_.log_start_moved(partition, start);
}

void GroupConsumer::Postpone(const PartitionId& partition, Aside& aside, const Error& error) {
  aside.asked = false;
  if (std::exchange(aside.reason, error.message) == error.message)
    return;  // one line for each reason, not for each try
  callbacks_.alarm(Name(partition) + ": not read until it is known where to begin: " + error.message);
}

bool GroupConsumer::Begin(const PartitionId& partition, const Aside& aside, const Position& position, Told& told) {
  Assigned assigned{partition, position.committed, position.metadata, position.end};
  if (aside.out_of_range >= 0) {
    const std::string was = Name(partition) + ": offset " + std::to_string(aside.out_of_range);
    if (aside.out_of_range < position.start) {
      reading_[partition] = {.begin = position.start, .newest_ms = WallMs()};
      told.moved.emplace_back(partition, position.start);
      told.alarms.push_back(was + " was removed by retention, going on from the start of the partition at " +
                            std::to_string(position.start));
      return true;
    }
    if (aside.out_of_range <= position.end) {  // it is there after all
      reading_[partition] = {.begin = aside.out_of_range, .newest_ms = WallMs()};
      return true;
    }
    assigned.next_offset = -1;
    told.made_anew.insert(partition.topic);
    told.alarms.push_back(was + " is beyond the end at " + std::to_string(position.end) +
                          ": the log was cut or made anew, reading again from the start of the partition");
  } else if (aside.since_ms != 0) {
    missing_.erase(partition);
    // All that is there is newer than what we had: it is another topic, whatever was committed since.
    const bool another = position.since == position.start || position.start == position.end;
    if (!another && aside.doubted) return false;
    if (another) assigned.next_offset = -1;
  }
  if (assigned.next_offset < 0) {
    assigned.next_offset = position.start;
    assigned.metadata.clear();
  }
  paused_.erase(partition);
  reading_[partition] = {.begin = assigned.next_offset, .newest_ms = WallMs()};
  told.assigned.push_back(std::move(assigned));
  return true;
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
  std::vector<PartitionId> gone;
  for (const auto& [partition, reading] : reading_) {
    if (partition.topic != topic) continue;
    missing_[partition] = {reading.newest_ms + 1, WallMs()};
    aside_[partition] = {};
    aside_[partition].since_ms = reading.newest_ms + 1;
    gone.push_back(partition);
  }
  if (gone.empty()) return;
  for (const PartitionId& partition : gone) reading_.erase(partition);
  again_ms_ = kAgainMs;
  again_.StartOnce(again_ms_);
  ReadAll();
  callbacks_.revoked(std::move(gone), true);
}

// One of its partitions was cut, or the topic was made anew: then another one may be read in the middle.
void GroupConsumer::Doubt(const std::string& topic) {
  for (const auto& [partition, reading] : reading_) {
    if (partition.topic != topic || reading.fresh || aside_.contains(partition)) continue;
    aside_[partition].since_ms = reading.newest_ms + 1;
    aside_[partition].doubted = true;
  }
  again_ms_ = kAgainMs;
  again_.StartOnce(again_ms_);
}

}  // namespace hearth::kafka
