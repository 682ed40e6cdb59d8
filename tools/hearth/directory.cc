#include "tools/hearth/directory.h"

#include <algorithm>

namespace hearth::tool {
namespace {

Result<std::vector<DaemonSeen>> Daemons(redis::BlockingClient& redis, const std::string& prefix) {
  auto ids = Members(redis, {"SMEMBERS", prefix + ":idx"});
  if (!ids) return std::unexpected(ids.error());
  if (ids->size() > kMaxDaemons) ids->resize(kMaxDaemons);
  std::vector<DaemonSeen> daemons;
  for (const auto& id : *ids) {
    auto record = redis.Command({"HGETALL", prefix + ":" + id});
    if (!record) return std::unexpected(record.error());
    DaemonSeen& daemon = daemons.emplace_back(DaemonSeen{id, {}});
    for (std::size_t i = 0; i + 1 < record->elements.size(); i += 2) {
      daemon.fields[record->elements[i].text] = record->elements[i + 1].text;
    }
  }
  return daemons;
}

}  // namespace

Result<std::vector<std::string>> Members(redis::BlockingClient& redis, const std::vector<std::string>& command) {
  auto answer = redis.Command(command);
  if (!answer) return std::unexpected(answer.error());
  std::vector<std::string> members;
  for (const auto& element : answer->elements) members.push_back(element.text);
  std::ranges::sort(members);
  return members;
}

Result<Directory> ReadDirectory(redis::BlockingClient& redis) {
  auto dispatchers = Daemons(redis, "di");
  if (!dispatchers) return std::unexpected(dispatchers.error());
  auto executors = Daemons(redis, "ex");
  if (!executors) return std::unexpected(executors.error());
  return Directory{std::move(*dispatchers), std::move(*executors)};
}

Result<std::vector<PoolStatus>> PoolsOf(const Directory& directory) {
  std::vector<PoolStatus> pools;
  for (const auto& executor : directory.executors) {
    const auto text = executor.field("pools");
    if (text.empty()) continue;  // gone, or older than this tool
    auto parsed = DecodePools(text, ExecutorId(executor.id));
    if (!parsed) return std::unexpected(parsed.error());
    pools.insert(pools.end(), parsed->begin(), parsed->end());
  }
  return pools;
}

std::string WhoIsMissing(const Directory& directory) {
  if (!std::ranges::any_of(directory.dispatchers, &DaemonSeen::alive)) return "no dispatcher is there";
  if (!std::ranges::any_of(directory.executors, &DaemonSeen::alive)) return "no executor is there";
  return "";
}

}  // namespace hearth::tool
