#include "common/kafka/consumer.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace hearth::kafka {
namespace {

constexpr int kCommitTimeoutMs = 2000;    // that a commit is waited for
constexpr int kMaxRecordsPerTurn = 2000;  // then the loop serves others before it goes on

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

Result<std::unique_ptr<GroupConsumer>> GroupConsumer::Create(Loop& loop, const std::string& bootstrap,
                                                             const std::string& client_id, const std::string& group,
                                                             const std::vector<std::string>& topics,
                                                             Callbacks callbacks) {
  auto conf = MakeConf(bootstrap, client_id,
                       {{"group.id", group},
                        {"enable.auto.commit", "false"},
                        {"enable.auto.offset.store", "false"},
                        {"auto.offset.reset", "error"},
                        {"partition.assignment.strategy", "roundrobin"},
                        {"session.timeout.ms", "6000"},
                        {"heartbeat.interval.ms", "1000"},
                        {"max.poll.interval.ms", "60000"},
                        // Soon enough for a topic that was made anew, or got partitions.
                        {"topic.metadata.refresh.interval.ms", "5000"},
                        {"enable.partition.eof", "true"},
                        {"fetch.error.backoff.ms", "20"},
                        {"queued.max.messages.kbytes", "65536"}});
  if (!conf) return std::unexpected(conf.error());
  auto consumer = std::unique_ptr<GroupConsumer>(new GroupConsumer(loop, std::move(callbacks)));
  rd_kafka_conf_set_opaque(conf->get(), consumer.get());
  rd_kafka_conf_set_rebalance_cb(
      conf->get(), [](rd_kafka_t*, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions, void* self) {
        static_cast<GroupConsumer*>(self)->Rebalance(what, partitions);
      });
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  consumer->client_ = std::move(*client);
  rd_kafka_poll_set_consumer(consumer->client_.get());
  PartitionList subscription(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const auto& topic : topics) {
    rd_kafka_topic_partition_list_add(subscription.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  if (const auto error = rd_kafka_subscribe(consumer->client_.get(), subscription.get());
      error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, std::string("subscribe: ") + rd_kafka_err2str(error));
  }
  auto* self = consumer.get();
  consumer->finder_ = std::make_unique<PositionFinder>(
      loop, self->client_.get(),
      [self](std::uint64_t ticket, const std::vector<PositionAnswer>& answers) { self->Found(ticket, answers); });
  consumer->doorbell_ = std::make_unique<Doorbell>(loop, Queue(rd_kafka_queue_get_consumer(self->client_.get())),
                                                   [self] { self->Drain(); });
  return consumer;
}

GroupConsumer::GroupConsumer(Loop& loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), again_(loop, [this] { AskAside(); }) {}

GroupConsumer::~GroupConsumer() {
  Close();
}

void GroupConsumer::Close() {
  if (closed_) return;
  closed_ = true;
  doorbell_.reset();
  finder_.reset();
  again_.Cancel();
  rd_kafka_consumer_close(client_.get());
  client_.reset();
}

void GroupConsumer::Drain() {
  if (closed_ || draining_) return;  // a callback that commits must not start a second drain
  draining_ = true;
  for (int count = 0; count < kMaxRecordsPerTurn && !closed_; ++count) {
    const Message message(rd_kafka_consumer_poll(client_.get(), 0));
    if (!message) break;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      TakeError(*message);
    } else {
      callbacks_.record(std::make_shared<const Record>(ToRecord(*message)));
    }
    if (count + 1 == kMaxRecordsPerTurn) loop_.Post([this] { Drain(); });
  }
  draining_ = false;
}

void GroupConsumer::TakeError(const rd_kafka_message_t& message) {
  const PartitionId partition{message.rkt == nullptr ? "" : rd_kafka_topic_name(message.rkt), message.partition};
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return callbacks_.caught_up(partition, message.offset);
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
  loop_.Post([this] {
    if (closed_) return;
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
