#include "schemas/runtime.h"
#include "schemas/start_path.h"
#include "schemas/topics.h"

namespace hearth {

Result<StartPath> ParseStartPath(std::string_view name) {
  const auto row = FindByName(kStartPaths, "start path", name);
  if (!row) return std::unexpected(row.error());
  return (*row)->path;
}

Result<Runtime> ParseRuntime(std::string_view name) {
  const auto row = FindByName(kRuntimes, "runtime", name);
  if (!row) return std::unexpected(row.error());
  return (*row)->runtime;
}

TopicNames::TopicNames() {
  for (const TopicRow& row : kTopics) names_.at(static_cast<std::size_t>(row.topic)) = row.name;
}

TopicNames TopicNames::Read(const Setting& setting) {
  TopicNames names;
  for (const TopicRow& row : kTopics) {
    names.names_.at(static_cast<std::size_t>(row.topic)) = setting(row);
  }
  return names;
}

std::set<std::string, std::less<>> TopicNames::Own() const {
  std::set<std::string, std::less<>> own;
  for (const TopicRow& row : kTopics) {
    if (row.own) own.insert((*this)[row.topic]);
  }
  return own;
}

}  // namespace hearth
