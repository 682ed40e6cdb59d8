#include "dispatcher/config.h"

#include <memory>
#include <set>
#include <utility>

#include "common/base/address.h"
#include "common/config/reader.h"
#include "common/redis/account.h"
#include "schemas/batch_policy.h"
#include "schemas/request.h"
#include "schemas/topics.h"

namespace hearth::dispatcher {
namespace {

constexpr std::size_t kTopicsOfBatches = 4;

constexpr std::string_view kExample = R"(id = "${HOSTNAME}"                    # a variable of the environment
http = "127.0.0.1:9101"
decisions = "unix:/run/hearth/decisions.sock"

[kafka]
bootstrap = "127.0.0.1:9092"

[redis]
address = "unix:/run/redis/redis.sock" # or "tcp:redis:6379"
user = "hearth"

[link]
executors = ["unix:/run/hearth/executor-1.sock"]

[admission]
reply_topics = ["hearth.reply", "reply.*"]
batch_topics = ["ada:orders.*"]
realtime_users = ["ops-*"]
)";

void CheckTopics(ConfigReader& reader, const Settings& core) {
  if (core.request_topics.size() != kRequestTopics.size()) {
    reader.Reject("topics", "must name three different request topics");
  }
  std::set<std::string> apart = {core.batches_topic, core.batch_items_topic, core.batch_state_topic,
                                 core.batch_results_topic};
  const std::size_t of_batches = apart.size();
  for (const auto& [topic, each] : core.request_topics) apart.insert(topic);
  if (of_batches != kTopicsOfBatches || apart.size() != core.request_topics.size() + of_batches) {
    reader.Reject("topics", "must name different topics for requests, and for each that batches need");
  }
  if (core.own_topics.contains(core.reply_topic)) reader.Reject("topics.reply", "must be a topic of its own");
  for (const auto& topic : core.reply_topics_allowed) {
    if (core.own_topics.contains(topic)) {
      reader.Reject("admission.reply_topics", "must not name hearth's own topic " + topic);
    }
  }
  for (const auto& entry : core.batch_replay_topics) {
    if (!IsBatchTopicEntry(entry)) reader.Reject("admission.batch_topics", "'" + entry + "' is not USER:TOPIC");
    for (const auto& own : core.own_topics) {
      if (entry.ends_with(":" + own)) {
        reader.Reject("admission.batch_topics", "must not name hearth's own topic " + own);
      }
    }
  }
}

Result<Config> Read(ConfigReader reader) {
  Config config;
  Settings& core = config.core;
  core.id = DispatcherId(reader.RequiredString("id", "its name, of [A-Za-z0-9._-]; no other dispatcher has it"));
  if (!core.id.empty() && !IsIdentifier(core.id.value)) reader.Reject("id", "must be of [A-Za-z0-9._-]");
  config.status = ReadStatusKeys(reader);
  config.decisions = reader.String(
      "decisions", "",
      "`unix:PATH`, absolute, where `hearth why` asks for decisions: who ran what, when and where. The socket belongs "
      "to the dispatcher's account alone; the status pages do not tell them");
  if (!config.decisions.empty()) {
    const auto address = ParseAddress(config.decisions);
    if (!address || !address->path.starts_with('/')) {
      reader.Reject("decisions", "must be unix:PATH with an absolute path");
    }
  }
  config.log_level = ReadLogLevel(reader);
  config.kafka = reader.RequiredString("kafka.bootstrap", kAboutKafka);
  config.group = reader.String("kafka.group", config.group, "consumer group; its dispatchers share the partitions");
  config.session_timeout_ms =
      reader.Integer("kafka.session_timeout_ms", config.session_timeout_ms, 1'000, 60'000,
                     "after so long without a sign of life others take its partitions over. Brokers must allow it: "
                     "`group.min.session.timeout.ms`");
  const TopicNames topics = TopicNames::Read([&reader](const TopicRow& row) {
    return reader.String("topics." + std::string(row.key), row.name, row.content);
  });
  core.request_topics = {{topics[Topic::kRealtime], RequestClass::kRealtime},
                         {topics[Topic::kStandard], RequestClass::kStandard},
                         {topics[Topic::kBatch], RequestClass::kBatch}};
  core.reply_topic = topics[Topic::kReply];
  core.dead_letter_topic = topics[Topic::kDeadLetter];
  core.undeliverable_topic = topics[Topic::kUndeliverable];
  core.own_topics = topics.Own();
  core.batches_topic = topics[Topic::kBatches];
  core.batch_items_topic = topics[Topic::kBatchItems];
  core.batch_state_topic = topics[Topic::kBatchState];
  core.batch_results_topic = topics[Topic::kBatchResults];
  config.functions_topic = topics[Topic::kFunctions];
  config.ledger_topic = topics[Topic::kLedger];
  config.redis = reader.RequiredString("redis.address", kAboutRedis);
  config.redis_account = redis::ReadCredentials(reader);
  config.executors = reader.Strings("link.executors", {},
                                    "executors to dial besides those that Redis names: `unix:PATH` or `tcp:HOST:PORT`");
  config.link = ReadLinkTrust(reader);
  for (const auto& address : config.executors) {
    if (auto allowed = CheckLinkAddress(address, config.link); !allowed) {
      reader.Reject("link.executors", allowed.error().message);
    }
  }
  core.reply_topics_allowed =
      reader.Strings("admission.reply_topics", {core.reply_topic},
                     "where replies may go: names, or a prefix followed by `*`; never one of hearth's own topics");
  core.batch_replay_topics = reader.Strings("admission.batch_topics", {},
                                            "which topics users may name as the source of a batch: `USER:TOPIC`, where "
                                            "each is a name, or a prefix followed by `*`; never one of hearth's own "
                                            "topics");
  core.realtime_users = reader.Strings("admission.realtime_users", {},
                                       "who is granted the class `rt`: names, or a prefix followed by `*`. Requests of "
                                       "others on its topic are rejected");
  const auto integer = [&](const char* key, std::int32_t fallback, std::int64_t most, std::string_view about) {
    return static_cast<std::int32_t>(reader.Integer(key, fallback, 1, most, about));
  };
  core.user_concurrency =
      integer("admission.user_concurrency", core.user_concurrency, 1'000'000, "attempts of one user at once");
  CheckTopics(reader, core);
  if (auto finished = reader.Finish(); !finished) return std::unexpected(finished.error());
  return config;
}

}  // namespace

Result<Config> LoadConfig(const std::string& path) {
  auto reader = ConfigReader::FromFile(path);
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

Result<Config> ParseConfig(std::string_view text, const std::string& name, Environment environment) {
  auto reader = ConfigReader::FromText(text, name, std::move(environment));
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

std::string ConfigChapter() {
  auto reference = std::make_shared<ConfigReference>();
  (void)Read(ConfigReader::ForReference(reference));
  return ReferenceText(*reference, "hearth-dispatcher", kExample);
}

}  // namespace hearth::dispatcher
