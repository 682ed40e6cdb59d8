// The functions that exist, as the compacted topic of the registry tells them. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/kafka/follower.h"
#include "schemas/function.h"
#include "schemas/record.h"

namespace hearth::kafka {

struct FunctionCallbacks {
  std::function<void(std::shared_ptr<const Function> function)> updated;  // new, or changed
  std::function<void(const UserId& user, const FunctionName& name)> removed;
  // Nobody can read the record: what was known of the function stands.
  std::function<void(const std::string& key, const std::string& reason)> unreadable;
  std::function<void()> caught_up;  // once, when all that was there has been told
  std::function<void(const std::string& what)> alarm;
};

// Calls what the record means: `updated`, `removed` or `unreadable`; nothing where it removes a key that names no
// function.
void TellFunction(const Record& record, const FunctionCallbacks& callbacks);

// Follows the topic from its beginning.
Result<std::unique_ptr<TopicFollower>> FollowFunctions(Loop& loop, const std::string& bootstrap,
                                                       const std::string& client_id, const std::string& topic,
                                                       FunctionCallbacks callbacks);

}  // namespace hearth::kafka
