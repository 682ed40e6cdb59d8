#include "schemas/batch_policy.h"

#include <algorithm>

#include "schemas/reply_policy.h"

namespace hearth {
namespace {

constexpr char kAfterUser = ':';  // in no name of a user, and of no topic
constexpr std::string_view kKafkasOwn = "__";

}  // namespace

bool IsBatchTopicEntry(std::string_view entry) {
  const auto at = entry.find(kAfterUser);
  return at != std::string_view::npos && at > 0 && at + 1 < entry.size();
}

bool BatchTopicAllowed(const BatchTopicPolicy& policy, const UserId& user, std::string_view topic) {
  if (topic.empty() || topic.starts_with(kKafkasOwn) || policy.own.contains(topic)) return false;
  return std::ranges::any_of(policy.allowed, [&](const std::string& entry) {
    if (!IsBatchTopicEntry(entry)) return false;
    const auto at = entry.find(kAfterUser);
    return Matches(entry.substr(0, at), user.value) && Matches(entry.substr(at + 1), topic);
  });
}

}  // namespace hearth
