// hearth topics create | list
#include <fmt/format.h>

#include "common/kafka/admin.h"
#include "schemas/limits.h"
#include "schemas/topics.h"
#include "tools/hearth/context.h"

namespace hearth::tool {
namespace {

std::vector<std::pair<std::string, std::string>> SettingsOf(const TopicRow& row) {
  std::vector<std::pair<std::string, std::string>> settings;
  switch (row.retention) {
    case Retention::kDay: settings.emplace_back("retention.ms", "86400000"); break;
    case Retention::kWeek: settings.emplace_back("retention.ms", "604800000"); break;
    case Retention::kCompacted: settings.emplace_back("cleanup.policy", "compact"); break;
  }
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

}  // namespace

void AddTopics(CLI::App& app, Context& context, int& exit_code) {
  auto* topics = app.add_subcommand("topics", "hearth's topics")->require_subcommand(1);
  static constexpr int kDefaultPartitions = 8;
  auto partitions = std::make_shared<int>(kDefaultPartitions);
  auto replication = std::make_shared<int>(1);
  auto* create = topics->add_subcommand("create", "create what does not exist yet");
  create->add_option("--partitions", *partitions, "of the request and reply topics")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  create->add_option("--replication", *replication, "copies of each partition")
      ->check(CLI::Range(1, 9))
      ->capture_default_str();
  create->callback([&context, &exit_code, partitions, replication] {
    auto created = kafka::CreateTopics(context.bootstrap, Specs(*partitions, *replication), 3 * kServerTimeoutMs);
    if (!created) {
      exit_code = Report(created.error());
      return;
    }
    for (const auto& name : *created) Print("created {}\n", name);
    if (created->empty()) Print("all topics exist\n");
  });
  auto* list = topics->add_subcommand("list", "list topics with their partitions");
  list->callback([&context, &exit_code] {
    auto found = kafka::ListTopics(context.bootstrap, kServerTimeoutMs);
    if (!found) {
      exit_code = Report(found.error());
      return;
    }
    for (const auto& topic : *found) Print("{:<32} {}\n", topic.name, topic.partitions);
  });
}

}  // namespace hearth::tool
