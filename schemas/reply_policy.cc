#include "schemas/reply_policy.h"

#include <algorithm>

namespace hearth {

bool ReplyTopicAllowed(const ReplyPolicy& policy, std::string_view topic) {
  if (topic.empty() || topic == policy.default_topic) return true;
  if (policy.own.contains(topic)) return false;
  return std::any_of(policy.allowed.begin(), policy.allowed.end(), [topic](const std::string& pattern) {
    if (!pattern.empty() && pattern.back() == '*') {
      return topic.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
    }
    return topic == pattern;
  });
}

}  // namespace hearth
