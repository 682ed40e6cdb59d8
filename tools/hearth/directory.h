// Which daemons are there, from the directory in Redis (its layout: docs/directory.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/redis/blocking.h"
#include "schemas/pool_status.h"

namespace hearth::tool {

constexpr std::size_t kMaxDaemons = 256;  // of a kind; more are not looked at

struct DaemonSeen {
  std::string id;
  std::map<std::string, std::string> fields;  // empty: it has not been heard of for some seconds

  [[nodiscard]] bool alive() const { return !fields.empty(); }
  [[nodiscard]] std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

struct Directory {
  std::vector<DaemonSeen> dispatchers;  // each by id
  std::vector<DaemonSeen> executors;
};

// What a set or a sorted set's range holds, in the order of the text.
Result<std::vector<std::string>> Members(redis::BlockingClient& redis, const std::vector<std::string>& command);
Result<Directory> ReadDirectory(redis::BlockingClient& redis);
// The pools of all executors that are there.
Result<std::vector<PoolStatus>> PoolsOf(const Directory& directory);
// "no dispatcher is there", or nothing. Pure.
std::string WhoIsMissing(const Directory& directory);

}  // namespace hearth::tool
