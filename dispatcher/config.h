// The dispatcher's configuration file, checked. docs/adr/0001 shows one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/shared_keys.h"
#include "common/config/variables.h"
#include "common/link/trust.h"
#include "common/redis/account.h"
#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

struct Config {
  StatusKeys status;
  std::string decisions;  // unix:PATH, where the decision log is told; empty: nowhere
  std::string log_level = "info";
  std::string kafka;  // bootstrap servers
  std::string group = "hearth";
  std::int64_t session_timeout_ms = 3000;  // after so long without a sign of life the group takes us for dead
  std::string functions_topic;
  std::string ledger_topic;
  std::string redis;
  redis::Credentials redis_account;
  std::vector<std::string> executors;  // addresses besides those that Redis names
  LinkTrust link;
  Settings core;
};

// kInvalid: every fault of the file on a line of its own, with the number of its line there.
Result<Config> LoadConfig(const std::string& path);
Result<Config> ParseConfig(std::string_view text, const std::string& name,
                           Environment environment = ProcessEnvironment);
// The chapter about it in docs/configuration.md.
std::string ConfigChapter();

}  // namespace hearth::dispatcher
