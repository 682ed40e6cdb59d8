// Where replies may go, and how lists of names are written.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

// Whether the pattern is the text, or a prefix of it followed by '*'.
bool Matches(std::string_view pattern, std::string_view text);
// Whether one of them is.
bool MatchesAny(const std::vector<std::string>& patterns, std::string_view text);

struct ReplyPolicy {
  std::string default_topic;
  std::vector<std::string> allowed;          // exact names, or a prefix followed by '*'
  std::set<std::string, std::less<>> own{};  // hearth's own topics: no name and no prefix reaches them
};

// An empty topic stands for the default one, which is always allowed.
bool ReplyTopicAllowed(const ReplyPolicy& policy, std::string_view topic);

}  // namespace hearth
