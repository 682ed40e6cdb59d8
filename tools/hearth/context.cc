#include "tools/hearth/context.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "common/kafka/admin.h"

namespace hearth::tool {

int Report(const Error& error) {
  fmt::print(stderr, "hearth: {}\n", error.message);
  switch (error.code) {
    case Code::kUnavailable: return kUnreachable;
    case Code::kDeadline: return kTimedOut;
    default: return kFailed;
  }
}

int NoRedis() {
  fmt::print(stderr, "hearth: where is Redis? Say --redis ADDRESS or set HEARTH_REDIS\n");
  return kUsage;
}

Result<redis::BlockingClient> ConnectRedis(const Context& context) {
  redis::Credentials account{context.redis_user, {}};
  if (!context.redis_password_file.empty()) {
    auto password = redis::ReadPassword(context.redis_password_file);
    if (!password) return FailWith("--redis-password-file", password.error());
    account.password = std::move(*password);
  }
  return redis::BlockingClient::Connect(context.redis, kServerTimeoutMs, account);
}

Result<void> ProduceOne(const Context& context, OutRecord record, bool tombstone) {
  // A producer waits for ever for brokers that are away; a person does not.
  if (auto topics = kafka::ListTopics(context.bootstrap, kServerTimeoutMs); !topics) {
    return std::unexpected(topics.error());
  }
  Loop loop;
  auto producer = kafka::Producer::Create(loop, context.bootstrap, "hearth-cli");
  if (!producer) return std::unexpected(producer.error());
  std::optional<Result<void>> outcome;
  const auto done = [&](Result<void> result) {
    outcome = std::move(result);
    loop.Stop();
  };
  Timer limit(loop, [&] { loop.Stop(); });
  limit.StartOnce(2 * kServerTimeoutMs);
  if (tombstone) {
    (*producer)->SendTombstone(record.topic, record.key, done);
  } else {
    (*producer)->Send(std::move(record), done);
  }
  loop.Run();
  if (!outcome) return Fail(Code::kUnavailable, "kafka at " + context.bootstrap + " did not acknowledge in time");
  return *outcome;
}

}  // namespace hearth::tool
