#include "common/kafka/partition_reader.h"

#include <algorithm>
#include <utility>

namespace hearth::kafka {

Result<PartitionReader> PartitionReader::Open(const std::string& bootstrap, const std::string& client_id,
                                              PartitionId partition, std::int64_t timeout_ms) {
  auto client = MakeReader(bootstrap, client_id, "error", true);
  if (!client) return std::unexpected(client.error());
  const auto count = CountPartitions(client->get(), bootstrap, partition.topic, timeout_ms);
  if (!count) return std::unexpected(count.error());
  if (partition.partition >= *count) {
    return Fail(Code::kNotFound, "topic " + partition.topic + " has " + std::to_string(*count) +
                                     " partitions, and none with the number " + std::to_string(partition.partition));
  }
  return PartitionReader(std::move(*client), std::move(partition));
}

PartitionReader::~PartitionReader() {
  if (!client_) return;
  rd_kafka_consumer_close(client_.get());
  Discard(std::move(client_));
}

Result<LogBounds> PartitionReader::Bounds(std::int64_t timeout_ms) {
  LogBounds bounds;
  const auto error = rd_kafka_query_watermark_offsets(client_.get(), partition_.topic.c_str(), partition_.partition,
                                                      &bounds.start, &bounds.end, static_cast<int>(timeout_ms));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return bounds;
  return Fail(Code::kUnavailable, Name(partition_) + ": " + rd_kafka_err2str(error));
}

Result<void> PartitionReader::Seek(std::int64_t offset) {
  const auto list = ListOf({partition_});
  list->elems[0].offset = offset;
  const auto error = rd_kafka_assign(client_.get(), list.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kInternal, Name(partition_) + ": " + rd_kafka_err2str(error));
  }
  position_ = offset;
  return {};
}

Result<std::optional<Record>> PartitionReader::Next(std::int64_t timeout_ms) {
  const Message message(rd_kafka_consumer_poll(client_.get(), static_cast<int>(timeout_ms)));
  if (!message) return std::nullopt;
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    position_ = std::max(position_, message->offset);
    return std::nullopt;
  }
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    position_ = message->offset + 1;
    return ToRecord(*message);
  }
  const std::string why = Name(partition_) + ": " + rd_kafka_message_errstr(message.get());
  switch (message->err) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: return Fail(Code::kNotFound, why);
    default: return Fail(Code::kUnavailable, why);
  }
}

}  // namespace hearth::kafka
