#include "common/kafka/consumer.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace hearth::kafka {
namespace {

constexpr int kBrokerTimeoutMs = 5000;
constexpr int kCommitTimeoutMs = 2000;    // that a commit is waited for
constexpr int kMaxRecordsPerTurn = 2000;  // then the loop serves others before it goes on

PartitionList OnePartition(const PartitionId& partition) {
  PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
  return list;
}

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
  consumer->doorbell_ = std::make_unique<Doorbell>(loop, Queue(rd_kafka_queue_get_consumer(self->client_.get())),
                                                   [self] { self->Drain(); });
  return consumer;
}

GroupConsumer::~GroupConsumer() {
  Close();
}

void GroupConsumer::Close() {
  if (closed_) return;
  closed_ = true;
  doorbell_.reset();
  rd_kafka_consumer_close(client_.get());
  client_.reset();
}

void GroupConsumer::Drain() {
  if (closed_ || draining_) return;  // a callback that commits must not start a second drain
  draining_ = true;
  for (int count = 0; count < kMaxRecordsPerTurn && !closed_; ++count) {
    const Message message(rd_kafka_consumer_poll(client_.get(), 0));
    if (!newly_assigned_.empty()) callbacks_.assigned(std::exchange(newly_assigned_, {}));
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
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return;
  std::string where = message.rkt == nullptr ? "consumer" : rd_kafka_topic_name(message.rkt);
  if (message.rkt != nullptr) where += "/" + std::to_string(message.partition);
  callbacks_.alarm(where + ": " + rd_kafka_message_errstr(&message));
  const bool out_of_range = message.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                            message.err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
                            message.err == RD_KAFKA_RESP_ERR__NO_OFFSET;
  if (out_of_range && message.rkt != nullptr) {
    callbacks_.alarm(where + ": reading again from the start of the partition");
    auto begun = ReadFromStart({rd_kafka_topic_name(message.rkt), message.partition});
    if (!begun) {
      callbacks_.alarm(where + ": that failed, joining again: " + begun.error().message);
      Rejoin();
    }
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

// The library has given the partition up and does not seek in it any more: all are assigned anew, the others at their
// positions. What was known of the partition's offsets is void, so it is told as assigned, from its start and with
// nothing complete.
Result<void> GroupConsumer::ReadFromStart(const PartitionId& partition) {
  rd_kafka_topic_partition_list_t* raw = nullptr;
  auto error = rd_kafka_assignment(client_.get(), &raw);
  const PartitionList list(raw);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = rd_kafka_position(client_.get(), list.get());
  std::int64_t low = 0;
  std::int64_t high = 0;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    error = rd_kafka_query_watermark_offsets(client_.get(), partition.topic.c_str(), partition.partition, &low, &high,
                                             kBrokerTimeoutMs);
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Fail(Code::kUnavailable, rd_kafka_err2str(error));
  first_offsets_[partition] = low;
  for (int i = 0; i < list->cnt; ++i) {
    auto& entry = list->elems[i];
    const PartitionId each{entry.topic, entry.partition};
    if (each == partition || entry.offset < 0) entry.offset = first_offsets_.at(each);  // < 0: nothing was read yet
  }
  error = rd_kafka_assign(client_.get(), list.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Fail(Code::kUnavailable, rd_kafka_err2str(error));
  Resume(partition);
  for (const auto& each : paused_) Pause(each);
  newly_assigned_.push_back({partition, low, ""});
  return {};
}

void GroupConsumer::Rebalance(rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions) {
  if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !closed_) return Assign(partitions);
  std::vector<PartitionId> revoked;
  revoked.reserve(static_cast<std::size_t>(partitions->cnt));
  for (int i = 0; i < partitions->cnt; ++i) {
    revoked.push_back({partitions->elems[i].topic, partitions->elems[i].partition});
  }
  newly_assigned_.clear();
  first_offsets_.clear();
  paused_.clear();
  callbacks_.revoked(std::move(revoked), rd_kafka_assignment_lost(client_.get()) != 0);
  rd_kafka_assign(client_.get(), nullptr);
}

void GroupConsumer::Assign(rd_kafka_topic_partition_list_t* partitions) {
  auto error = rd_kafka_committed(client_.get(), partitions, kBrokerTimeoutMs);
  for (int i = 0; i < partitions->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    auto& entry = partitions->elems[i];
    error = entry.err;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) break;
    Assigned assigned{{entry.topic, entry.partition}, entry.offset, ""};
    if (entry.metadata != nullptr) assigned.metadata.assign(static_cast<char*>(entry.metadata), entry.metadata_size);
    if (entry.offset < 0) {
      std::int64_t low = 0;
      std::int64_t high = 0;
      error =
          rd_kafka_query_watermark_offsets(client_.get(), entry.topic, entry.partition, &low, &high, kBrokerTimeoutMs);
      entry.offset = assigned.next_offset = low;
    }
    first_offsets_[assigned.partition] = entry.offset;
    newly_assigned_.push_back(std::move(assigned));
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    // Without the committed state nothing may be read: give the partitions back and join again.
    callbacks_.alarm(std::string("committed offsets cannot be read, joining again: ") + rd_kafka_err2str(error));
    newly_assigned_.clear();
    rd_kafka_assign(client_.get(), nullptr);
    Rejoin();
    return;
  }
  ResumeAll(*partitions);
  rd_kafka_assign(client_.get(), partitions);
}

// The library keeps a pause from one assignment to the next.
void GroupConsumer::ResumeAll(const rd_kafka_topic_partition_list_t& partitions) {
  const PartitionList copy(rd_kafka_topic_partition_list_copy(&partitions));  // gets an error for what is not known yet
  rd_kafka_resume_partitions(client_.get(), copy.get());
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
  const auto list = OnePartition(partition);
  paused_.insert(partition);
  rd_kafka_pause_partitions(client_.get(), list.get());
}

void GroupConsumer::Resume(const PartitionId& partition) {
  if (closed_) return;
  const auto list = OnePartition(partition);
  paused_.erase(partition);
  rd_kafka_resume_partitions(client_.get(), list.get());
}

}  // namespace hearth::kafka
