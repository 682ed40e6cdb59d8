#include "common/kafka/tail.h"

namespace hearth::kafka {

Result<TailReader> TailReader::Open(const std::string& bootstrap, const std::string& client_id,
                                    const std::string& topic, std::int64_t timeout_ms) {
  auto client = MakeReader(bootstrap, client_id, "error", false);
  if (!client) return std::unexpected(client.error());
  const auto count = CountPartitions(client->get(), bootstrap, topic, timeout_ms);
  if (!count) return std::unexpected(count.error());
  const PartitionList list(rd_kafka_topic_partition_list_new(*count));
  for (int i = 0; i < *count; ++i) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    const auto error =
        rd_kafka_query_watermark_offsets(client->get(), topic.c_str(), i, &low, &high, static_cast<int>(timeout_ms));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return Fail(Code::kUnavailable, "topic " + topic + ": " + rd_kafka_err2str(error));
    }
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), i)->offset = high;
  }
  rd_kafka_assign(client->get(), list.get());
  return TailReader(std::move(*client));
}

Result<std::optional<Record>> TailReader::Next(std::int64_t timeout_ms) {
  const Message message(rd_kafka_consumer_poll(client_.get(), static_cast<int>(timeout_ms)));
  if (!message || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return std::nullopt;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, rd_kafka_message_errstr(message.get()));
  }
  return ToRecord(*message);
}

}  // namespace hearth::kafka
