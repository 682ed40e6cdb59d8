#include "common/kafka/handle.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <future>
#include <thread>

namespace hearth::kafka {
namespace {

constexpr std::int64_t kDoorbellPeriodMs = 100;
constexpr std::int64_t kDiscardMs = 2000;

}  // namespace

Result<Conf> MakeConf(const std::string& bootstrap, const std::string& client_id,
                      const std::vector<Setting>& settings) {
  std::vector<Setting> all = {
      {"bootstrap.servers", bootstrap},
      {"client.id", client_id},
      {"socket.nagle.disable", "true"},
      {"socket.keepalive.enable", "true"},
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "1000"},
      {"topic.metadata.refresh.interval.ms", "60000"},
      {"allow.auto.create.topics", "false"},
      {"log_level", "3"},
  };
  all.insert(all.end(), settings.begin(), settings.end());
  Conf conf(rd_kafka_conf_new());
  std::array<char, 512> reason{};
  for (const auto& [name, value] : all) {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), reason.data(), reason.size()) != RD_KAFKA_CONF_OK) {
      return Fail(Code::kInvalid, "kafka setting " + name + ": " + reason.data());
    }
  }
  // What the library would print reaches us as errors of calls, records and deliveries.
  rd_kafka_conf_set_log_cb(conf.get(), nullptr);
  return conf;
}

Result<Client> MakeClient(rd_kafka_type_t type, Conf conf) {
  std::array<char, 512> reason{};
  Client client(rd_kafka_new(type, conf.get(), reason.data(), reason.size()));
  if (!client) return Fail(Code::kInvalid, std::string("kafka client: ") + reason.data());
  (void)conf.release();  // rd_kafka_new owns the configuration only once it has succeeded
  return client;
}

void Discard(Client consumer) {
  std::promise<void> done;
  const auto ended = done.get_future();
  std::thread([raw = consumer.release(), done = std::move(done)]() mutable {
    rd_kafka_destroy(raw);
    done.set_value();
  }).detach();
  ended.wait_for(std::chrono::milliseconds(kDiscardMs));
}

Result<Client> MakeReader(const std::string& bootstrap, const std::string& client_id, const char* reset,
                          bool tells_ends) {
  auto conf = MakeConf(bootstrap, client_id,
                       {{"group.id", client_id + "-reader"},  // required by the library; no group is joined
                        {"enable.auto.commit", "false"},
                        {"enable.partition.eof", tells_ends ? "true" : "false"},
                        {"auto.offset.reset", reset}});
  if (!conf) return std::unexpected(conf.error());
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (client) rd_kafka_poll_set_consumer(client->get());
  return client;
}

Result<std::int32_t> CountPartitions(rd_kafka_t* client, const std::string& bootstrap, const std::string& topic,
                                     std::int64_t timeout_ms) {
  const Topic handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error = rd_kafka_metadata(client, 0, handle.get(), &raw, static_cast<int>(timeout_ms));
  const Metadata metadata(raw);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, "kafka at " + bootstrap + ": " + rd_kafka_err2str(error));
  }
  if (metadata->topic_cnt != 1 || metadata->topics[0].partition_cnt == 0) {
    return Fail(Code::kNotFound, "no topic " + topic + " (hearth topics create makes hearth's own)");
  }
  return metadata->topics[0].partition_cnt;
}

std::string Name(const PartitionId& partition) {
  return partition.topic + "/" + std::to_string(partition.partition);
}

PartitionList ListOf(const std::vector<PartitionId>& partitions) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const auto& [topic, number] : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), number);
  }
  return list;
}

Record ToRecord(const rd_kafka_message_t& message) {
  Record record;
  record.partition = {rd_kafka_topic_name(message.rkt), message.partition};
  record.offset = message.offset;
  rd_kafka_timestamp_type_t kind{};
  const std::int64_t timestamp_ms = rd_kafka_message_timestamp(&message, &kind);
  if (kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) record.timestamp_ms = KnownTimeMs(timestamp_ms);
  record.null_key = message.key == nullptr;
  record.null_value = message.payload == nullptr;
  if (message.key != nullptr) record.key.assign(static_cast<const char*>(message.key), message.key_len);
  if (message.payload != nullptr) record.value.assign(static_cast<const char*>(message.payload), message.len);
  rd_kafka_headers_t* headers = nullptr;  // owned by the message
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    record.headers.reserve(rd_kafka_header_cnt(headers));
    for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      Header& header = record.headers.emplace_back();
      header.name = name;
      header.null = value == nullptr;
      if (value != nullptr) header.value.assign(static_cast<const char*>(value), size);
    }
  }
  return record;
}

Doorbell::Doorbell(Loop& loop, Queue queue, std::function<void()> drain)
    : queue_(std::move(queue)),
      event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      drain_(std::move(drain)),
      timer_(loop, [this] { drain_(); }) {
  const std::uint64_t one = 1;
  rd_kafka_queue_io_event_enable(queue_.get(), event_, &one, sizeof one);
  watch_ = std::make_unique<ReadableWatch>(loop, event_, [this] {
    std::uint64_t count = 0;
    (void)!read(event_, &count, sizeof count);
    drain_();
  });
  timer_.StartEvery(kDoorbellPeriodMs);
}

Doorbell::~Doorbell() {
  rd_kafka_queue_io_event_enable(queue_.get(), -1, nullptr, 0);
  watch_.reset();
  close(event_);
}

}  // namespace hearth::kafka
