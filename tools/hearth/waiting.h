// Waiting for the reply to a request that this process sends, and finding out why none comes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/kafka/tail.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

// What seems to be missing, as far as Redis knows, where that is named; else nothing.
std::string WhoSeemsMissing(const Context& context);

// What came of a request; nothing in it: the time has passed.
struct Answer {
  std::optional<InvocationResult> result{};
  std::string given_up{};  // why its dispatcher could not answer it
};

// A reply topic that an operator does not allow gets no reply, so the dead letters are read too where it is another
// than the usual. Who is there is looked up in Redis, where that is named. One thread; it refers to what it is made
// from.
class Waiting {
 public:
  Waiting(const Context& context, const Request& request, Progress& progress)
      : context_(context), request_(request), progress_(progress) {}

  // Before the request is sent. kNotFound: no such reply topic; kUnavailable: Kafka is away.
  Result<void> Open();
  Answer Wait(std::int64_t seconds);
  // What seems to be missing, as far as is known.
  [[nodiscard]] const std::string& missing() const { return missing_; }

 private:
  [[nodiscard]] Result<kafka::TailReader> Tail(const std::string& topic) const;
  std::optional<InvocationResult> NextReply(std::int64_t timeout_ms);
  std::string GivenUp();
  void Look();
  void Say(std::string what);

  const Context& context_;
  const Request& request_;
  Progress& progress_;
  std::optional<kafka::TailReader> replies_;
  std::optional<kafka::TailReader> dead_letters_;
  std::string missing_;
};

}  // namespace hearth::tool
