// hearth topics create | list
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/kafka/admin.h"
#include "schemas/limits.h"
#include "schemas/topics.h"
#include "tools/hearth/context.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

constexpr int kDefaultPartitions = 8;
constexpr int kMaxPartitions = 10'000;
constexpr int kMaxReplication = 9;
constexpr std::int64_t kBrokersWithinMs = 60'000;  // a cluster that is being started
constexpr std::int64_t kLookEveryMs = 500;

std::vector<std::pair<std::string, std::string>> SettingsOf(const TopicRow& row) {
  std::vector<std::pair<std::string, std::string>> settings;
  switch (row.retention) {
    case Retention::kDay: settings.emplace_back("retention.ms", "86400000"); break;
    case Retention::kWeek: settings.emplace_back("retention.ms", "604800000"); break;
    case Retention::kCompacted: settings.emplace_back("cleanup.policy", "compact"); break;
    case Retention::kCompactedSoon:
      settings = {{"cleanup.policy", "compact"},
                  {"segment.bytes", "16777216"},
                  {"segment.ms", "600000"},
                  {"min.cleanable.dirty.ratio", "0.1"}};
      break;
  }
  if (row.append_time) settings.emplace_back("message.timestamp.type", "LogAppendTime");
  if (row.whole_records) settings.emplace_back("max.message.bytes", std::to_string(kMaxTopicRecordBytes));
  return settings;
}

std::vector<kafka::TopicSpec> Specs(int partitions, int replication) {
  std::vector<kafka::TopicSpec> specs;
  for (const TopicRow& row : kTopics) {
    specs.push_back({std::string(row.name), row.spread ? partitions : 1, replication, SettingsOf(row)});
  }
  return specs;
}

// Until as many brokers are there as each partition shall have copies: Kafka refuses the topics before.
Result<void> AwaitBrokers(const Context& context, int wanted, Progress& progress) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBrokersWithinMs);
  progress.Say(fmt::format("waiting for {} brokers at {}", wanted, context.bootstrap.value));
  for (;;) {
    const auto found = kafka::CountBrokers(context.bootstrap.value, kServerTimeoutMs);
    if (!found) return std::unexpected(found.error());
    if (*found >= wanted) return {};
    if (std::chrono::steady_clock::now() >= until) {
      return Fail(
          Code::kUnavailable,
          fmt::format("kafka at {} has {} brokers, and --replication {} needs as many: start more, or ask for less",
                      context.bootstrap.value, *found, wanted));
    }
    progress.Note(fmt::format("{} there", *found));
    std::this_thread::sleep_for(std::chrono::milliseconds(kLookEveryMs));
  }
}

int CreateTopics(const Context& context, int partitions, int replication) {
  Progress progress(stderr, ProgressKind(context));
  if (replication > 1) {
    if (auto there = AwaitBrokers(context, replication, progress); !there) {
      progress.Stop();
      return ReportKafka(context, there.error());
    }
  }
  progress.Say("creating the topics at " + context.bootstrap.value);
  auto created = kafka::CreateTopics(context.bootstrap.value, Specs(partitions, replication), 3 * kServerTimeoutMs);
  progress.Stop();
  if (!created) return ReportKafka(context, created.error());
  if (context.json) {
    PrintJson({{"created", *created}});
    return kFine;
  }
  for (const auto& name : *created) Print("created {}\n", name);
  if (created->empty()) Print("all topics exist\n");
  return kFine;
}

int ListTopics(const Context& context) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking Kafka at " + context.bootstrap.value);
  auto found = kafka::ListTopics(context.bootstrap.value, kServerTimeoutMs);
  progress.Stop();
  if (!found) return ReportKafka(context, found.error());
  if (context.json) {
    auto rows = nlohmann::json::array();
    for (const auto& topic : *found) rows.push_back({{"name", topic.name}, {"partitions", topic.partitions}});
    PrintJson(rows);
    return kFine;
  }
  for (const auto& topic : *found) Print("{:<32} {}\n", topic.name, topic.partitions);
  return kFine;
}

}  // namespace

void AddTopics(CLI::App& app, Context& context, Command& chosen) {
  auto* topics = app.add_subcommand("topics", "the topics that hearth needs")->require_subcommand(1);
  topics->group(kInstallationCommands);
  auto partitions = std::make_shared<int>(kDefaultPartitions);
  auto replication = std::make_shared<int>(1);
  auto* create = topics->add_subcommand("create", "create what does not exist yet");
  create
      ->add_option("--partitions", *partitions, "of the topics for requests, replies and batches, and of hearth.ledger")
      ->check(Between(1, kMaxPartitions))
      ->type_name("COUNT")
      ->capture_default_str();
  create->add_option("--replication", *replication, "copies of each partition")
      ->check(Between(1, kMaxReplication))
      ->type_name("COUNT")
      ->capture_default_str();
  Choose(*create, chosen,
         [&context, partitions, replication] { return CreateTopics(context, *partitions, *replication); });
  auto* list = topics->add_subcommand("list", "list topics with their partitions");
  Choose(*list, chosen, [&context] { return ListTopics(context); });
}

}  // namespace hearth::tool
