#include "tools/hearth/context.h"

#include <nlohmann/json.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/text.h"
#include "common/kafka/admin.h"
#include "tools/hearth/ways_out.h"

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

int Report(const Error& error, std::string_view way_out) {
  ReportUsage(error.message, way_out);
  switch (error.code) {
    case Code::kUnavailable: return kUnreachable;
    case Code::kDeadline: return kTimedOut;
    default: return kFailed;
  }
}

std::vector<const Setting*> Context::Settings() const {
  return {&user,       &bootstrap, &redis,           &redis_user,   &redis_password_file,
          &code_store, &decisions, &dispatcher_http, &executor_http};
}

Progress::Kind ProgressKind(const Context& context) {
  if (context.quiet) return Progress::Kind::kSilent;
  return isatty(STDERR_FILENO) != 0 ? Progress::Kind::kTerminal : Progress::Kind::kLines;
}

int ReportKafka(const Context& context, const Error& error) {
  return Report(error, KafkaWayOut(context, error));
}

int ReportRedis(const Context& context, const Error& error) {
  return Report(error, RedisWayOut(context, error));
}

int ReportUsage(std::string_view message, std::string_view way_out) {
  PrintError("hearth: {}\n", Shown(message));
  while (!way_out.empty()) {
    const auto end = std::min(way_out.find('\n'), way_out.size());
    PrintError("  {}\n", Shown(way_out.substr(0, end)));
    way_out.remove_prefix(std::min(end + 1, way_out.size()));
  }
  return kUsage;
}

int NoRedis(const Context& context) {
  return ReportUsage("where is Redis?", context.redis.Ways() + " names its address");
}

Result<void> NeedTopic(const Context& context, const std::string& topic) {
  const auto topics = kafka::ListTopics(context.bootstrap.value, kServerTimeoutMs);
  if (!topics) return std::unexpected(topics.error());
  if (std::ranges::find(*topics, topic, &kafka::TopicInfo::name) != topics->end()) return {};
  return Fail(Code::kNotFound, "no topic " + topic + " (hearth topics create makes hearth's own)");
}

Result<redis::BlockingClient> ConnectRedis(const Context& context, std::int64_t timeout_ms) {
  redis::Credentials account{context.redis_user.value, {}};
  if (!context.redis_password_file.empty()) {
    auto password = redis::ReadPassword(context.redis_password_file.value);
    if (!password) return FailWith("--redis-password-file", password.error());
    account.password = std::move(*password);
  }
  return redis::BlockingClient::Connect(context.redis.value, timeout_ms, account);
}

Result<void> ProduceOne(const Context& context, OutRecord record, bool tombstone) {
  // A producer waits for ever for brokers that are away; a person does not.
  if (auto there = NeedTopic(context, record.topic); !there) return there;
  Loop loop;
  auto producer = kafka::Producer::Create(loop, context.bootstrap.value, "hearth-cli");
  if (!producer) return std::unexpected(producer.error());
  std::optional<Result<void>> outcome;
  const auto done = [&](const Result<std::int64_t>& result) {
    outcome = result ? Result<void>() : std::unexpected(result.error());
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
