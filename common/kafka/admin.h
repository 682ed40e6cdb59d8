// Creating and listing topics, for the command line. Blocks.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace hearth::kafka {

struct TopicSpec {
  std::string name;
  int partitions = 1;
  int replication = 1;
  std::vector<std::pair<std::string, std::string>> settings;  // e.g. cleanup.policy
};
struct TopicInfo {
  std::string name;
  int partitions = 0;
};

// Creates what does not exist yet; returns the names that it created. kUnavailable where no broker answers in time.
Result<std::vector<std::string>> CreateTopics(const std::string& bootstrap, const std::vector<TopicSpec>& topics,
                                              std::int64_t timeout_ms);
// How many brokers the cluster has now.
Result<int> CountBrokers(const std::string& bootstrap, std::int64_t timeout_ms);
Result<std::vector<TopicInfo>> ListTopics(const std::string& bootstrap, std::int64_t timeout_ms);

}  // namespace hearth::kafka
