#include "common/kafka/consumer.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "common/base/time.h"

namespace hearth::kafka {
namespace {

constexpr int kCommitTimeoutMs = 2000;  // that a commit is waited for
constexpr int kLeaveStepMs = 20;
constexpr std::int64_t kLeaveTimeoutMs = 2000;   // that leaving is waited for
constexpr std::int64_t kBeatsOfASession = 6;     // heartbeats: so many may be late
constexpr std::int64_t kLongerSessionMs = 6000;  // as short as brokers take by default
constexpr int kMaxRecordsPerTurn = 2000;         // then the loop serves others before it goes on

PartitionList Offsets(const std::vector<OffsetCommit>& commits) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(commits.size())));
  for (const auto& [partition, offset, metadata] : commits) {
    auto* entry = rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
    entry->offset = offset;
    if (metadata.empty()) continue;
    entry->metadata = malloc(metadata.size() + 1);  // freed with the list, which uses free
    std::memcpy(entry->metadata, metadata.c_str(), metadata.size() + 1);
    entry->metadata_size = metadata.size();
  }
  return list;
}

std::unexpected<Error> CommitFailed(rd_kafka_resp_err_t error) {
  return Fail(Code::kUnavailable, std::string("commit: ") + rd_kafka_err2str(error));
}

}  // namespace

Result<std::unique_ptr<GroupConsumer>> GroupConsumer::Create(Loop& loop, Membership membership, Callbacks callbacks) {
  auto consumer = std::unique_ptr<GroupConsumer>(new GroupConsumer(loop, std::move(membership), std::move(callbacks)));
  if (auto opened = consumer->Open(); !opened) return std::unexpected(opened.error());
  return consumer;
}

GroupConsumer::GroupConsumer(Loop& loop, Membership membership, Callbacks callbacks)
    : loop_(loop),
      membership_(std::move(membership)),
      callbacks_(std::move(callbacks)),
      again_(loop, [this] { AskAside(); }) {}

GroupConsumer::~GroupConsumer() {
  Close();
}

Result<void> GroupConsumer::Open() {
  std::vector<Setting> settings = {
      {"group.id", membership_.group},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"auto.offset.reset", "error"},
      // Who has a partition of one topic has that of the same number of the others. (Members
      // of an earlier release know roundrobin alone; the group takes what all know.)
      {"partition.assignment.strategy", "range,roundrobin"},
      {"session.timeout.ms", std::to_string(membership_.session_ms)},
      {"heartbeat.interval.ms", std::to_string(membership_.session_ms / kBeatsOfASession)},
      {"max.poll.interval.ms", "60000"},
      // Soon enough for a topic that was made anew, or got partitions.
      {"topic.metadata.refresh.interval.ms", "5000"},
      // After a fetch that failed, so that a topic is seen to be missing for a moment.
      {"topic.metadata.refresh.fast.interval.ms", "20"},
      {"enable.partition.eof", "true"},
      {"fetch.error.backoff.ms", "20"},
      {"queued.max.messages.kbytes", "65536"}};
  if (!membership_.instance.empty()) settings.emplace_back("group.instance.id", membership_.instance);
  auto conf = MakeConf(membership_.bootstrap, membership_.client_id, settings);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), this);
  rd_kafka_conf_set_rebalance_cb(
      conf->get(), [](rd_kafka_t*, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions, void* self) {
        static_cast<GroupConsumer*>(self)->Rebalance(what, partitions);
      });
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  client_ = std::move(*client);
  rd_kafka_poll_set_consumer(client_.get());
  std::vector<PartitionId> subscription;
  for (const auto& topic : membership_.topics) subscription.push_back({topic, RD_KAFKA_PARTITION_UA});
  const auto error = rd_kafka_subscribe(client_.get(), ListOf(subscription).get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, std::string("subscribe: ") + rd_kafka_err2str(error));
  }
  std::vector<std::string> counted = membership_.topics;
  counted.insert(counted.end(), membership_.counted_beside.begin(), membership_.counted_beside.end());
  finder_ = std::make_unique<PositionFinder>(
      loop_, client_.get(), std::move(counted),
      [this](std::uint64_t ticket, const std::vector<PositionAnswer>& answers, const PartitionCounts& counts) {
        if (!closed_ && !counts.empty()) callbacks_.counted(counts);
        Found(ticket, answers);
      });
  doorbell_ = std::make_unique<Doorbell>(loop_, Queue(rd_kafka_queue_get_consumer(client_.get())), [this] { Drain(); });
  return {};
}

void GroupConsumer::Close() {
  if (closed_) return;
  closed_ = true;
  again_.Cancel();
  if (!client_) return;
  doorbell_.reset();
  finder_.reset();
  Leave();
  Shut();
}

void GroupConsumer::Shut() {
  doorbell_.reset();
  finder_.reset();
  rd_kafka_consumer_close(client_.get());  // its revocation commits
  Discard(std::move(client_));
}

// A member with an instance that only closes keeps its seat until the session is over: nobody would read its partitions
// until then. Once it has left it has no member id any more.
void GroupConsumer::Leave() {
  if (membership_.instance.empty()) return;  // leaves by closing
  rd_kafka_unsubscribe(client_.get());
  const std::int64_t deadline_us = ReadClocks().mono_us + kLeaveTimeoutMs * kMicrosPerMilli;
  while (ReadClocks().mono_us < deadline_us) {
    const Message message(rd_kafka_consumer_poll(client_.get(), kLeaveStepMs));  // the revocation comes in here
    char* id = rd_kafka_memberid(client_.get());
    const bool left = id == nullptr || *id == '\0';
    if (id != nullptr) rd_kafka_mem_free(client_.get(), id);
    if (left) return;
  }
}

// The setting of a client is fixed: the group is joined by another one.
void GroupConsumer::TakeLongerSession() {
  callbacks_.alarm("the brokers take no session of " + std::to_string(membership_.session_ms) +
                   " ms, because their group.min.session.timeout.ms is longer: " + std::to_string(kLongerSessionMs) +
                   " ms are used, and so long nobody reads the partitions of a dispatcher that died");
  membership_.session_ms = kLongerSessionMs;
  loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired() || closed_) return;
    Shut();
    if (const auto opened = Open(); !opened) callbacks_.ended(opened.error().message);
  });
}

void GroupConsumer::Drain() {
  if (closed_ || draining_) return;  // a callback that commits must not start a second drain
  draining_ = true;
  for (int count = 0; count < kMaxRecordsPerTurn && !closed_; ++count) {
    const Message message(rd_kafka_consumer_poll(client_.get(), 0));
    if (!message) break;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      TellGathered();
      TakeError(*message);
    } else {
      gathered_.push_back(std::make_shared<const Record>(ToRecord(*message)));
      if (gathered_.size() == kMaxRecordsTold) TellGathered();
    }
    if (count + 1 < kMaxRecordsPerTurn) continue;
    loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) Drain();
    });
  }
  TellGathered();
  draining_ = false;
}

void GroupConsumer::TellGathered() {
  if (!gathered_.empty()) callbacks_.records(std::exchange(gathered_, {}));
}

void GroupConsumer::TakeError(const rd_kafka_message_t& message) {
  const PartitionId partition{message.rkt == nullptr ? "" : rd_kafka_topic_name(message.rkt), message.partition};
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return callbacks_.caught_up(partition, message.offset);
  if (message.err == RD_KAFKA_RESP_ERR__FATAL) return callbacks_.ended(rd_kafka_message_errstr(&message));
  if (message.err == RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT && membership_.session_ms < kLongerSessionMs) {
    return TakeLongerSession();
  }
  const std::string where = message.rkt == nullptr ? "consumer" : Name(partition);
  callbacks_.alarm(where + ": " + rd_kafka_message_errstr(&message));
  if (message.rkt == nullptr) return;
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__NO_OFFSET: return OutOfRange(partition);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return TopicMissing(partition.topic);
    default: return;
  }
}

// Gives the partitions back and joins the group anew.
void GroupConsumer::Rejoin() {
  loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired() || closed_ || !client_) return;
    rd_kafka_topic_partition_list_t* raw = nullptr;
    if (rd_kafka_subscription(client_.get(), &raw) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const PartitionList subscription(raw);
    rd_kafka_unsubscribe(client_.get());
    rd_kafka_subscribe(client_.get(), subscription.get());
  });
}

void GroupConsumer::Commit(const OffsetCommit& commit, std::function<void(Result<void>)> done) {
  if (closed_) return;
  const auto list = Offsets({commit});
  const Queue queue(rd_kafka_queue_get_consumer(client_.get()));
  auto opaque = std::make_unique<std::function<void(Result<void>)>>(std::move(done));
  const auto error = rd_kafka_commit_queue(
      client_.get(), list.get(), queue.get(),
      [](rd_kafka_t*, rd_kafka_resp_err_t outcome, rd_kafka_topic_partition_list_t*, void* raw) {
        const std::unique_ptr<std::function<void(Result<void>)>> report(
            static_cast<std::function<void(Result<void>)>*>(raw));
        if (!*report) return;
        if (outcome == RD_KAFKA_RESP_ERR_NO_ERROR) return (*report)({});
        (*report)(CommitFailed(outcome));
      },
      opaque.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    (void)opaque.release();  // comes back in the callback
  } else if (*opaque) {
    (*opaque)(CommitFailed(error));
  }
}

std::vector<Result<void>> GroupConsumer::CommitNow(const std::vector<OffsetCommit>& commits) {
  const auto all = [&commits](Result<void> outcome) { return std::vector<Result<void>>(commits.size(), outcome); };
  if (commits.empty()) return {};
  if (!client_) return all(Fail(Code::kUnavailable, "commit: the consumer is closed"));
  const auto list = Offsets(commits);
  const Queue answers(rd_kafka_queue_new(client_.get()));
  const auto error = rd_kafka_commit_queue(client_.get(), list.get(), answers.get(), nullptr, nullptr);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return all(CommitFailed(error));
  const Event event(rd_kafka_queue_poll(answers.get(), kCommitTimeoutMs));
  if (!event) {
    return all(Fail(Code::kDeadline, "commit: no answer within " + std::to_string(kCommitTimeoutMs) + " ms"));
  }
  const auto whole = rd_kafka_event_error(event.get());
  auto* answered = rd_kafka_event_topic_partition_list(event.get());
  std::vector<Result<void>> outcomes;
  for (const auto& [partition, offset, metadata] : commits) {
    const auto* entry = answered == nullptr ? nullptr
                                            : rd_kafka_topic_partition_list_find(answered, partition.topic.c_str(),
                                                                                 partition.partition);
    const auto outcome = entry == nullptr || entry->err == RD_KAFKA_RESP_ERR_NO_ERROR ? whole : entry->err;
    outcomes.push_back(outcome == RD_KAFKA_RESP_ERR_NO_ERROR ? Result<void>() : CommitFailed(outcome));
  }
  return outcomes;
}

void GroupConsumer::Pause(const PartitionId& partition) {
  if (closed_) return;
  const auto list = ListOf({partition});
  paused_.insert(partition);
  rd_kafka_pause_partitions(client_.get(), list.get());
}

void GroupConsumer::Resume(const PartitionId& partition) {
  if (closed_) return;
  const auto list = ListOf({partition});
  paused_.erase(partition);
  rd_kafka_resume_partitions(client_.get(), list.get());
}

}  // namespace hearth::kafka
