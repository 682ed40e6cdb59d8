#include "common/kafka/producer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "schemas/limits.h"

namespace hearth::kafka {
namespace {

static_assert(kByKey == RD_KAFKA_PARTITION_UA);

constexpr std::size_t kMostGathered = 256;  // records of one turn of the loop that wait for its end

Code CodeOf(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return Code::kNotFound;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: return Code::kExhausted;
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return Code::kInvalid;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE: return Code::kCancelled;
    default: return Code::kUnavailable;
  }
}

}  // namespace

bool IsPermanent(const Error& error) {
  return error.code == Code::kExhausted;
}

bool IsPurged(const Error& error) {
  return error.code == Code::kCancelled;
}

Result<std::unique_ptr<Producer>> Producer::Create(Loop& loop, const std::string& bootstrap,
                                                   const std::string& client_id, int linger_ms) {
  auto producer = std::unique_ptr<Producer>(new Producer(loop));
  producer->bootstrap_ = bootstrap;
  producer->client_id_ = client_id;
  producer->linger_ms_ = linger_ms;
  if (auto opened = producer->Open(); !opened) return std::unexpected(opened.error());
  return producer;
}

Result<void> Producer::Open() {
  auto conf = MakeConf(bootstrap_, client_id_,
                       {{"enable.idempotence", "true"},
                        {"acks", "all"},
                        {"linger.ms", std::to_string(linger_ms_)},
                        {"partitioner", "murmur2_random"},
                        {"message.timeout.ms", "0"},
                        {"message.max.bytes", std::to_string(kMaxTopicRecordBytes)},
                        {"topic.metadata.propagation.max.ms", std::to_string(kUnknownTopicMs)},
                        {"queue.buffering.max.messages", "1000000"}});
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), this);
  rd_kafka_conf_set_dr_msg_cb(conf->get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    static_cast<Producer*>(opaque)->Finish(std::unique_ptr<Pending>(static_cast<Pending*>(message->_private)),
                                           message->err, message->offset);
  });
  auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  client_ = std::move(*client);
  doorbell_ = std::make_unique<Doorbell>(loop_, Queue(rd_kafka_queue_get_main(client_.get())), [this] { Drain(); });
  return {};
}

Producer::~Producer() {
  closing_ = true;
  doorbell_.reset();
  topics_.clear();
  if (client_) {
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(client_.get(), 0);  // frees what waits; no callback is called while closing
  }
}

rd_kafka_topic_t* Producer::TopicHandle(const std::string& name) {
  // A handle made ahead: the first record to an unknown topic is otherwise a second late (librdkafka issue 5032).
  auto found = topics_.find(name);
  if (found == topics_.end()) {
    if (topics_.size() >= kMaxCachedTopics) topics_.erase(topics_.begin());
    found = topics_.emplace(name, Topic(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr))).first;
  }
  return found->second.get();
}

void Producer::Send(SharedRecord record, Delivered done) {
  ++outstanding_;
  gathered_.push_back(std::make_unique<Pending>(Pending{std::move(record), std::move(done)}));
  if (gathered_.size() >= kMostGathered) HandOver();
}

void Producer::HandOver() {
  // A record that is refused at once is answered from here, and whoever hears of it may send another.
  for (auto& pending : std::exchange(gathered_, {})) Submit(std::move(pending));
}

void Producer::SendTombstone(const std::string& topic, const std::string& key, Delivered done) {
  OutRecord record{topic, key, "", {}};
  record.null_value = true;
  Send(std::move(record), std::move(done));
}

void Producer::Submit(std::unique_ptr<Pending> pending) {
  const OutRecord& record = *pending->record;
  rd_kafka_topic_t* topic = TopicHandle(record.topic);
  if (topic == nullptr) return Finish(std::move(pending), rd_kafka_last_error());
  std::unique_ptr<rd_kafka_headers_t, Deleter<rd_kafka_headers_destroy>> headers(
      rd_kafka_headers_new(record.headers.size()));
  for (const auto& [name, value, null] : record.headers) {
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), null ? nullptr : value.data(),
                        static_cast<ssize_t>(value.size()));
  }
  // The bytes stay in Pending until the delivery report, so librdkafka need not copy them.
  const auto error = rd_kafka_producev(
      client_.get(), RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record.partition),
      RD_KAFKA_V_KEY(record.null_key ? nullptr : record.key.data(), record.key.size()),
      RD_KAFKA_V_VALUE(record.null_value ? nullptr : const_cast<char*>(record.value.data()), record.value.size()),
      RD_KAFKA_V_HEADERS(headers.get()), RD_KAFKA_V_OPAQUE(pending.get()), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    (void)headers.release();  // producev owns them once it has succeeded
    (void)pending.release();  // comes back in the delivery report
    return;
  }
  if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL || error == RD_KAFKA_RESP_ERR__FATAL) {
    overflow_.push_back(std::move(pending));
    return;
  }
  Finish(std::move(pending), error);
}

void Producer::Finish(std::unique_ptr<Pending> pending, rd_kafka_resp_err_t error, std::int64_t offset) {
  if (closing_) return;
  const bool purged = error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
  const bool again = error == RD_KAFKA_RESP_ERR__FATAL || (purged && reopening_);
  if (again) {
    overflow_.push_back(std::move(pending));
    return;
  }
  --outstanding_;
  if (!pending->done) return;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return pending->done(std::max(offset, kUnknownOffset));
  pending->done(Fail(CodeOf(error), "topic " + pending->record->topic + ": " + rd_kafka_err2str(error)));
}

void Producer::Drain() {
  while (rd_kafka_poll(client_.get(), 0) > 0) {}
  std::array<char, 256> reason{};
  if (rd_kafka_fatal_error(client_.get(), reason.data(), reason.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) Reopen();
  for (std::size_t left = overflow_.size(); left > 0; --left) {
    auto pending = std::move(overflow_.front());
    overflow_.pop_front();
    Submit(std::move(pending));
  }
}

// An idempotent producer never recovers from a fatal error (librdkafka issue 4438): what was not acknowledged is sent
// again by a new one. Readers keep the first result of an id.
void Producer::Reopen() {
  reopening_ = true;
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  while (rd_kafka_poll(client_.get(), 10) > 0) {}
  reopening_ = false;
  topics_.clear();
  doorbell_.reset();
  client_.reset();
  (void)Open();  // the same settings were accepted before
}

void Producer::PurgeUnsent() {
  for (auto& given_up : std::exchange(gathered_, {})) Finish(std::move(given_up), RD_KAFKA_RESP_ERR__PURGE_QUEUE);
  for (auto given_up = std::exchange(overflow_, {}); !given_up.empty(); given_up.pop_front()) {
    Finish(std::move(given_up.front()), RD_KAFKA_RESP_ERR__PURGE_QUEUE);
  }
  // The idempotent client counts what is in flight: only the queue may go.
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE);
  while (rd_kafka_poll(client_.get(), 0) > 0) {}
}

bool Producer::Flush(std::int64_t timeout_ms) {
  HandOver();
  Drain();
  return rd_kafka_flush(client_.get(), static_cast<int>(timeout_ms)) == RD_KAFKA_RESP_ERR_NO_ERROR && overflow_.empty();
}

}  // namespace hearth::kafka
