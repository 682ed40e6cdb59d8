// The last records of one invocation: its reply, its dead letter. They are written one after another, and the next one
// only when the one before is durable.
//
// It holds at any time:
// - a record leaves only when it is durable, or when no topic takes it;
// - no record stops its partition: what its topic cannot take goes elsewhere, is cut, or is let go in the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "schemas/record.h"

namespace hearth::dispatcher {

constexpr std::int64_t kProduceRetryMs = 100;  // first back-off of a failed produce; doubles
constexpr std::int64_t kMaxRetryMs = 10'000;   // and ends here

struct Output {
  enum class Kind : std::uint8_t { kReply, kDeadLetter, kUndeliverable };
  Kind kind = Kind::kReply;
  SharedRecord record;
  bool cut = false;  // its value was left out, because its topic does not take it
};

class Outputs {
 public:
  [[nodiscard]] bool empty() const { return next_ == outputs_.size(); }
  [[nodiscard]] const Output& next() const { return outputs_[next_]; }

  void Assign(std::vector<Output> outputs);
  // The next one is durable.
  void Delivered();
  // The next one was refused.
  enum class Remedy : std::uint8_t {
    kSend,     // it is another one now, which is sent at once
    kLetGo,    // it was refused even cut, and left: what follows is sent at once
    kBackOff,  // it is sent again after the back-off
  };
  [[nodiscard]] Remedy Refused(const std::string& error, bool permanent, const std::string& undeliverable_topic);
  [[nodiscard]] std::int64_t backoff_ms() const { return backoff_ms_; }

 private:
  std::vector<Output> outputs_;
  std::size_t next_ = 0;       // those before it are durable
  std::int32_t failures_ = 0;  // of the next one, in a row
  std::int64_t backoff_ms_ = 0;
};

}  // namespace hearth::dispatcher
