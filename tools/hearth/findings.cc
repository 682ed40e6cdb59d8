#include "tools/hearth/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "schemas/topics.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {
namespace {

constexpr int kReady = 200;
constexpr std::string_view kOkSuffix = ": ok";

std::string_view NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk: return "ok";
    case Verdict::kMissing: return "missing";
    case Verdict::kUnknown: return "unknown";
  }
  return "";
}

// What a page of readiness has that is not "NAME: ok", in one line.
std::string NotOk(std::string_view page) {
  std::string reasons;
  while (!page.empty()) {
    const auto end = std::min(page.find('\n'), page.size());
    const auto line = page.substr(0, end);
    if (!line.empty() && !line.ends_with(kOkSuffix)) reasons.append(reasons.empty() ? "" : "; ").append(line);
    page.remove_prefix(std::min(end + 1, page.size()));
  }
  return reasons;
}

Check OfKafka(const Context& context, const Seen& seen) {
  Check check{"kafka", Verdict::kOk, context.bootstrap.value, ""};
  if (seen.topics) {
    check.found = fmt::format("answers; {} topics", seen.topics->size());
    return check;
  }
  check.verdict = Verdict::kMissing;
  check.found = seen.topics.error().message;
  check.way_out = "start it; " + context.bootstrap.Another();
  return check;
}

Check OfTopics(const Seen& seen) {
  if (!seen.topics) return {"topics", Verdict::kUnknown, "", "Kafka is away"};
  std::vector<std::string_view> missing;
  for (const TopicRow& row : kTopics) {
    if (std::ranges::find(*seen.topics, row.name, &kafka::TopicInfo::name) == seen.topics->end())
      missing.push_back(row.name);
  }
  if (missing.empty()) return {"topics", Verdict::kOk, "", fmt::format("all {} of hearth's are there", kTopics.size())};
  return {"topics", Verdict::kMissing, "", fmt::format("not there: {}", fmt::join(missing, ", ")),
          "hearth topics create makes them"};
}

Check OfRedis(const Context& context, const Seen& seen) {
  Check check{"redis", Verdict::kOk, context.redis.value, "answers"};
  if (!seen.directory) {
    check = {"redis", Verdict::kUnknown, "", "nothing names it", context.redis.Ways() + " names its address"};
  } else if (!*seen.directory) {
    check.verdict = Verdict::kMissing;
    check.found = seen.directory->error().message;
    check.way_out = RedisWayOut(context, seen.directory->error());
    if (check.way_out.empty()) check.way_out = "start it; " + context.redis.Another();
  }
  return check;
}

// The page of a daemon that an option or a variable names: it has to answer.
Check OfPage(const std::string& what, const Setting& setting, const Result<LocalAnswer>& page) {
  Check check{what, Verdict::kOk, setting.value, "ready"};
  if (!page) {
    check.verdict = Verdict::kMissing;
    check.found = page.error().message;
    check.way_out = "start it; " + setting.Another();
  } else if (page->status != kReady) {
    check.verdict = Verdict::kMissing;
    check.found = "not ready: " + NotOk(page->body);
    check.way_out = "what is named there is what it waits for; its log says more";
  }
  return check;
}

// A dispatcher that Redis names. That its page cannot be reached from here does not mean that it is away.
Check OfDispatcher(const Context& context, const Seen& seen, const DaemonSeen& dispatcher) {
  const auto address = dispatcher.field("http");
  const auto page = seen.pages.find(address);
  if (page != seen.pages.end() && page->second) {
    Setting known = context.dispatcher_http;
    known.value = address;
    auto check = OfPage("dispatcher", known, page->second);
    check.found = dispatcher.id + ": " + check.found;
    return check;
  }
  return {"dispatcher", Verdict::kOk, address,
          dispatcher.id + ": lives, as Redis says; its status page is not reached from here"};
}

Check Nobody(const Context& context, const std::string& what, const Seen& seen, const Setting& http) {
  if (!seen.directory || !*seen.directory) {
    return {what, Verdict::kUnknown, "", "nothing says where one is",
            fmt::format("{} tells of all; {}, of one", context.redis.Ways(), http.Ways())};
  }
  return {what, Verdict::kMissing, "", "none is there",
          fmt::format("start hearth-{} with the same Kafka and Redis ({}); its log says what keeps it away", what,
                      context.redis.value)};
}

void AddDispatchers(const Context& context, const Seen& seen, std::vector<Check>& checks) {
  const Setting& http = context.dispatcher_http;
  bool any = false;
  bool http_named = false;
  if (seen.directory && *seen.directory) {
    for (const auto& dispatcher : (*seen.directory)->dispatchers) {
      if (!dispatcher.alive()) continue;
      any = true;
      http_named = http_named || dispatcher.field("http") == http.value;
      checks.push_back(OfDispatcher(context, seen, dispatcher));
    }
  }
  if (!http.empty() && !http_named) {
    any = true;
    checks.push_back(OfPage("dispatcher", http, seen.pages.at(http.value)));
  }
  if (!any) checks.push_back(Nobody(context, "dispatcher", seen, http));
}

void AddExecutors(const Context& context, const Seen& seen, std::vector<Check>& checks) {
  const Setting& http = context.executor_http;
  bool any = false;
  if (seen.directory && *seen.directory) {
    for (const auto& executor : (*seen.directory)->executors) {
      if (!executor.alive()) continue;
      any = true;
      checks.push_back({"executor", Verdict::kOk, executor.field("address"),
                        fmt::format("{}: {}, {}, {} machines, runs {} of {}", executor.id, executor.field("state"),
                                    executor.field("acceleration"), executor.field("instances"), executor.field("held"),
                                    executor.field("credit"))});
    }
  }
  if (!http.empty()) {
    any = true;
    checks.push_back(OfPage("executor", http, seen.pages.at(http.value)));
  }
  if (!any) checks.push_back(Nobody(context, "executor", seen, http));
}

Check OfMachines(const Seen& seen) {
  if (!seen.directory || !*seen.directory) return {"machines", Verdict::kUnknown, "", "Redis would tell"};
  const auto pools = PoolsOf(**seen.directory);
  if (!pools || pools->empty()) {
    return {"machines", Verdict::kMissing, "", pools ? "no executor says what it holds" : pools.error().message,
            "they come with an executor"};
  }
  std::int64_t ready = 0;
  std::int64_t starting = 0;
  std::int64_t assigned = 0;
  for (const auto& pool : *pools) {
    ready += pool.ready;
    starting += pool.starting;
    assigned += pool.assigned;
  }
  return {"machines", Verdict::kOk, "",
          fmt::format("{} ready in the pools, {} starting, {} of users", ready, starting, assigned)};
}

Check OfFunctions(const Context& context, const Seen& seen) {
  if (!seen.topics) return {"functions", Verdict::kUnknown, "", "Kafka is away"};
  if (!seen.functions) {
    return {"functions", Verdict::kMissing, "", seen.functions.error().message,
            KafkaWayOut(context, seen.functions.error())};
  }
  const auto& user = context.user.value;
  if (seen.functions->own == 0) {
    return {"functions", Verdict::kOk, "",
            fmt::format("none of {} yet, {} of all users; hearth deploy --help", user, seen.functions->all)};
  }
  return {"functions", Verdict::kOk, "",
          fmt::format("{} of {}, {} of all users", seen.functions->own, user, seen.functions->all)};
}

Check OfCodeStore(const Context& context, const Seen& seen) {
  const Setting& store = context.code_store;
  if (store.empty()) return {"code store", Verdict::kOk, "", "none is named; hearth deploy takes " + store.Ways()};
  if (seen.code_store_there) return {"code store", Verdict::kOk, store.value, "is there"};
  return {"code store", Verdict::kMissing, store.value, "no such folder", "make it; " + store.Another()};
}

}  // namespace

std::vector<Check> Judge(const Context& context, const Seen& seen) {
  std::vector<Check> checks = {OfKafka(context, seen), OfTopics(seen), OfRedis(context, seen)};
  AddDispatchers(context, seen, checks);
  AddExecutors(context, seen, checks);
  checks.push_back(OfMachines(seen));
  checks.push_back(OfCodeStore(context, seen));
  checks.push_back(OfFunctions(context, seen));
  return checks;
}

bool AllOk(const std::vector<Check>& checks) {
  return std::ranges::all_of(checks, [](const Check& check) { return check.verdict == Verdict::kOk; });
}

std::string ToText(const std::vector<Check>& checks) {
  std::string text;
  for (const auto& check : checks) {
    const auto address = check.address.empty() ? "" : Shown(check.address) + "  ";
    text += fmt::format("{:<10}  {:<7}  {}{}\n", check.what, NameOf(check.verdict), address, Shown(check.found));
    std::string_view way_out = check.way_out;
    while (!way_out.empty()) {
      const auto end = std::min(way_out.find('\n'), way_out.size());
      text += fmt::format("{:21}→ {}\n", "", Shown(way_out.substr(0, end)));
      way_out.remove_prefix(std::min(end + 1, way_out.size()));
    }
  }
  return text;
}

nlohmann::json ToJson(const std::vector<Check>& checks) {
  const auto text = [](const std::string& each) { return each.empty() ? nlohmann::json() : nlohmann::json(each); };
  auto rows = nlohmann::json::array();
  for (const auto& check : checks) {
    rows.push_back({{"what", check.what},
                    {"verdict", NameOf(check.verdict)},
                    {"address", text(check.address)},
                    {"found", check.found},
                    {"way_out", text(check.way_out)}});
  }
  return {{"ok", AllOk(checks)}, {"checks", std::move(rows)}};
}

}  // namespace hearth::tool
