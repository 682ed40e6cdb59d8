#include "common/kafka/follower.h"

#include <utility>

#include "common/base/address.h"

namespace hearth::kafka {
namespace {

constexpr int kMetadataTimeoutMs = 1000;
constexpr std::int64_t kRetryMs = 500;
constexpr AddressForms kKafkaAddress{.bare = true, .default_port = 9092};

}  // namespace

TopicFollower::TopicFollower(Loop& loop, std::string bootstrap, std::string topic, Callbacks callbacks)
    : bootstrap_(std::move(bootstrap)),
      topic_(std::move(topic)),
      callbacks_(std::move(callbacks)),
      resolver_(loop),
      retry_(loop, [this] { TryAssign(); }) {}

Result<std::unique_ptr<TopicFollower>> TopicFollower::Create(Loop& loop, const std::string& bootstrap,
                                                             const std::string& client_id, const std::string& topic,
                                                             Callbacks callbacks) {
  auto client = MakeReader(bootstrap, client_id, "earliest", true);
  if (!client) return std::unexpected(client.error());
  auto follower = std::unique_ptr<TopicFollower>(new TopicFollower(loop, bootstrap, topic, std::move(callbacks)));
  follower->client_ = std::move(*client);
  auto* self = follower.get();
  follower->doorbell_ = std::make_unique<Doorbell>(loop, Queue(rd_kafka_queue_get_consumer(self->client_.get())),
                                                   [self] { self->Drain(); });
  follower->retry_.StartOnce(0);
  return follower;
}

TopicFollower::~TopicFollower() {
  doorbell_.reset();
  if (!client_) return;
  rd_kafka_consumer_close(client_.get());
  Discard(std::move(client_));
}

void TopicFollower::TryAssign() {
  const Topic topic(rd_kafka_topic_new(client_.get(), topic_.c_str(), nullptr));
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error = rd_kafka_metadata(client_.get(), 0, topic.get(), &raw, kMetadataTimeoutMs);
  const Metadata metadata(raw);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR || metadata->topic_cnt != 1 || metadata->topics[0].partition_cnt == 0) {
    const auto reason = error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : metadata->topics[0].err;
    TellUnreadable(rd_kafka_err2str(reason));
    retry_.StartOnce(kRetryMs);
    return;
  }
  partitions_ = metadata->topics[0].partition_cnt;
  const PartitionList list(rd_kafka_topic_partition_list_new(partitions_));
  for (int i = 0; i < partitions_; ++i) {
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(client_.get(), list.get());
}

// The library calls a host that nobody knows a failure of its transport.
void TopicFollower::TellUnreadable(const std::string& reason) {
  const std::string said = "kafka at " + bootstrap_ + ": topic " + topic_ + " cannot be read yet: " + reason;
  const auto first = ParseAddress(bootstrap_.substr(0, bootstrap_.find(',')), kKafkaAddress);
  if (!first || first->is_unix()) return callbacks_.alarm(said);
  resolver_.Resolve(*first, [this, said](Result<Endpoints> endpoints) {
    callbacks_.alarm(endpoints ? said : said + ", and " + endpoints.error().message);
  });
}

void TopicFollower::Drain() {
  while (true) {
    const Message message(rd_kafka_consumer_poll(client_.get(), 0));
    if (!message) return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      callbacks_.record(ToRecord(*message));
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      at_end_.insert(message->partition);
      if (!told_ && static_cast<int>(at_end_.size()) >= partitions_) {
        told_ = true;
        callbacks_.caught_up();
      }
    } else {
      callbacks_.alarm("topic " + topic_ + ": " + rd_kafka_message_errstr(message.get()));
    }
  }
}

}  // namespace hearth::kafka
