#include "schemas/reply_policy.h"

#include <algorithm>

namespace hearth {

bool Matches(std::string_view pattern, std::string_view text) {
  if (!pattern.ends_with('*')) return text == pattern;
  return text.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view text) {
  return std::ranges::any_of(patterns, [text](const std::string& pattern) { return Matches(pattern, text); });
}

bool ReplyTopicAllowed(const ReplyPolicy& policy, std::string_view topic) {
  if (topic.empty() || topic == policy.default_topic) return true;
  if (policy.own.contains(topic)) return false;
  return MatchesAny(policy.allowed, topic);
}

}  // namespace hearth
