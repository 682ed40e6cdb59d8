// The one who sends many records and takes what comes back: requests to hearth and their replies, or records to the raw
// echo and their copies. One thread; blocks.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "schemas/record.h"
#include "tools/bench/echo.h"

namespace hearth::bench {

// A reader of everything that is written to the topics from now on, without a group. A topic that was just created is
// waited for.
Result<kafka::Client> OpenTails(const std::string& bootstrap, const std::string& client_id,
                                const std::vector<std::string>& topics);

class LoadClient {
 public:
  // `key`: of the record that came back, which is its id. `status`, `error_type`: as its headers say, empty where it
  // has none.
  using OnReply = std::function<void(std::string_view key, std::string_view status, std::string_view error_type)>;

  static Result<std::unique_ptr<LoadClient>> Open(const std::string& bootstrap,
                                                  const std::vector<std::string>& reply_topics);
  // Waits where the client's own queue is full.
  Result<void> Send(const OutRecord& record);
  // What is there, at most some thousand; for the first it waits `timeout_ms` at most.
  void Poll(int timeout_ms, const OnReply& on_reply);

 private:
  LoadClient(Sender sender, kafka::Client reader);
  Sender sender_;
  kafka::Client reader_;
  kafka::Queue queue_;
};

// Answers each record of one topic with a copy on another whose key and value are the same, with as little as a program
// on librdkafka can do. A thread of its own, until it is destroyed.
class RawEcho {
 public:
  static Result<std::unique_ptr<RawEcho>> Start(const std::string& bootstrap);
  ~RawEcho();
  RawEcho(const RawEcho&) = delete;
  RawEcho& operator=(const RawEcho&) = delete;

  static constexpr const char* kRequests = "hearth.bench.load.request";
  static constexpr const char* kReplies = "hearth.bench.load.reply";

 private:
  RawEcho(kafka::Client reader, kafka::Client producer);
  void Run();
  void Answer(rd_kafka_message_t& message);

  kafka::Client reader_;
  kafka::Queue queue_;
  kafka::Client producer_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace hearth::bench
