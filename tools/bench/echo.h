// The floor: a producer that sends at once, and a thread that answers each record of one topic with the same record on
// another. What remains of a request and its reply when hearth does nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "common/kafka/tail.h"
#include "schemas/record.h"

namespace hearth::bench {

// Idempotent, acks=all, linger 0, and Kafka's Java partitioner, as hearth's own: records that are keyed by user come to
// the dispatcher that has the user's batches. One thread.
class Sender {
 public:
  static Result<Sender> Create(const std::string& bootstrap, const std::string& client_id);
  Result<void> Send(const OutRecord& record);
  // Serves acknowledgements; does not wait.
  void Poll() { rd_kafka_poll(client_.get(), 0); }

 private:
  explicit Sender(kafka::Client client) : client_(std::move(client)) {}
  kafka::Client client_;
};

// A topic that was just created has no leader yet: asked again until it has one.
Result<kafka::TailReader> OpenNew(const std::string& bootstrap, const std::string& client_id, const std::string& topic);

// Echoes until it is destroyed.
class EchoThread {
 public:
  EchoThread(kafka::TailReader reader, Sender sender, std::string reply_topic);
  ~EchoThread();
  EchoThread(const EchoThread&) = delete;
  EchoThread& operator=(const EchoThread&) = delete;

 private:
  void Run();
  kafka::TailReader reader_;
  Sender sender_;
  std::string reply_topic_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// The floor as one call: a record to the thread and back, over two topics of its own with as many partitions as
// hearth's.
class EchoFloor {
 public:
  // kUnavailable: the brokers are away.
  static Result<std::unique_ptr<EchoFloor>> Open(const std::string& bootstrap);
  // How long the record took, µs; its topic is replaced. Its headers must be unlike those of every earlier one.
  Result<std::int64_t> Measure(OutRecord record, std::int64_t wait_ms);

 private:
  EchoFloor(Sender sender, kafka::TailReader replies) : sender_(std::move(sender)), replies_(std::move(replies)) {}
  Sender sender_;
  kafka::TailReader replies_;
  std::unique_ptr<EchoThread> thread_;
};

}  // namespace hearth::bench
