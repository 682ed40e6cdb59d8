#include "dispatcher/config.h"

#include <utility>

#include "common/base/address.h"
#include "common/config/reader.h"
#include "common/redis/account.h"
#include "schemas/request.h"
#include "schemas/topics.h"

namespace hearth::dispatcher {
namespace {

Result<Config> Read(ConfigReader reader) {
  Config config;
  Settings& core = config.core;
  core.id = DispatcherId(reader.RequiredString("id"));
  if (!core.id.empty() && !IsIdentifier(core.id.value)) reader.Reject("id", "must be of [A-Za-z0-9._-]");
  config.http = reader.RequiredString("http");
  config.decisions = reader.String("decisions", "");
  if (!config.decisions.empty()) {
    const auto address = ParseAddress(config.decisions);
    if (!address || !address->path.starts_with('/')) {
      reader.Reject("decisions", "must be unix:PATH with an absolute path");
    }
  }
  config.log_level = reader.String("log_level", config.log_level);
  config.kafka = reader.RequiredString("kafka.bootstrap");
  config.group = reader.String("kafka.group", config.group);
  config.session_timeout_ms = reader.Integer("kafka.session_timeout_ms", config.session_timeout_ms, 1'000, 60'000);
  const TopicNames topics = TopicNames::Read([&reader](const std::string& key, std::string_view fallback) {
    return reader.String(key, std::string(fallback));
  });
  core.request_topics = {{topics[Topic::kRealtime], RequestClass::kRealtime},
                         {topics[Topic::kStandard], RequestClass::kStandard},
                         {topics[Topic::kBatch], RequestClass::kBatch}};
  core.reply_topic = topics[Topic::kReply];
  core.dead_letter_topic = topics[Topic::kDeadLetter];
  core.undeliverable_topic = topics[Topic::kUndeliverable];
  core.own_topics = topics.Own();
  config.functions_topic = topics[Topic::kFunctions];
  config.redis = reader.RequiredString("redis.address");
  config.redis_account = redis::ReadCredentials(reader);
  config.executors = reader.Strings("link.executors", {});
  config.link = ReadLinkTrust(reader);
  for (const auto& address : config.executors) {
    if (auto allowed = CheckLinkAddress(address, config.link); !allowed) {
      reader.Reject("link.executors", allowed.error().message);
    }
  }
  core.reply_topics_allowed = reader.Strings("admission.reply_topics", {core.reply_topic});
  core.realtime_users = reader.Strings("admission.realtime_users", {});
  core.user_concurrency =
      static_cast<std::int32_t>(reader.Integer("admission.user_concurrency", core.user_concurrency, 1, 1'000'000));
  core.user_queue_limit =
      static_cast<std::int32_t>(reader.Integer("admission.user_queue", core.user_queue_limit, 1, 10'000'000));
  if (core.request_topics.size() != 3) reader.Reject("topics", "must name three different request topics");
  if (core.own_topics.contains(core.reply_topic)) reader.Reject("topics.reply", "must be a topic of its own");
  for (const auto& topic : core.reply_topics_allowed) {
    if (core.own_topics.contains(topic)) {
      reader.Reject("admission.reply_topics", "must not name hearth's own topic " + topic);
    }
  }
  if (auto finished = reader.Finish(); !finished) return std::unexpected(finished.error());
  return config;
}

}  // namespace

Result<Config> LoadConfig(const std::string& path) {
  auto reader = ConfigReader::FromFile(path);
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

Result<Config> ParseConfig(std::string_view text, const std::string& name) {
  auto reader = ConfigReader::FromText(text, name);
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

}  // namespace hearth::dispatcher
