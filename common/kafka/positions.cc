#include "common/kafka/positions.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/time.h"

namespace hearth::kafka {
namespace {

constexpr int kGroupTimeoutMs = 2000;           // what is committed, and who leads
constexpr int kLeaderTimeoutMs = 1000;          // of one request to a leader
constexpr std::int64_t kLogsTimeoutMs = 2000;   // of all that is asked of leaders in one round
constexpr std::int64_t kStart = -2, kEnd = -1;  // instead of a time, as the protocol has it
constexpr std::int32_t kNoLeader = -1;

struct Asked {
  PositionQuestion question;
  std::int32_t leader = kNoLeader;
  Position position;
  std::optional<Error> error;

  void Fail(const std::string& what, rd_kafka_resp_err_t why) {
    if (!error) error = Error{Code::kUnavailable, what + ": " + rd_kafka_err2str(why)};
  }
};
using Group = std::vector<Asked*>;

PartitionList ListOf(const Group& group) {
  std::vector<PartitionId> ids;
  for (const Asked* asked : group) ids.push_back(asked->question.partition);
  return kafka::ListOf(ids);
}

// The entries of a list that was answered are found by name: their order is the library's.
const rd_kafka_topic_partition_t* EntryOf(rd_kafka_topic_partition_list_t* list, const Asked& asked) {
  const PartitionId& id = asked.question.partition;
  return rd_kafka_topic_partition_list_find(list, id.topic.c_str(), id.partition);
}

void AskCommitted(rd_kafka_t* client, const Group& group) {
  const auto list = ListOf(group);
  const auto whole = rd_kafka_committed(client, list.get(), kGroupTimeoutMs);
  for (Asked* asked : group) {
    const auto* entry = EntryOf(list.get(), *asked);
    const auto error = whole != RD_KAFKA_RESP_ERR_NO_ERROR ? whole : entry->err;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      asked->Fail("what is committed", error);
      continue;
    }
    asked->position.committed = std::max<std::int64_t>(entry->offset, -1);
    if (entry->metadata != nullptr) {
      asked->position.metadata.assign(static_cast<char*>(entry->metadata), entry->metadata_size);
    }
  }
}

void TakeLeader(const rd_kafka_metadata_t& metadata, Asked& asked) {
  const PartitionId& id = asked.question.partition;
  for (int i = 0; i < metadata.topic_cnt; ++i) {
    const auto& topic = metadata.topics[i];
    if (id.topic != topic.topic) continue;
    if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) return asked.Fail("its topic", topic.err);
    for (int j = 0; j < topic.partition_cnt; ++j) {
      if (topic.partitions[j].id == id.partition) asked.leader = topic.partitions[j].leader;
    }
  }
  if (asked.leader == kNoLeader) asked.Fail("its leader", RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
}

PartitionCounts CountsOf(const rd_kafka_metadata_t& metadata, const std::vector<std::string>& topics) {
  PartitionCounts counts;
  for (int i = 0; i < metadata.topic_cnt; ++i) {
    const auto& topic = metadata.topics[i];
    const bool asked = std::find(topics.begin(), topics.end(), topic.topic) != topics.end();
    if (asked && topic.err == RD_KAFKA_RESP_ERR_NO_ERROR) counts[topic.topic] = topic.partition_cnt;
  }
  return counts;
}

PartitionCounts AskLeaders(rd_kafka_t* client, const std::vector<std::string>& topics, const Group& group) {
  std::map<std::string, Topic> known;  // so that the request below is about them
  for (const std::string& name : topics) known.emplace(name, rd_kafka_topic_new(client, name.c_str(), nullptr));
  for (const Asked* asked : group) {
    const std::string& name = asked->question.partition.topic;
    if (!known.contains(name)) known.emplace(name, rd_kafka_topic_new(client, name.c_str(), nullptr));
  }
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error = rd_kafka_metadata(client, 0, nullptr, &raw, kGroupTimeoutMs);
  const Metadata metadata(raw);
  for (Asked* asked : group) {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      asked->Fail("its leader", error);
    } else {
      TakeLeader(*metadata, *asked);
    }
  }
  return metadata ? CountsOf(*metadata, topics) : PartitionCounts{};
}

// Of partitions with one leader; `when` names the time for each. A request fails as a whole: then each is asked for
// itself.
void AskOffsets(rd_kafka_t* client, const Group& group, const std::function<std::int64_t(const Asked&)>& when,
                std::int64_t Position::* where, std::int64_t deadline_us) {
  const std::int64_t left_ms = (deadline_us - ReadClocks().mono_us) / kMicrosPerMilli;
  const auto list = ListOf(group);
  for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = when(*group[static_cast<std::size_t>(i)]);
  const auto error = left_ms <= 0
                         ? RD_KAFKA_RESP_ERR__TIMED_OUT
                         : rd_kafka_offsets_for_times(
                               client, list.get(), static_cast<int>(std::min<std::int64_t>(left_ms, kLeaderTimeoutMs)));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR && group.size() > 1) {
    for (Asked* asked : group) AskOffsets(client, {asked}, when, where, deadline_us);
    return;
  }
  for (Asked* asked : group) {
    const auto* entry = EntryOf(list.get(), *asked);
    const auto failed = error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : entry->err;
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) asked->Fail("its log at broker " + std::to_string(asked->leader), failed);
    asked->position.*where = entry->offset;
  }
}

Group Fine(std::vector<Asked>& all) {
  Group group;
  for (Asked& asked : all) {
    if (!asked.error) group.push_back(&asked);
  }
  return group;
}

void AskLogs(rd_kafka_t* client, std::vector<Asked>& all) {
  const std::int64_t deadline_us = ReadClocks().mono_us + kLogsTimeoutMs * kMicrosPerMilli;
  std::map<std::int32_t, Group> by_leader;
  for (Asked* asked : Fine(all)) by_leader[asked->leader].push_back(asked);
  for (auto& [leader, group] : by_leader) {
    AskOffsets(client, group, [](const Asked&) { return kStart; }, &Position::start, deadline_us);
    std::erase_if(group, [](const Asked* asked) { return asked->error.has_value(); });
    if (!group.empty()) AskOffsets(client, group, [](const Asked&) { return kEnd; }, &Position::end, deadline_us);
    std::erase_if(group, [](const Asked* asked) { return asked->error || asked->question.since_ms == 0; });
    if (group.empty()) continue;
    AskOffsets(
        client, group, [](const Asked& asked) { return asked.question.since_ms; }, &Position::since, deadline_us);
  }
}

std::pair<std::vector<PositionAnswer>, PartitionCounts> Answer(rd_kafka_t* client,
                                                               const std::vector<std::string>& topics,
                                                               std::vector<PositionQuestion> questions) {
  std::vector<Asked> all;
  for (auto& question : questions) all.push_back({std::move(question), kNoLeader, {}, {}});
  AskCommitted(client, Fine(all));
  PartitionCounts counts;
  if (const Group group = Fine(all); !group.empty()) counts = AskLeaders(client, topics, group);
  AskLogs(client, all);
  std::vector<PositionAnswer> answers;
  for (Asked& asked : all) {
    PositionAnswer answer{std::move(asked.question.partition), std::move(asked.position)};
    if (asked.error) answer.position = std::unexpected(std::move(*asked.error));
    answers.push_back(std::move(answer));
  }
  return {std::move(answers), std::move(counts)};
}

}  // namespace

std::string DifferentCounts(const PartitionCounts& counts) {
  std::string text;
  bool differ = false;
  for (const auto& [topic, partitions] : counts) {
    differ = differ || partitions != counts.begin()->second;
    text.append(text.empty() ? "" : ", ").append(topic).append(" has ").append(std::to_string(partitions));
  }
  if (!differ) return {};
  return text +
         " partitions: with different numbers a user has several owners, and bounds and shares at each, and what is of "
         "one batch lies apart; make them equal";
}

PositionFinder::PositionFinder(Loop& loop, rd_kafka_t* client, std::vector<std::string> topics, Told told)
    : loop_(loop),
      client_(client),
      topics_(std::move(topics)),
      told_(std::make_shared<Told>(std::move(told))),
      thread_([this] { Work(); }) {}

PositionFinder::~PositionFinder() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void PositionFinder::Ask(std::uint64_t ticket, std::vector<PositionQuestion> questions) {
  if (questions.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(rounds_, [ticket](const Round& round) { return round.ticket != ticket; });
    rounds_.push_back({ticket, std::move(questions)});
  }
  wake_.notify_one();
}

void PositionFinder::Work() {
  while (true) {
    Round round;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !rounds_.empty(); });
      if (ending_) return;
      round = std::move(rounds_.front());
      rounds_.pop_front();
    }
    loop_.Post([told = std::weak_ptr<Told>(told_), ticket = round.ticket,
                answer = Answer(client_, topics_, std::move(round.questions))] {
      if (const auto alive = told.lock()) (*alive)(ticket, answer.first, answer.second);
    });
  }
}

}  // namespace hearth::kafka
