#include "common/kafka/functions.h"

#include <utility>

namespace hearth::kafka {

void TellFunction(const Record& record, const FunctionCallbacks& callbacks) {
  if (!record.value.empty()) {
    auto function = DecodeFunctionRecord(record.key, record.value);
    if (!function) return callbacks.unreadable(record.key, function.error().message);
    return callbacks.updated(std::make_shared<const Function>(std::move(*function)));
  }
  const auto slash = record.key.find('/');
  if (slash == std::string::npos) return;
  callbacks.removed(UserId(record.key.substr(0, slash)), FunctionName(record.key.substr(slash + 1)));
}

Result<std::unique_ptr<TopicFollower>> FollowFunctions(Loop& loop, const std::string& bootstrap,
                                                       const std::string& client_id, const std::string& topic,
                                                       FunctionCallbacks callbacks) {
  TopicFollower::Callbacks raw;
  raw.caught_up = std::move(callbacks.caught_up);
  raw.alarm = std::move(callbacks.alarm);
  raw.record = [told = std::move(callbacks)](const Record& record) { TellFunction(record, told); };
  return TopicFollower::Create(loop, bootstrap, client_id, topic, std::move(raw));
}

}  // namespace hearth::kafka
