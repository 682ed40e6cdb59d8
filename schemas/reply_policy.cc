#include "schemas/reply_policy.h"

#include <algorithm>

namespace hearth {

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view text) {
  return std::ranges::any_of(patterns, [text](const std::string& pattern) {
    if (!pattern.empty() && pattern.back() == '*') {
      return text.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
    }
    return text == pattern;
  });
}

bool ReplyTopicAllowed(const ReplyPolicy& policy, std::string_view topic) {
  if (topic.empty() || topic == policy.default_topic) return true;
  if (policy.own.contains(topic)) return false;
  return MatchesAny(policy.allowed, topic);
}

}  // namespace hearth
