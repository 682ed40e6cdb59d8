#include "tools/bench/load_client.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/admin.h"

namespace hearth::bench {
namespace {

constexpr std::int64_t kServerTimeoutMs = 10'000;
constexpr std::int64_t kQueueFullMs = 10'000;  // how long a full queue of the client is waited for
constexpr std::size_t kBatch = 1024;           // records that are taken at once
constexpr int kPartitions = 8;                 // as hearth's own topics
constexpr int kLookAtStopMs = 100;

// Adds every partition of the topic at its end, or none.
Result<void> AddEnds(rd_kafka_t* client, const std::string& bootstrap, const std::string& topic,
                     rd_kafka_topic_partition_list_t* list) {
  const auto count = kafka::CountPartitions(client, bootstrap, topic, kServerTimeoutMs);
  if (!count) return std::unexpected(count.error());
  std::vector<std::int64_t> ends;
  for (int i = 0; i < *count; ++i) {
    std::int64_t low = 0;
    const auto error =
        rd_kafka_query_watermark_offsets(client, topic.c_str(), i, &low, &ends.emplace_back(), kServerTimeoutMs);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return Fail(Code::kUnavailable, "topic " + topic + ": " + rd_kafka_err2str(error));
  }
  for (int i = 0; i < *count; ++i) {
    rd_kafka_topic_partition_list_add(list, topic.c_str(), i)->offset = ends[static_cast<std::size_t>(i)];
  }
  return {};
}

// Calls `take` for what is in the queue, at most kBatch and one; waits for the first. The library waits for a whole
// batch where it is given time, so that the first is taken alone.
template <class Take>
void TakeSome(rd_kafka_queue_t* queue, int timeout_ms, Take&& take) {
  std::array<rd_kafka_message_t*, kBatch> batch{};
  const auto take_batch = [&](int wait_ms, std::size_t most) {
    const auto count = rd_kafka_consume_batch_queue(queue, wait_ms, batch.data(), most);
    for (ssize_t i = 0; i < count; ++i) {
      const kafka::Message message(batch[static_cast<std::size_t>(i)]);
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take(*message);
      } else {
        fmt::print(stderr, "hearth-bench: {}\n", rd_kafka_message_errstr(message.get()));
      }
    }
    return count;
  };
  if (take_batch(timeout_ms, 1) > 0) take_batch(0, batch.size());
}

std::string_view TextOf(const void* bytes, std::size_t size) {
  return bytes == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(bytes), size);
}

// Empty where there is none; `headers` may be null.
std::string_view HeaderOf(const rd_kafka_headers_t* headers, const char* name) {
  const void* value = nullptr;
  std::size_t size = 0;
  if (headers == nullptr) return {};
  if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return TextOf(value, size);
}

}  // namespace

Result<kafka::Client> OpenTails(const std::string& bootstrap, const std::string& client_id,
                                const std::vector<std::string>& topics) {
  auto client = kafka::MakeReader(bootstrap, client_id, "error", false);
  if (!client) return client;
  const kafka::PartitionList list(rd_kafka_topic_partition_list_new(kPartitions));
  for (const auto& topic : topics) {
    const std::int64_t end_us = ReadClocks().mono_us + kServerTimeoutMs * kMicrosPerMilli;
    while (true) {
      const auto added = AddEnds(client->get(), bootstrap, topic, list.get());
      if (added) break;
      if (ReadClocks().mono_us > end_us) return std::unexpected(added.error());
      std::this_thread::sleep_for(std::chrono::milliseconds(kLookAtStopMs));
    }
  }
  if (const auto error = rd_kafka_assign(client->get(), list.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return Fail(Code::kInternal, std::string("reading from the ends: ") + rd_kafka_err2str(error));
  return client;
}

LoadClient::LoadClient(Sender sender, kafka::Client reader)
    : sender_(std::move(sender)), reader_(std::move(reader)), queue_(rd_kafka_queue_get_consumer(reader_.get())) {}

Result<std::unique_ptr<LoadClient>> LoadClient::Open(const std::string& bootstrap,
                                                     const std::vector<std::string>& reply_topics) {
  auto sender = Sender::Create(bootstrap, "hearth-bench-load");
  if (!sender) return std::unexpected(sender.error());
  auto reader = OpenTails(bootstrap, "hearth-bench-load", reply_topics);
  if (!reader) return std::unexpected(reader.error());
  return std::unique_ptr<LoadClient>(new LoadClient(std::move(*sender), std::move(*reader)));
}

Result<void> LoadClient::Send(const OutRecord& record) {
  auto sent = sender_.Send(record);
  for (std::int64_t waited_ms = 0; !sent && waited_ms < kQueueFullMs; ++waited_ms) {
    sender_.Poll();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    sent = sender_.Send(record);
  }
  return sent;
}

void LoadClient::Poll(int timeout_ms, const OnReply& on_reply) {
  sender_.Poll();
  TakeSome(queue_.get(), timeout_ms, [&on_reply](const rd_kafka_message_t& message) {
    rd_kafka_headers_t* headers = nullptr;
    rd_kafka_message_headers(&message, &headers);
    on_reply(TextOf(message.key, message.key_len), HeaderOf(headers, "hearth-status"),
             HeaderOf(headers, "hearth-error-type"));
  });
}

Result<std::unique_ptr<RawEcho>> RawEcho::Start(const std::string& bootstrap) {
  const auto created = kafka::CreateTopics(bootstrap, {{kRequests, kPartitions, 1, {}}, {kReplies, kPartitions, 1, {}}},
                                           kServerTimeoutMs);
  if (!created) return std::unexpected(created.error());
  auto reader = OpenTails(bootstrap, "hearth-bench-echo", {kRequests});
  if (!reader) return std::unexpected(reader.error());
  auto conf = kafka::MakeConf(bootstrap, "hearth-bench-echo",
                              {{"enable.idempotence", "true"}, {"acks", "all"}, {"linger.ms", "0"}});
  if (!conf) return std::unexpected(conf.error());
  auto producer = kafka::MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!producer) return std::unexpected(producer.error());
  return std::unique_ptr<RawEcho>(new RawEcho(std::move(*reader), std::move(*producer)));
}

RawEcho::RawEcho(kafka::Client reader, kafka::Client producer)
    : reader_(std::move(reader)), queue_(rd_kafka_queue_get_consumer(reader_.get())), producer_(std::move(producer)) {
  thread_ = std::thread([this] { Run(); });
}

RawEcho::~RawEcho() {
  stop_ = true;
  thread_.join();
}

void RawEcho::Answer(rd_kafka_message_t& message) {
  // The id is a header of a request, and the key of its reply.
  rd_kafka_headers_t* headers = nullptr;
  rd_kafka_message_headers(&message, &headers);
  const std::string_view id = HeaderOf(headers, "hearth-id");
  while (!stop_) {
    const auto error = rd_kafka_producev(
        producer_.get(), RD_KAFKA_V_TOPIC(kReplies), RD_KAFKA_V_KEY(id.data(), id.size()),
        RD_KAFKA_V_VALUE(message.payload, message.len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      fmt::print(stderr, "hearth-bench: echo: {}\n", rd_kafka_err2str(error));
      return;
    }
    rd_kafka_poll(producer_.get(), 1);
  }
}

void RawEcho::Run() {
  while (!stop_) {
    TakeSome(queue_.get(), kLookAtStopMs, [this](rd_kafka_message_t& message) { Answer(message); });
    rd_kafka_poll(producer_.get(), 0);
  }
}

}  // namespace hearth::bench
