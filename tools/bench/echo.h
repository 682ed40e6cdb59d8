// The floor: a producer that sends at once, and a thread that answers each record of one topic with the same record on
// another. What remains of a request and its reply when hearth does nothing.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "common/kafka/tail.h"
#include "schemas/record.h"

namespace hearth::bench {

// Idempotent, acks=all, linger 0: as hearth's own. One thread.
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

}  // namespace hearth::bench
