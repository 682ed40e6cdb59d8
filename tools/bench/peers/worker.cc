// A worker by hand: consume, handle, produce, and commit what was produced. What a team writes first.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

volatile std::sig_atomic_t told_to_end = 0;

std::string Env(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

// Replies of the batch that are not acknowledged yet.
int pending = 0;
bool failed = false;
void Delivered(rd_kafka_t*, const rd_kafka_message_t* reply, void*) {
  --pending;
  failed = failed || reply->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_t* Client(rd_kafka_type_t type, const std::vector<std::pair<std::string, std::string>>& settings) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, Delivered);
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) {
      throw std::runtime_error(error);
    }
  }
  rd_kafka_t* client = rd_kafka_new(type, conf, error, sizeof error);
  if (client == nullptr) throw std::runtime_error(error);
  return client;
}

}  // namespace

int main() try {
  std::signal(SIGTERM, [](int) { told_to_end = 1; });
  const std::string bootstrap = Env("BOOTSTRAP");
  const std::string replies = Env("REPLIES");
  rd_kafka_t* producer =
      Client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", bootstrap}, {"linger.ms", "0"}, {"enable.idempotence", "true"}});
  rd_kafka_t* consumer = Client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", bootstrap},
                                                    {"group.id", "peer-worker"},
                                                    {"auto.offset.reset", "earliest"},
                                                    {"enable.auto.offset.store", "false"},
                                                    {"fetch.wait.max.ms", "10"}});
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, Env("REQUESTS").c_str(), RD_KAFKA_PARTITION_UA);
  rd_kafka_subscribe(consumer, topics);
  rd_kafka_topic_partition_list_destroy(topics);
  std::puts("ready");
  std::fflush(stdout);

  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);
  std::vector<rd_kafka_message_t*> batch(500);
  while (told_to_end == 0) {
    // The library waits for a whole batch where it is given time, so that the first record is taken alone.
    ssize_t count = std::max<ssize_t>(0, rd_kafka_consume_batch_queue(queue, 100, batch.data(), 1));
    if (count > 0)
      count += std::max<ssize_t>(0, rd_kafka_consume_batch_queue(queue, 0, batch.data() + 1, batch.size() - 1));
    for (ssize_t i = 0; i < count; ++i) {
      const rd_kafka_message_t& record = *batch[static_cast<std::size_t>(i)];
      if (record.err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      // The handler would stand here.
      const auto sent =
          rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(replies.c_str()), RD_KAFKA_V_KEY(record.key, record.key_len),
                            RD_KAFKA_V_VALUE(record.payload, record.len),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_END);
      if (sent == RD_KAFKA_RESP_ERR_NO_ERROR)
        ++pending;
      else
        failed = true;
    }
    while (pending > 0) rd_kafka_poll(producer, 100);
    if (failed) throw std::runtime_error("a reply was not taken; the batch is left to the next worker");
    // At least once: offsets are stored only once the replies are there.
    for (ssize_t i = 0; i < count; ++i) {
      const rd_kafka_message_t& record = *batch[static_cast<std::size_t>(i)];
      if (record.err == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_offset_store(record.rkt, record.partition, record.offset);
    }
    for (ssize_t i = 0; i < count; ++i) rd_kafka_message_destroy(batch[static_cast<std::size_t>(i)]);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  rd_kafka_flush(producer, 10'000);
  rd_kafka_destroy(producer);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "worker: %s\n", error.what());
  return 1;
}
