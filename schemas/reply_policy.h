// Where replies may go.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

struct ReplyPolicy {
  std::string default_topic;
  std::vector<std::string> allowed;          // exact names, or a prefix followed by '*'
  std::set<std::string, std::less<>> own{};  // hearth's own topics: no name and no prefix reaches them
};

// An empty topic stands for the default one, which is always allowed.
bool ReplyTopicAllowed(const ReplyPolicy& policy, std::string_view topic);

}  // namespace hearth
