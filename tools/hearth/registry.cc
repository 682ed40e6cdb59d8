#include "tools/hearth/registry.h"

#include "common/kafka/functions.h"
#include "schemas/topics.h"

namespace hearth::tool {

Result<std::map<std::string, Function>> ReadFunctions(const Context& context) {
  const std::string topic(TopicName(Topic::kFunctions));
  if (auto there = NeedTopic(context, topic); !there) return std::unexpected(there.error());
  Loop loop;
  std::map<std::string, Function> functions;
  bool done = false;
  std::string trouble = "the functions did not come in time";
  kafka::FunctionCallbacks callbacks;
  callbacks.updated = [&](const std::shared_ptr<const Function>& function) {
    functions.insert_or_assign(FunctionKey(function->user, function->name), *function);
  };
  callbacks.removed = [&](const UserId& user, const FunctionName& name) { functions.erase(FunctionKey(user, name)); };
  callbacks.unreadable = [&](const std::string& key, const std::string&) { functions.erase(key); };
  callbacks.caught_up = [&] {
    done = true;
    loop.Stop();
  };
  callbacks.alarm = [&](const std::string& what) { trouble = what; };
  auto follower = kafka::FollowFunctions(loop, context.bootstrap.value, "hearth-cli", topic, callbacks);
  if (!follower) return std::unexpected(follower.error());
  Timer limit(loop, [&] { loop.Stop(); });
  limit.StartOnce(kServerTimeoutMs);
  loop.Run();
  if (!done) return Fail(Code::kUnavailable, "kafka at " + context.bootstrap.value + ": " + trouble);
  return functions;
}

std::vector<KnownFunction> NamesOf(const std::map<std::string, Function>& functions) {
  std::vector<KnownFunction> names;
  for (const auto& [key, function] : functions) names.push_back({function.user.str(), function.name.str()});
  return names;
}

}  // namespace hearth::tool
