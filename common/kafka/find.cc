#include "common/kafka/find.h"

#include <algorithm>

#include "common/base/time.h"
#include "common/kafka/compacted.h"
#include "common/kafka/handle.h"

namespace hearth::kafka {
namespace {

constexpr std::int64_t kMetadataMs = 5000;

std::unexpected<Error> Away(const std::string& bootstrap, rd_kafka_resp_err_t error) {
  return Fail(Code::kUnavailable, "kafka at " + bootstrap + ": " + rd_kafka_err2str(error));
}

class Finder {
 public:
  Finder(Client client, std::string bootstrap, std::string topic, const FindLimits& limits)
      : client_(std::move(client)),
        bootstrap_(std::move(bootstrap)),
        topic_(std::move(topic)),
        limits_(limits),
        deadline_us_(ReadClocks().mono_us + limits.timeout_ms * kMicrosPerMilli) {}

  // Reads the partitions from the time of the limits to their ends as of now.
  Result<void> Search(const std::vector<std::int32_t>& partitions, const std::string& key, Found& found) {
    const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const auto partition : partitions) {
      rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition)->offset = limits_.since_ms;
    }
    const auto error = rd_kafka_offsets_for_times(client_.get(), list.get(), static_cast<int>(kMetadataMs));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Away(bootstrap_, error);
    rd_kafka_assign(client_.get(), list.get());
    for (std::size_t left = partitions.size(); left > 0;) {
      const std::int64_t left_ms = (deadline_us_ - ReadClocks().mono_us) / kMicrosPerMilli;
      if (left_ms <= 0 || found.looked_at >= limits_.max_records) {
        found.whole = false;
        return {};
      }
      const Message message(rd_kafka_consumer_poll(client_.get(), static_cast<int>(left_ms)));
      if (!message) continue;
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        --left;
      } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return Away(bootstrap_, message->err);
      } else {
        ++found.looked_at;
        const std::string_view its_key(static_cast<const char*>(message->key), message->key_len);
        if (its_key != key) continue;
        found.record = ToRecord(*message);
        return {};
      }
    }
    return {};
  }

 private:
  Client client_;
  std::string bootstrap_;
  std::string topic_;
  FindLimits limits_;
  std::int64_t deadline_us_;
};

}  // namespace

Result<Found> FindByKey(const std::string& bootstrap, const std::string& client_id, const std::string& topic,
                        const std::string& key, const FindLimits& limits) {
  auto client = MakeReader(bootstrap, client_id, "earliest", true);
  if (!client) return std::unexpected(client.error());
  const auto count = CountPartitions(client->get(), bootstrap, topic, kMetadataMs);
  if (!count) return std::unexpected(count.error());
  const std::int32_t home = PartitionOfKey(key, *count);
  std::vector<std::int32_t> others;
  for (std::int32_t i = 0; i < *count; ++i) {
    if (i != home) others.push_back(i);
  }
  Finder finder(std::move(*client), bootstrap, topic, limits);
  Found found;
  if (auto searched = finder.Search({home}, key, found); !searched) return std::unexpected(searched.error());
  if (found.record || !found.whole || others.empty()) return found;
  if (auto searched = finder.Search(others, key, found); !searched) return std::unexpected(searched.error());
  return found;
}

}  // namespace hearth::kafka
