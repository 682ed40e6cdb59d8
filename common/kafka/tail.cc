#include "common/kafka/tail.h"

namespace hearth::kafka {

Result<TailReader> TailReader::Open(const std::string& bootstrap, const std::string& client_id,
                                    const std::string& topic, std::int64_t timeout_ms) {
  auto conf = MakeConf(bootstrap, client_id,
                       {{"group.id", client_id + "-tail"},  // required by the library; no group is joined
                        {"enable.auto.commit", "false"},
                        {"auto.offset.reset", "error"}});
  if (!conf) return std::unexpected(conf.error());
  auto client = MakeClient(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  rd_kafka_poll_set_consumer(client->get());
  const Topic handle(rd_kafka_topic_new(client->get(), topic.c_str(), nullptr));
  const rd_kafka_metadata_t* raw = nullptr;
  auto error = rd_kafka_metadata(client->get(), 0, handle.get(), &raw, static_cast<int>(timeout_ms));
  const Metadata metadata(raw);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, "kafka at " + bootstrap + ": " + rd_kafka_err2str(error));
  }
  if (metadata->topic_cnt != 1 || metadata->topics[0].partition_cnt == 0) {
    return Fail(Code::kNotFound, "no topic " + topic + " (hearth topics create makes hearth's own)");
  }
  const PartitionList list(rd_kafka_topic_partition_list_new(metadata->topics[0].partition_cnt));
  for (int i = 0; i < metadata->topics[0].partition_cnt; ++i) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    error =
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
