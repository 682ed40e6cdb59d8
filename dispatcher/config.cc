#include "dispatcher/config.h"

#include <utility>

#include "common/base/address.h"
#include "common/config/reader.h"
#include "common/redis/account.h"
#include "schemas/request.h"

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
  core.request_topics[reader.String("topics.rt", "hearth.invoke.rt")] = RequestClass::kRealtime;
  core.request_topics[reader.String("topics.std", "hearth.invoke.std")] = RequestClass::kStandard;
  core.request_topics[reader.String("topics.batch", "hearth.invoke.batch")] = RequestClass::kBatch;
  core.reply_topic = reader.String("topics.reply", core.reply_topic);
  core.dead_letter_topic = reader.String("topics.dead_letter", core.dead_letter_topic);
  core.undeliverable_topic = reader.String("topics.undeliverable", core.undeliverable_topic);
  config.functions_topic = reader.String("topics.functions", config.functions_topic);
  // The executors' alone; the table is the same for both daemons, and replies must not go there.
  const std::string settings_topic = reader.String("topics.settings", "hearth.settings");
  const std::string usage_topic = reader.String("topics.usage", "hearth.usage");
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
  // A reply there could feed a function itself, register code or forge a history.
  core.own_topics = {config.functions_topic, core.dead_letter_topic, core.undeliverable_topic, settings_topic,
                     usage_topic};
  for (const auto& [topic, priority] : core.request_topics) core.own_topics.insert(topic);
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
