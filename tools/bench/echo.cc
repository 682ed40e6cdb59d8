#include "tools/bench/echo.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "common/base/time.h"
#include "common/kafka/admin.h"
#include "schemas/limits.h"

namespace hearth::bench {
namespace {

constexpr const char* kEchoRequests = "hearth.bench.request";
constexpr const char* kEchoReplies = "hearth.bench.reply";
constexpr int kPartitions = 8;  // as hearth's own topics
constexpr std::int64_t kServerTimeoutMs = 10'000;

}  // namespace

Result<Sender> Sender::Create(const std::string& bootstrap, const std::string& client_id) {
  auto conf = kafka::MakeConf(bootstrap, client_id,
                              {{"enable.idempotence", "true"},
                               {"acks", "all"},
                               {"linger.ms", "0"},
                               {"partitioner", "murmur2_random"},
                               {"message.max.bytes", std::to_string(kMaxTopicRecordBytes)}});
  if (!conf) return std::unexpected(conf.error());
  auto client = kafka::MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  return Sender(std::move(*client));
}

Result<void> Sender::Send(const OutRecord& record) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
  for (const auto& header : record.headers) {
    rd_kafka_header_add(headers, header.name.c_str(), -1, header.value.data(),
                        static_cast<ssize_t>(header.value.size()));
  }
  // The library only reads the value where RD_KAFKA_MSG_F_COPY is set; its interface takes a pointer to non-const.
  const auto error = rd_kafka_producev(
      client_.get(), RD_KAFKA_V_TOPIC(record.topic.c_str()), RD_KAFKA_V_KEY(record.key.data(), record.key.size()),
      RD_KAFKA_V_VALUE(const_cast<char*>(record.value.data()), record.value.size()), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_PARTITION(record.partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  rd_kafka_headers_destroy(headers);
  return Fail(Code::kUnavailable, "producing to " + record.topic + ": " + rd_kafka_err2str(error));
}

EchoThread::EchoThread(kafka::TailReader reader, Sender sender, std::string reply_topic)
    : reader_(std::move(reader)), sender_(std::move(sender)), reply_topic_(std::move(reply_topic)) {
  thread_ = std::thread([this] { Run(); });
}

EchoThread::~EchoThread() {
  stop_ = true;
  thread_.join();
}

void EchoThread::Run() {
  constexpr std::int64_t kLookAtStopMs = 200;
  while (!stop_) {
    auto record = reader_.Next(kLookAtStopMs);
    if (!record) {
      fmt::print(stderr, "hearth-bench: echo: {}\n", record.error().message);
      continue;
    }
    sender_.Poll();
    if (!*record) continue;
    OutRecord reply{reply_topic_, (*record)->key, std::move((*record)->value), std::move((*record)->headers)};
    if (auto sent = sender_.Send(reply); !sent) fmt::print(stderr, "hearth-bench: echo: {}\n", sent.error().message);
  }
}

Result<kafka::TailReader> OpenNew(const std::string& bootstrap, const std::string& client_id,
                                  const std::string& topic) {
  const std::int64_t end_us = ReadClocks().mono_us + kServerTimeoutMs * kMicrosPerMilli;
  while (true) {
    auto reader = kafka::TailReader::Open(bootstrap, client_id, topic, kServerTimeoutMs);
    if (reader || ReadClocks().mono_us > end_us) return reader;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<std::unique_ptr<EchoFloor>> EchoFloor::Open(const std::string& bootstrap) {
  const auto created = kafka::CreateTopics(
      bootstrap, {{kEchoRequests, kPartitions, 1, {}}, {kEchoReplies, kPartitions, 1, {}}}, kServerTimeoutMs);
  if (!created) return std::unexpected(created.error());
  auto echo_sender = Sender::Create(bootstrap, "hearth-bench-echo");
  auto sender = Sender::Create(bootstrap, "hearth-bench-floor");
  if (!echo_sender || !sender) return std::unexpected((echo_sender ? sender : echo_sender).error());
  auto requests = OpenNew(bootstrap, "hearth-bench-echo", kEchoRequests);
  if (!requests) return std::unexpected(requests.error());
  auto replies = OpenNew(bootstrap, "hearth-bench-floor", kEchoReplies);
  if (!replies) return std::unexpected(replies.error());
  std::unique_ptr<EchoFloor> floor(new EchoFloor(std::move(*sender), std::move(*replies)));
  floor->thread_ = std::make_unique<EchoThread>(std::move(*requests), std::move(*echo_sender), kEchoReplies);
  return floor;
}

Result<std::int64_t> EchoFloor::Measure(OutRecord record, std::int64_t wait_ms) {
  record.topic = kEchoRequests;
  const std::int64_t begin_us = ReadClocks().mono_us;
  if (auto sent = sender_.Send(record); !sent) return std::unexpected(sent.error());
  while (true) {
    auto reply = replies_.Next(wait_ms);
    if (!reply) return std::unexpected(reply.error());
    if (!*reply) return Fail(Code::kDeadline, "no echo of a record");
    sender_.Poll();
    if ((*reply)->headers == record.headers) return ReadClocks().mono_us - begin_us;
  }
}

}  // namespace hearth::bench
