// hearth why: how an invocation got its place. Asks every dispatcher that Redis names for its decision log, and reads
// the reply from its topic.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/time.h"
#include "common/kafka/find.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "schemas/times_json.h"
#include "schemas/topics.h"
#include "schemas/why.h"
#include "tools/hearth/batch_list.h"
#include "tools/hearth/context.h"
#include "tools/hearth/directory.h"
#include "tools/hearth/local_http.h"
#include "tools/hearth/options.h"
#include "tools/hearth/why_batch.h"

namespace hearth::tool {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMaxSinceS = 366LL * 24 * 3600;
constexpr std::int64_t kMaxLookedAt = 1'000'000'000;

struct WhyOptions {
  std::string id;
  std::string reply_topic;  // empty: hearth.reply, or that of results where it is an item of a batch
  std::int64_t since_s = 3600;
  std::int64_t max_records = 200'000;
  bool no_reply = false;
};

// What was looked at, and with what success; printed where nothing was found.
struct Search {
  std::vector<std::string> looked_at;
  std::vector<std::string> of_batch;  // what the user's batches say of it
  bool something_away = false;
  std::optional<Json> decision;
  std::optional<InvocationResult> reply;
};

// Where each dispatcher that is there tells its decisions, by its id: unix:PATH, or empty.
std::map<std::string, std::string> FindDispatchers(const Context& context, Search& search) {
  std::map<std::string, std::string> dispatchers;
  if (context.redis.empty()) return dispatchers;
  const auto away = [&](const Error& error) {
    search.something_away = true;
    search.looked_at.push_back(error.message);
    return std::map<std::string, std::string>();
  };
  auto redis = ConnectRedis(context);
  if (!redis) return away(redis.error());
  const auto directory = ReadDirectory(*redis);
  if (!directory) return away(directory.error());
  for (const auto& dispatcher : directory->dispatchers) {
    if (dispatcher.alive()) {
      dispatchers[dispatcher.id] = dispatcher.field("decisions");
    } else {
      search.looked_at.push_back("dispatcher " + dispatcher.id + " has not been heard of for some seconds");
    }
  }
  if (dispatchers.empty()) search.looked_at.emplace_back("redis at " + context.redis.value + " names no dispatcher");
  return dispatchers;
}

void Ask(const std::string& id, const std::string& name, const std::string& address, Search& search) {
  if (address.empty()) {
    search.looked_at.push_back(fmt::format("dispatcher {} tells its decisions nowhere: set decisions there", name));
    return;
  }
  const auto answer = GetLocally(address, "/decisions/", id, kServerTimeoutMs);
  if (!answer && answer.error().code == Code::kNotFound) {
    search.looked_at.push_back(fmt::format("dispatcher {} is asked on its own host, at {}", name, address));
    return;
  }
  if (!answer || (answer->status != 200 && answer->status != 404)) {
    search.something_away = true;
    search.looked_at.push_back(fmt::format("dispatcher {} at {} does not answer", name, address));
    return;
  }
  if (answer->status == 200) {
    auto json = Json::parse(answer->body, nullptr, false);
    if (json.is_object()) search.decision = std::move(json);
  }
  if (!search.decision) search.looked_at.push_back(fmt::format("dispatcher {} does not remember it", name));
}

// Whether it is an item of one of the user's batches. False: Kafka may be away, too.
bool AskBatches(const Context& context, const std::string& id, Search& search) {
  const auto batches = ReadBatches(context, {});
  if (!batches && batches.error().code == Code::kUnavailable) {
    search.something_away = true;
    search.looked_at.push_back(batches.error().message);
  }
  if (!batches) return false;
  search.of_batch = TellOfItem(context, *batches, id);
  const auto item = ParseItemInvocationId(id);
  return item && std::ranges::find(*batches, item->batch, &ListedBatch::id) != batches->end();
}

void ReadReply(const Context& context, const WhyOptions& options, Search& search) {
  kafka::FindLimits limits;
  limits.since_ms = ReadClocks().wall_us / kMicrosPerMilli - options.since_s * 1000;
  limits.max_records = options.max_records;
  auto found = kafka::FindByKey(context.bootstrap.value, "hearth-cli", options.reply_topic, options.id, limits);
  if (!found) {
    if (found.error().code == Code::kUnavailable) search.something_away = true;
    search.looked_at.push_back(found.error().message);
    return;
  }
  if (!found->record) {
    search.looked_at.push_back(fmt::format("topic {} holds no reply of the last {} s{} ({} records read)",
                                           options.reply_topic, options.since_s,
                                           found->whole ? "" : ", as far as was looked", found->looked_at));
    return;
  }
  auto reply = DecodeReply(*found->record);
  if (reply) {
    search.reply = std::move(*reply);
  } else {
    search.looked_at.push_back(fmt::format("topic {}: {}", options.reply_topic, reply.error().message));
  }
}

// Where the id has the form of an item's, batches are looked at first, else where there is no reply to it.
void LookOnKafka(const Context& context, WhyOptions& options, Search& search, Progress& progress) {
  const bool looks_like_item = ParseItemInvocationId(options.id).has_value();
  const bool had_trouble = std::exchange(search.something_away, false);
  const auto ask = [&] {
    progress.Say("looking for a batch that it belongs to");
    return AskBatches(context, options.id, search);
  };
  const bool is_item = looks_like_item && ask();
  if (options.reply_topic.empty()) options.reply_topic = TopicName(is_item ? Topic::kBatchResults : Topic::kReply);
  if (!search.something_away) {
    progress.Say("looking for the reply on " + options.reply_topic);
    ReadReply(context, options, search);
  }
  if (!looks_like_item && !search.reply && !search.decision && !search.something_away) ask();
  search.something_away = search.something_away || had_trouble;
}

void PrintFound(const WhyOptions& options, const Search& search) {
  Json json = {{"id", options.id}, {"decision", nullptr}, {"reply", nullptr}};
  if (search.decision) json["decision"] = *search.decision;
  if (search.reply) {
    const InvocationResult& reply = *search.reply;
    Json why = Json::object();
    for (const auto& [key, value] : ParseWhy(reply.why)) why[key] = value;
    json["reply"] = {{"status", StatusName(reply.status)}, {"start_path", StartPathName(reply.start_path)},
                     {"attempt", reply.attempt},           {"user", reply.user.value},
                     {"fn", reply.function.value},         {"epoch", reply.epoch},
                     {"executor", reply.executor.value},   {"instance", reply.machine.value},
                     {"container", reply.container.value}, {"accel", reply.acceleration},
                     {"error_type", reply.error_type},     {"why", why},
                     {"times_us", TimesJson(reply.times)}};
  }
  json["looked_at"] = search.looked_at;
  json["batch"] = search.of_batch;
  PrintJson(json);
}

void PrintStage(const char* what, std::int64_t from_us, std::int64_t to_us) {
  if (from_us == 0 || to_us == 0) return;
  Print("  {:<22} {:>10.2f} ms\n", what, static_cast<double>(to_us - from_us) / 1000.0);
}

void PrintTimes(const Json& times) {
  const auto at = [&](const char* name) { return times.value(name, std::int64_t{0}); };
  PrintStage("enqueued → received", at("enqueued"), at("received"));
  PrintStage("received → placed", at("received"), at("placed"));
  PrintStage("placed → leased", at("placed"), at("leased"));
  PrintStage("leased → started", at("leased"), at("started"));
  PrintStage("started → ended", at("started"), at("ended"));
}

void PrintStep(const Json& step) {
  const auto text = [&](const char* name) { return step.value(name, std::string()); };
  const auto number = [&](const char* name) { return step.value(name, std::int64_t{0}); };
  if (text("what") != "placed") {
    Print("attempt {}: {} ({}){}\n", number("attempt"), text("what"), text("constraint"),
          text("executor").empty() ? "" : "  executor " + text("executor"));
    return;
  }
  Print("attempt {}: placed on {}, decided by {}, expected path {}; {:.2f} ms in the queue{}\n", number("attempt"),
        text("executor"), text("constraint"), text("expected"), static_cast<double>(number("queue_us")) / 1000.0,
        text("held_by").empty() ? "" : ", held by " + text("held_by"));
  Print("  looked at {} of {} executors, {} passed every filter\n", number("looked_at"), number("executors"),
        number("fit"));
  Print("    {:<24} {:<13} {:<10} {:<17} {:>5} {:>7}\n", "EXECUTOR", "FAILED", "PATH", "RENDEZVOUS", "HELD", "CREDIT");
  if (!step.contains("candidates")) return;
  for (const auto& candidate : step["candidates"]) {
    const auto executor = candidate.value("executor", std::string());
    Print("  {} {:<24} {:<13} {:<10} {:<17} {:>5} {:>7}\n", executor == text("executor") ? "*" : " ", executor,
          candidate.value("failed", std::string("-")), candidate.value("path", std::string()),
          candidate.value("rendezvous", std::string()), candidate.value("held", 0), candidate.value("free_credit", 0));
  }
}

void PrintDecision(const Json& decision, bool with_times) {
  const auto text = [&](const char* name) { return decision.value(name, std::string()); };
  Print("dispatcher {}  record {}/{}/{}  epoch {}\n", text("dispatcher"), text("topic"), decision.value("partition", 0),
        decision.value("offset", std::int64_t{0}), decision.value("epoch", std::int64_t{0}));
  if (decision.contains("steps")) {
    for (const auto& step : decision["steps"]) PrintStep(step);
  }
  if (!decision.value("complete", false)) {
    Print("not complete yet\n");
  } else if (with_times) {
    Print("complete: status {}, path {} ({})\n", text("status"), text("start_path"), text("reason"));
  }
  if (with_times && decision.contains("times_us")) PrintTimes(decision["times_us"]);
}

void PrintReply(const InvocationResult& reply) {
  Print("reply: status {}, path {}, attempt {}{}{}\n", StatusName(reply.status), StartPathName(reply.start_path),
        reply.attempt, reply.error_type.empty() ? "" : "  " + Shown(reply.error_type),
        reply.acceleration.empty() ? "" : "  " + reply.acceleration);
  if (!reply.container.empty()) {
    Print("  executor {}  container {}\n", reply.executor.value, reply.container.value);
  }
  for (const auto& [key, value] : ParseWhy(reply.why)) Print("  {:<22} {}\n", key, value);
  PrintTimes(TimesJson(reply.times));
}

int Explain(const Context& context, WhyOptions options) {
  if (!IsInvocationId(options.id, RequestForm::kCloudEventBinary)) {  // the widest form
    return ReportUsage("an id is a text of 1 to 1,024 bytes without control characters");
  }
  Search search;
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking the dispatchers");
  auto dispatchers = FindDispatchers(context, search);
  if (!context.decisions.empty()) dispatchers[context.decisions.value] = context.decisions.value;
  for (const auto& [name, address] : dispatchers) {
    Ask(options.id, name, address, search);
    if (search.decision) break;
  }
  if (!options.no_reply) LookOnKafka(context, options, search, progress);
  progress.Stop();
  if (search.decision && search.reply && search.reply->user.value != search.decision->value("user", std::string())) {
    search.looked_at.push_back("the reply is another user's under the same id: " + search.reply->user.value);
    search.reply.reset();
  }
  const bool found = search.decision || search.reply;
  if (context.json && (found || !search.something_away)) PrintFound(options, search);
  if (!found) {
    PrintError("hearth: nothing is known of {}:\n", Shown(options.id));
    for (const auto& lines : {search.looked_at, search.of_batch}) {
      for (const auto& what : lines) PrintError("  {}\n", Shown(what));
    }
    PrintError("  hearth status tells what is reachable; --since and --reply-topic look further\n");
    return search.something_away ? kUnreachable : kFailed;
  }
  if (context.json) return kFine;
  Print("invocation {}", options.id);
  if (search.reply) {
    Print("  user {}  fn {}\n", search.reply->user.value, search.reply->function.value);
  } else {
    Print("  user {}  fn {}\n", search.decision->value("user", std::string()),
          search.decision->value("fn", std::string()));
  }
  if (search.decision) PrintDecision(*search.decision, !search.reply);
  if (search.reply) PrintReply(*search.reply);
  for (const auto& lines : {search.looked_at, search.of_batch}) {
    for (const auto& what : lines) Print("({})\n", what);
  }
  return kFine;
}

}  // namespace

void AddWhy(CLI::App& app, Context& context, Command& chosen) {
  auto options = std::make_shared<WhyOptions>();
  auto* why = app.add_subcommand("why", "how an invocation got its place");
  why->group(kFunctionCommands);
  why->add_option("id", options->id, "id of the invocation")->required()->type_name("ID");
  why->add_option("--reply-topic", options->reply_topic,
                  "topic of its reply; where absent hearth.reply, of an item of a batch hearth.batch.results")
      ->type_name("TOPIC");
  why->add_option("--since", options->since_s, "look for the reply among those that are no older")
      ->check(Between(1, kMaxSinceS))
      ->type_name("SECONDS")
      ->capture_default_str();
  why->add_option("--max-records", options->max_records, "read at most so many replies")
      ->check(Between(1, kMaxLookedAt))
      ->type_name("COUNT")
      ->capture_default_str();
  why->add_flag("--no-reply", options->no_reply, "ask the dispatchers only");
  AddSetting(*why, context.decisions, kOptions);
  Choose(*why, chosen, [&context, options] { return Explain(context, *options); });
}

}  // namespace hearth::tool
