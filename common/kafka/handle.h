// RAII for librdkafka's handles, its configuration, and the doorbell that couples its queues to the event loop.
// Included by sources and by headers of common/kafka only.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/handle.h"
#include "common/base/result.h"
#include "common/loop/loop.h"
#include "schemas/record.h"

namespace hearth::kafka {

using Conf = std::unique_ptr<rd_kafka_conf_t, Deleter<rd_kafka_conf_destroy>>;
using TopicConf = std::unique_ptr<rd_kafka_topic_conf_t, Deleter<rd_kafka_topic_conf_destroy>>;
using Client = std::unique_ptr<rd_kafka_t, Deleter<rd_kafka_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Deleter<rd_kafka_topic_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Deleter<rd_kafka_queue_destroy>>;
using Message = std::unique_ptr<rd_kafka_message_t, Deleter<rd_kafka_message_destroy>>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, Deleter<rd_kafka_topic_partition_list_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Deleter<rd_kafka_event_destroy>>;
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Deleter<rd_kafka_metadata_destroy>>;

using Setting = std::pair<std::string, std::string>;

// Settings common to all clients first, then `settings` in order. Fails with the name of the setting that is refused.
Result<Conf> MakeConf(const std::string& bootstrap, const std::string& client_id, const std::vector<Setting>& settings);
Result<Client> MakeClient(rd_kafka_type_t type, Conf conf);
// Destroys a consumer that is closed. Version 2.0.2 of the library loses a reference to a broker where a topic is
// deleted that is read, and would then wait for it for ever: after 2 s what is left of the client stays behind.
void Discard(Client consumer);

// A consumer that joins no group: it is assigned what it reads. `reset` is auto.offset.reset; its end of a partition is
// told where `tells_ends`.
Result<Client> MakeReader(const std::string& bootstrap, const std::string& client_id, const char* reset,
                          bool tells_ends);
std::string Name(const PartitionId& partition);  // TOPIC/NUMBER
PartitionList ListOf(const std::vector<PartitionId>& partitions);
// How many partitions the topic has. Blocks. kUnavailable: nobody answers; kNotFound: there is no such topic.
Result<std::int32_t> CountPartitions(rd_kafka_t* client, const std::string& bootstrap, const std::string& topic,
                                     std::int64_t timeout_ms);

// Copies a consumed message. `message` must carry no error.
Record ToRecord(const rd_kafka_message_t& message);

// Wakes the loop when `queue` turns from empty to filled, and every 100 ms because such a signal can be lost
// (librdkafka issues 3344; rust-rdkafka 665). `drain` must poll until nothing is left.
class Doorbell {
 public:
  Doorbell(Loop& loop, Queue queue, std::function<void()> drain);
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

 private:
  Queue queue_;
  int event_ = -1;
  std::function<void()> drain_;
  Timer timer_;
  std::unique_ptr<ReadableWatch> watch_;
};

}  // namespace hearth::kafka
