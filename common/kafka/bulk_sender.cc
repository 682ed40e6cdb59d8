#include "common/kafka/bulk_sender.h"

#include <array>
#include <utility>

#include "common/base/time.h"
#include "schemas/limits.h"

namespace hearth::kafka {
namespace {

constexpr std::int64_t kTurnMs = 100;

Code CodeOf(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return Code::kNotFound;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: return Code::kExhausted;
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return Code::kInvalid;
    default: return Code::kUnavailable;
  }
}

}  // namespace

struct BulkSender::State {
  Acknowledged acknowledged;
  std::string name;  // of the partition
  std::int64_t unacknowledged = 0;
  std::int64_t last_offset = -1;
  std::int64_t heard_us = 0;  // monotonic; the last acknowledgement, or when nothing was on its way
  std::optional<Error> failed;

  void Take(const rd_kafka_message_t& message) {
    --unacknowledged;
    heard_us = ReadClocks().mono_us;
    if (failed) return;
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failed = Error{CodeOf(message.err), name + ": " + rd_kafka_err2str(message.err)};
    } else if (message.offset <= last_offset) {
      // Also where a broker that has it already does not say where.
      failed = Error{Code::kInternal, name + ": the brokers do not say where a record lies"};
    } else {
      last_offset = message.offset;
      acknowledged(message.offset);
    }
  }
};

BulkSender::BulkSender(Client client, Topic topic, PartitionId partition, std::unique_ptr<State> state)
    : state_(std::move(state)),
      partition_(std::move(partition)),
      client_(std::move(client)),
      topic_(std::move(topic)) {}

Result<BulkSender> BulkSender::Open(const std::string& bootstrap, const std::string& client_id, PartitionId partition,
                                    Acknowledged acknowledged) {
  auto state = std::make_unique<State>();
  state->acknowledged = std::move(acknowledged);
  state->name = Name(partition);
  // Batches are small and not compressed: who reads a few records from the middle of one is sent all of it.
  auto conf = MakeConf(bootstrap, client_id,
                       {{"enable.idempotence", "true"},
                        {"acks", "all"},
                        {"linger.ms", "5"},
                        {"batch.size", "262144"},
                        {"message.timeout.ms", "0"},
                        {"message.max.bytes", std::to_string(kMaxTopicRecordBytes)},
                        {"queue.buffering.max.messages", std::to_string(kBulkQueueRecords)},
                        {"queue.buffering.max.kbytes", std::to_string(kBulkQueueKbytes)}});
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), state.get());
  rd_kafka_conf_set_dr_msg_cb(conf->get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    static_cast<State*>(opaque)->Take(*message);
  });
  auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  Topic topic(rd_kafka_topic_new(client->get(), partition.topic.c_str(), nullptr));
  if (!topic) return Fail(Code::kInvalid, "topic " + partition.topic + ": " + rd_kafka_err2str(rd_kafka_last_error()));
  return BulkSender(std::move(*client), std::move(topic), std::move(partition), std::move(state));
}

BulkSender::BulkSender(BulkSender&&) noexcept = default;

BulkSender::~BulkSender() {
  if (!client_) return;
  state_->failed = Error{Code::kCancelled, ""};  // nobody is told of what is given up
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_poll(client_.get(), 0);
}

Result<void> BulkSender::Poll(std::int64_t timeout_ms) {
  rd_kafka_poll(client_.get(), static_cast<int>(timeout_ms));
  if (state_->failed) return std::unexpected(*state_->failed);
  std::array<char, 256> reason{};
  if (rd_kafka_fatal_error(client_.get(), reason.data(), reason.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, state_->name + ": " + reason.data());
  }
  if (state_->unacknowledged > 0 && ReadClocks().mono_us - state_->heard_us > kBulkSilenceMs * kMicrosPerMilli) {
    return Fail(Code::kUnavailable,
                state_->name + ": nothing was acknowledged for " + std::to_string(kBulkSilenceMs / 1000) + " s");
  }
  return {};
}

Result<void> BulkSender::Send(const OutRecord& record) {
  std::unique_ptr<rd_kafka_headers_t, Deleter<rd_kafka_headers_destroy>> headers(
      rd_kafka_headers_new(record.headers.size()));
  for (const auto& [name, value, null] : record.headers) {
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), null ? nullptr : value.data(),
                        static_cast<ssize_t>(value.size()));
  }
  std::int64_t wait_ms = 0;
  while (true) {
    if (auto fine = Poll(wait_ms); !fine) return fine;
    if (state_->unacknowledged == 0) state_->heard_us = ReadClocks().mono_us;
    const auto error = rd_kafka_producev(
        client_.get(), RD_KAFKA_V_RKT(topic_.get()), RD_KAFKA_V_PARTITION(partition_.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(record.key.data(), record.key.size()),
        RD_KAFKA_V_VALUE(const_cast<char*>(record.value.data()), record.value.size()),
        RD_KAFKA_V_HEADERS(headers.get()), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      (void)headers.release();  // producev owns them once it has succeeded
      ++state_->unacknowledged;
      return {};
    }
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      return Fail(CodeOf(error), state_->name + ": " + rd_kafka_err2str(error));
    }
    wait_ms = kTurnMs;
  }
}

Result<void> BulkSender::Finish() {
  while (state_->unacknowledged > 0) {
    if (auto fine = Poll(kTurnMs); !fine) return fine;
  }
  return Poll(0);
}

}  // namespace hearth::kafka
