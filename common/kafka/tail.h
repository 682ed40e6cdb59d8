// Reads what is written to a topic from now on, without a group: for whoever sends a request and waits for its reply.
// Blocks; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/kafka/handle.h"

namespace hearth::kafka {

class TailReader {
 public:
  // After it has returned, every record that is written to the topic is read. kNotFound: no such topic.
  static Result<TailReader> Open(const std::string& bootstrap, const std::string& client_id, const std::string& topic,
                                 std::int64_t timeout_ms);
  // The next record, or nothing after `timeout_ms`. kUnavailable where the brokers are away.
  Result<std::optional<Record>> Next(std::int64_t timeout_ms);

 private:
  explicit TailReader(Client client) : client_(std::move(client)) {}
  Client client_;
};

}  // namespace hearth::kafka
