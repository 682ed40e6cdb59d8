#include "common/kafka/compacted.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/producer.h"

namespace hearth::kafka {
namespace {

constexpr int kCountTimeoutMs = 2000;
constexpr std::chrono::milliseconds kCountAgainAfter{100};
constexpr int kEndTimeoutMs = 1000;  // of one request for a partition's end
constexpr int kPollMs = 100;

Result<Client> MakeCompactedClient(const CompactedTopic& topic) {
  auto conf = MakeConf(topic.bootstrap, topic.client_id,
                       {{"group.id", topic.client_id + "-compacted"},  // required by the library; none is joined
                        {"enable.auto.commit", "false"},
                        {"enable.partition.eof", "true"},
                        {"isolation.level", "read_committed"},
                        {"fetch.wait.max.ms", "10"},  // how long the end of a partition is waited for
                        {"auto.offset.reset", "earliest"}});
  if (!conf) return std::unexpected(conf.error());
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (client) rd_kafka_poll_set_consumer(client->get());
  return client;
}

void CloseReader(Client client) {
  if (!client) return;
  rd_kafka_consumer_close(client.get());
  Discard(std::move(client));
}

// Only what says that the topic does not exist is kNotFound: what cannot be read is not what is not there.
Result<std::int32_t> CountOnce(rd_kafka_t* client, const CompactedTopic& topic) {
  const Topic handle(rd_kafka_topic_new(client, topic.topic.c_str(), nullptr));
  const rd_kafka_metadata_t* raw = nullptr;
  auto error = rd_kafka_metadata(client, 0, handle.get(), &raw, kCountTimeoutMs);
  const Metadata metadata(raw);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const bool told = metadata->topic_cnt == 1;
    if (told && metadata->topics[0].partition_cnt > 0) return metadata->topics[0].partition_cnt;
    error = told ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  }
  const bool absent = error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  return Fail(absent ? Code::kNotFound : Code::kUnavailable,
              "kafka at " + topic.bootstrap + ": topic " + topic.topic + ": " + rd_kafka_err2str(error));
}

// The last values of the keys of one answer. Where they take too many bytes, those that may lack go, the oldest first.
class Gathered {
 public:
  explicit Gathered(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  // In the order in which they were written. An empty value takes the key away.
  void Take(std::string_view key, std::string_view value, bool may_lack) {
    if (too_large_) return;
    if (const auto old = values_.find(key); old != values_.end()) Erase(old);
    if (value.empty()) return;
    const auto added = values_.emplace(key, Value{std::string(value), may_lack ? ++last_age_ : kMayNotLack}).first;
    if (may_lack) by_age_.emplace(last_age_, added);
    bytes_ += BytesOf(*added);
    while (bytes_ > most_bytes_ && !by_age_.empty()) {
      Erase(by_age_.begin()->second);
      ++lacking_;
    }
    if (bytes_ <= most_bytes_) return;
    too_large_ = true;
    values_.clear();
  }

  // kExhausted: what may not lack takes too many bytes.
  Result<CompactedValues> TakeAll() {
    if (too_large_) return Fail(Code::kExhausted, "more than " + std::to_string(most_bytes_) + " bytes");
    CompactedValues all;
    all.lacking = lacking_;
    all.values.reserve(values_.size());
    while (!values_.empty()) {
      auto node = values_.extract(values_.begin());
      all.values.push_back({std::move(node.key()), std::move(node.mapped().text)});
    }
    return all;
  }

 private:
  static constexpr std::uint64_t kMayNotLack = 0;
  struct Value {
    std::string text;
    std::uint64_t age = kMayNotLack;  // the lower, the older
  };
  using Values = std::map<std::string, Value, std::less<>>;

  static std::size_t BytesOf(const Values::value_type& each) {
    return each.first.size() + each.second.text.size() + kBytesBesideValue;
  }
  void Erase(Values::iterator value) {
    bytes_ -= BytesOf(*value);
    by_age_.erase(value->second.age);
    values_.erase(value);
  }

  std::size_t most_bytes_;
  Values values_;
  std::map<std::uint64_t, Values::iterator> by_age_;  // those that may lack
  std::uint64_t last_age_ = 0;
  std::size_t bytes_ = 0;
  std::size_t lacking_ = 0;
  bool too_large_ = false;
};

// What is asked in one round, and answered one by one. Of a client that is assigned nothing before and after.
class Round {
 public:
  using Told = std::function<void(std::uint64_t ticket, Result<CompactedValues> values)>;
  Round(rd_kafka_t* client, const CompactedTopic& topic, const CompactedReader::Look& look, Told told)
      : client_(client), topic_(topic), look_(look), told_(std::move(told)) {}

  // Without a group: all that is in the partition.
  void Ask(std::uint64_t ticket, std::optional<std::string> group, std::int32_t partition) {
    sources_[partition].asked.push_back({ticket, std::move(group), Gathered(topic_.most_bytes)});
  }

  // Until all are answered, or `ending`: then no more is answered. False: something failed, and the client may be the
  // reason.
  bool Run(const std::atomic<bool>& ending) {
    deadline_us_ = ReadClocks().mono_us + kMostReadMs * kMicrosPerMilli;
    for (auto& [number, source] : sources_) Heard(source);
    while (!sources_.empty() && !ending) {
      AskEnds(ending);
      AssignThoseWithEnds();
      // Those whose leaders say nothing wait for the others, and are then asked again.
      do {
        const Message message(rd_kafka_consumer_poll(client_, kPollMs));
        if (message) Take(*message);
        GiveUpLate();
      } while (IsAnyRead() && !ending);
    }
    rd_kafka_assign(client_, nullptr);
    return !failed_;
  }
  [[nodiscard]] std::int64_t left_out() const { return left_out_; }

 private:
  static constexpr std::int64_t kUnknown = -1;
  struct Asked {
    std::uint64_t ticket = 0;
    std::optional<std::string> group;
    Gathered gathered;
  };
  // One partition of the topic.
  struct Source {
    std::vector<Asked> asked;
    std::int64_t end = kUnknown;   // as its leader said when it was asked; kUnknown: it is not read yet
    std::int64_t deadline_us = 0;  // moved by whatever comes
  };
  using Sources = std::map<std::int32_t, Source>;

  // A leader answers this only where it knows the end itself. Just after a change of the leader, what a fetch says of
  // the end may be less than what was acknowledged (KIP-207).
  void AskEnds(const std::atomic<bool>& ending) {
    for (auto& [number, source] : sources_) {
      if (ending) return;
      std::int64_t start = 0;
      std::int64_t end = 0;
      const auto error =
          rd_kafka_query_watermark_offsets(client_, topic_.topic.c_str(), number, &start, &end, kEndTimeoutMs);
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        last_error_ = rd_kafka_err2str(error);
        continue;
      }
      source.end = end;
    }
  }

  void AssignThoseWithEnds() {
    const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(sources_.size())));
    for (auto& [number, source] : sources_) {
      if (source.end == kUnknown) continue;
      Heard(source);
      rd_kafka_topic_partition_list_add(list.get(), topic_.topic.c_str(), number)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_assign(client_, list.get());
  }
  [[nodiscard]] bool IsAnyRead() const {
    return std::ranges::any_of(sources_, [](const auto& each) { return each.second.end != kUnknown; });
  }
  void Heard(Source& source) const { source.deadline_us = ReadClocks().mono_us + topic_.silence_ms * kMicrosPerMilli; }

  void Take(const rd_kafka_message_t& message) {
    const bool at_end = message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR && !at_end) {
      // The library tries again by itself; what does not heal is silence.
      last_error_ = rd_kafka_message_errstr(&message);
      return;
    }
    const auto source = sources_.find(message.partition);
    if (source == sources_.end()) return;  // answered already
    Heard(source->second);
    if (!at_end) return TakeRecord(source->second, message);
    if (IsWholeEnd(source->second, message)) Finish(source);
  }

  // The end that the library tells is that of what is committed. Acknowledged records may stand behind a transaction
  // that is open, so the end of the whole log counts.
  [[nodiscard]] bool IsWholeEnd(const Source& source, const rd_kafka_message_t& message) const {
    std::int64_t start = 0;
    std::int64_t high = 0;
    const auto error = rd_kafka_get_watermark_offsets(client_, topic_.topic.c_str(), message.partition, &start, &high);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR && message.offset >= std::max(source.end, high);
  }

  void TakeRecord(Source& source, const rd_kafka_message_t& message) {
    const std::string_view key(static_cast<const char*>(message.key), message.key_len);
    const auto record = look_(key, message.len);
    if (!record) {
      ++left_out_;
      return;
    }
    const std::string_view value(static_cast<const char*>(message.payload), message.len);
    for (Asked& asked : source.asked) {
      if (!asked.group || *asked.group == record->group) asked.gathered.Take(key, value, record->may_lack);
    }
  }

  void GiveUpLate() {
    const std::int64_t now_us = ReadClocks().mono_us;
    for (auto source = sources_.begin(); source != sources_.end();) {
      const bool late = now_us >= std::min(source->second.deadline_us, deadline_us_);
      source = late ? GiveUp(source, last_error_.empty() ? "its end does not come" : last_error_) : std::next(source);
    }
  }

  void Finish(Sources::iterator source) {
    for (Asked& asked : source->second.asked) {
      auto values = asked.gathered.TakeAll();
      if (values) {
        told_(asked.ticket, std::move(*values));
      } else {
        told_(asked.ticket, FailWith(Name({topic_.topic, source->first}), values.error()));
      }
    }
    sources_.erase(source);
  }

  Sources::iterator GiveUp(Sources::iterator source, const std::string& why) {
    failed_ = true;
    for (const Asked& asked : source->second.asked) {
      told_(asked.ticket, Fail(Code::kUnavailable, Name({topic_.topic, source->first}) + ": " + why));
    }
    return sources_.erase(source);
  }

  rd_kafka_t* client_;
  const CompactedTopic& topic_;
  const CompactedReader::Look& look_;
  const Told told_;
  Sources sources_;  // that are not answered
  std::string last_error_;
  std::int64_t deadline_us_ = 0;
  std::int64_t left_out_ = 0;
  bool failed_ = false;
};

}  // namespace

std::int32_t PartitionOfKey(std::string_view key, std::int32_t partitions) {
  return rd_kafka_msg_partitioner_murmur2(nullptr, key.data(), key.size(), partitions, nullptr, nullptr);
}

CompactedReader::CompactedReader(Loop& loop, CompactedTopic topic, Look look)
    : loop_(loop),
      topic_(std::move(topic)),
      look_(std::move(look)),
      self_(std::make_shared<CompactedReader*>(this)),
      thread_([this] { Work(); }) {}

CompactedReader::~CompactedReader() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void CompactedReader::Read(const std::string& group, Told told) {
  Ask({0, group, 0}, std::move(told));
}

void CompactedReader::ReadPartition(std::int32_t partition, Told told) {
  Ask({0, std::nullopt, partition}, std::move(told));
}

void CompactedReader::Ask(Question question, Told told) {
  question.ticket = ++last_ticket_;
  told_.emplace(question.ticket, std::move(told));
  {
    const std::lock_guard lock(mutex_);
    questions_.push_back(std::move(question));
  }
  wake_.notify_one();
}

void CompactedReader::Count(Counted counted) {
  counted_.push_back(std::move(counted));
  {
    const std::lock_guard lock(mutex_);
    count_wanted_ = true;
  }
  wake_.notify_one();
}

void CompactedReader::Answer(std::uint64_t ticket, Result<CompactedValues> values) {
  loop_.Post([self = std::weak_ptr(self_), ticket, values = std::move(values)]() mutable {
    const auto alive = self.lock();
    if (!alive) return;
    const auto told = (*alive)->told_.extract(ticket);
    told.mapped()(std::move(values));
  });
}

// A broker that has just begun may not know the topic yet, so one that is not there is looked for as long as the
// producer does.
Result<std::int32_t> CompactedReader::AskCount(Client& client) {
  const std::int64_t until_us = ReadClocks().mono_us + kUnknownTopicMs * kMicrosPerMilli;
  while (true) {
    if (!client) {
      auto made = MakeCompactedClient(topic_);
      if (!made) return std::unexpected(made.error());
      client = std::move(*made);
    }
    auto count = CountOnce(client.get(), topic_);
    if (count || count.error().code != Code::kNotFound || ReadClocks().mono_us >= until_us) return count;
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, kCountAgainAfter, [this] { return ending_.load(); })) return count;
  }
}

void CompactedReader::Work() {
  Client client;
  while (true) {
    std::vector<Question> questions;
    bool count_wanted = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !questions_.empty() || count_wanted_; });
      if (ending_) break;
      questions = std::exchange(questions_, {});
      count_wanted = std::exchange(count_wanted_, false);
    }
    const auto count = AskCount(client);
    if (count_wanted) {
      loop_.Post([self = std::weak_ptr(self_), count] {
        const auto alive = self.lock();
        if (!alive) return;
        for (const Counted& each : std::exchange((*alive)->counted_, {})) each(count);
      });
    }
    if (!count) {
      for (const Question& each : questions) Answer(each.ticket, std::unexpected(count.error()));
      CloseReader(std::exchange(client, nullptr));
      continue;
    }
    Round round(client.get(), topic_, look_,
                [this](std::uint64_t ticket, Result<CompactedValues> values) { Answer(ticket, std::move(values)); });
    for (Question& each : questions) {
      const std::int32_t partition = each.group ? PartitionOfKey(*each.group, *count) : each.partition;
      if (partition < *count) {
        round.Ask(each.ticket, std::move(each.group), partition);
      } else {
        Answer(each.ticket,
               Fail(Code::kNotFound, "topic " + topic_.topic + " has " + std::to_string(*count) +
                                         " partitions, and none of the number " + std::to_string(partition)));
      }
    }
    const bool fine = questions.empty() || round.Run(ending_);
    left_out_ += round.left_out();
    if (!fine) CloseReader(std::exchange(client, nullptr));
  }
  CloseReader(std::exchange(client, nullptr));
}

}  // namespace hearth::kafka
