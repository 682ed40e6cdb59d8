#include "tools/hearth/context.h"

#include <nlohmann/json.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "common/base/text.h"
#include "common/kafka/admin.h"

namespace hearth::tool {

void Write(std::FILE* to, std::string_view text) {
  const std::string shown = EscapeControls(text, true);
  std::fwrite(shown.data(), 1, shown.size(), to);
}

std::string Shown(std::string_view text) {
  return EscapeControls(text);
}

void PrintJson(const nlohmann::json& json) {
  const std::string text = json.dump(2, ' ', true, nlohmann::json::error_handler_t::replace);
  fmt::print("{}\n", text);
}

int Report(const Error& error) {
  PrintError("hearth: {}\n", Shown(error.message));
  switch (error.code) {
    case Code::kUnavailable: return kUnreachable;
    case Code::kDeadline: return kTimedOut;
    default: return kFailed;
  }
}

Progress::Kind ProgressKind(const Context& context) {
  if (context.quiet) return Progress::Kind::kSilent;
  return isatty(STDERR_FILENO) != 0 ? Progress::Kind::kTerminal : Progress::Kind::kLines;
}

int NoRedis(const Context& context) {
  PrintError("hearth: where is Redis? Say {}\n", context.redis.Ways());
  return kUsage;
}

Result<redis::BlockingClient> ConnectRedis(const Context& context) {
  redis::Credentials account{context.redis_user.value, {}};
  if (!context.redis_password_file.empty()) {
    auto password = redis::ReadPassword(context.redis_password_file.value);
    if (!password) return FailWith("--redis-password-file", password.error());
    account.password = std::move(*password);
  }
  return redis::BlockingClient::Connect(context.redis.value, kServerTimeoutMs, account);
}

Result<void> ProduceOne(const Context& context, OutRecord record, bool tombstone) {
  // A producer waits for ever for brokers that are away; a person does not.
  if (auto topics = kafka::ListTopics(context.bootstrap.value, kServerTimeoutMs); !topics) {
    return std::unexpected(topics.error());
  }
  Loop loop;
  auto producer = kafka::Producer::Create(loop, context.bootstrap.value, "hearth-cli");
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
  if (!outcome) return Fail(Code::kUnavailable, "kafka at " + context.bootstrap.value + " did not acknowledge in time");
  return *outcome;
}

}  // namespace hearth::tool
