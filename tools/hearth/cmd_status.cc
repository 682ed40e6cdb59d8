// hearth status: what of an installation can be reached from here, and what to do about the rest.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/hearth/context.h"
#include "tools/hearth/findings.h"
#include "tools/hearth/options.h"
#include "tools/hearth/registry.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kPageTimeoutMs = 1500;
constexpr std::size_t kMaxPages = 8;  // asked at most, of daemons that Redis names

Result<Directory> LookIntoRedis(const Context& context) {
  auto redis = ConnectRedis(context);
  if (!redis) return std::unexpected(redis.error());
  return ReadDirectory(*redis);
}

Result<FunctionCount> CountFunctions(const Context& context) {
  const auto functions = ReadFunctions(context);
  if (!functions) return std::unexpected(functions.error());
  const auto own =
      std::ranges::count_if(*functions, [&](const auto& each) { return each.second.user.str() == context.user.value; });
  return FunctionCount{static_cast<std::size_t>(own), functions->size()};
}

Seen Look(const Context& context) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking Kafka at " + context.bootstrap.value);
  Seen seen{kafka::ListTopics(context.bootstrap.value, kServerTimeoutMs), std::nullopt, {}, {}, false};
  if (seen.topics) seen.functions = CountFunctions(context);
  progress.Say("asking Redis at " + context.redis.value);
  if (!context.redis.empty()) seen.directory = LookIntoRedis(context);
  std::set<std::string> pages;
  if (seen.directory && *seen.directory) {
    for (const auto& dispatcher : (*seen.directory)->dispatchers) {
      if (pages.size() < kMaxPages && dispatcher.alive()) pages.insert(dispatcher.field("http"));
    }
  }
  pages.insert({context.dispatcher_http.value, context.executor_http.value});
  pages.erase("");
  for (const auto& address : pages) {
    progress.Say("asking the daemon at " + address);
    seen.pages.emplace(address, GetPage(address, "/readyz", kPageTimeoutMs));
  }
  std::error_code error;
  seen.code_store_there = std::filesystem::is_directory(context.code_store.value, error);
  return seen;
}

int ShowStatus(const Context& context) {
  const auto checks = Judge(context, Look(context));
  if (context.json) {
    PrintJson(ToJson(checks));
  } else {
    Write(stdout, ToText(checks));
  }
  return AllOk(checks) ? kFine : kFailed;
}

}  // namespace

void AddStatus(CLI::App& app, Context& context, Command& chosen) {
  auto* status = app.add_subcommand("status", "what is reachable from here, and what to do about the rest");
  status->group(kInstallationCommands);
  AddSetting(*status, context.dispatcher_http, kOptions);
  AddSetting(*status, context.executor_http, kOptions);
  Choose(*status, chosen, [&context] { return ShowStatus(context); });
}

}  // namespace hearth::tool
