// Which topics of their own users may name as the source of a batch: a bounded replay of what lies there.
//
// Pure; any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"

namespace hearth {

struct BatchTopicPolicy {
  std::vector<std::string> allowed;          // "USER:TOPIC"; both may be a prefix followed by '*'
  std::set<std::string, std::less<>> own{};  // hearth's own topics: no entry reaches them
};

// Whether it says a user and a topic.
bool IsBatchTopicEntry(std::string_view entry);

// Never one of hearth's own, nor one of Kafka's, whose names begin with "__".
bool BatchTopicAllowed(const BatchTopicPolicy& policy, const UserId& user, std::string_view topic);

}  // namespace hearth
