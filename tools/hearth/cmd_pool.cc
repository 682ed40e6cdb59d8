// hearth pool status | set | advise
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/kafka/follower.h"
#include "schemas/pool_settings.h"
#include "schemas/request.h"
#include "schemas/topics.h"
#include "tools/hearth/context.h"
#include "tools/hearth/directory.h"
#include "tools/hearth/options.h"
#include "tools/hearth/pool_advice.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kMaxWishMs = 3'600'000;  // of pool advise

const std::string kSettingsTopic(TopicName(Topic::kSettings));

Result<std::vector<PoolStatus>> ReadPools(const Context& context) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking Redis at " + context.redis.value);
  auto redis = ConnectRedis(context);
  if (!redis) return std::unexpected(redis.error());
  const auto directory = ReadDirectory(*redis);
  if (!directory) return std::unexpected(directory.error());
  return PoolsOf(*directory);
}

std::string Ms(std::int64_t ms) {
  return ms > 0 ? fmt::format("{} ms", ms) : "-";
}

int ShowPools(const Context& context) {
  if (context.redis.empty()) return NoRedis(context);
  const auto pools = ReadPools(context);
  if (!pools) return ReportRedis(context, pools.error());
  if (context.json) {
    Print("{}\n", EncodePools(*pools, 2));
    return kFine;
  }
  Print("{:<24} {:<16} {:>9} {:>6} {:>5} {:>8} {:>7} {:>8} {:>7} {:>7} {:>9} {:>9} {:>9}\n", "EXECUTOR", "PROFILE",
        "MIN..MAX", "TARGET", "READY", "STARTING", "SHELLS", "ASSIGNED", "BACKLOG", "PER HR", "REFILL", "RESTORE",
        "BOOT");
  for (const auto& pool : *pools) {
    Print("{:<24} {:<16} {:>9} {:>6} {:>5} {:>8} {:>7} {:>8} {:>7} {:>7} {:>9} {:>9} {:>9}\n", pool.executor.value,
          pool.profile, fmt::format("{}..{}", pool.min, pool.max), pool.target, pool.ready, pool.starting,
          fmt::format("{}/{}", pool.shells, pool.shells_wanted), pool.assigned, pool.backlog, pool.arrivals_per_hour,
          Ms(pool.refill_ms), Ms(pool.restore_ms), Ms(pool.boot_ms));
  }
  return kFine;
}

// What is set already: key → settings.
Result<std::map<std::string, PoolSettings>> ReadSettings(const Context& context) {
  if (auto there = NeedTopic(context, kSettingsTopic); !there) return std::unexpected(there.error());
  Loop loop;
  std::map<std::string, PoolSettings> settings;
  bool done = false;
  std::string trouble = "the settings did not come in time";
  kafka::TopicFollower::Callbacks callbacks;
  callbacks.record = [&](const Record& record) {
    settings.erase(record.key);
    if (record.value.empty()) return;
    if (auto decoded = DecodePoolSettings(record.value)) settings.emplace(record.key, *decoded);
  };
  callbacks.caught_up = [&] {
    done = true;
    loop.Stop();
  };
  callbacks.alarm = [&](const std::string& what) { trouble = what; };
  auto follower = kafka::TopicFollower::Create(loop, context.bootstrap.value, "hearth-cli", kSettingsTopic, callbacks);
  if (!follower) return std::unexpected(follower.error());
  Timer limit(loop, [&] { loop.Stop(); });
  limit.StartOnce(kServerTimeoutMs);
  loop.Run();
  if (!done) return Fail(Code::kUnavailable, "kafka at " + context.bootstrap.value + ": " + trouble);
  return settings;
}

struct SetOptions {
  std::string profile;
  std::string executor;
  PoolSettings settings;
  bool unset = false;
};

void PrintSet(const Context& context, const SetOptions& options, const PoolSettings& settings) {
  if (context.json) {
    const auto value = [](std::int32_t each) { return each == kPoolUnset ? nlohmann::json() : nlohmann::json(each); };
    PrintJson({{"profile", options.profile},
               {"executor", options.executor.empty() ? nlohmann::json() : nlohmann::json(options.executor)},
               {"min", value(settings.min)},
               {"max", value(settings.max)},
               {"shells", value(settings.shells)}});
    return;
  }
  const std::string scope = options.executor.empty() ? "every executor" : "executor " + options.executor;
  if (settings == PoolSettings{}) {
    Print("{} of {}: as configured\n", options.profile, scope);
    return;
  }
  const auto say = [](std::int32_t value) { return value == kPoolUnset ? "as configured" : std::to_string(value); };
  Print("{} of {}: min {}, max {}, shells {}\n", options.profile, scope, say(settings.min), say(settings.max),
        say(settings.shells));
}

int Set(const Context& context, const SetOptions& options) {
  const PoolKey key{options.profile, ExecutorId(options.executor)};
  if (!IsIdentifier(options.profile) || (!options.executor.empty() && !IsIdentifier(options.executor))) {
    return ReportUsage("profile and executor must be 1 to 128 of [A-Za-z0-9._-]");
  }
  if (options.unset == (options.settings != PoolSettings{})) {
    return ReportUsage("say at least one of --min, --max, --shells, or --unset alone");
  }
  Progress progress(stderr, ProgressKind(context));
  progress.Say("setting the pool through Kafka at " + context.bootstrap.value);
  const auto failed = [&](const Error& error) {
    progress.Stop();
    return ReportKafka(context, error);
  };
  PoolSettings settings;
  if (!options.unset) {
    const auto before = ReadSettings(context);
    if (!before) return failed(before.error());
    const auto found = before->find(FormatPoolKey(key));
    settings = Override(found == before->end() ? PoolSettings{} : found->second, options.settings);
    if (const auto valid = ValidatePoolSettings(settings); !valid) {
      progress.Stop();
      return ReportUsage(valid.error().message);
    }
  }
  const std::string value = options.unset ? "" : EncodePoolSettings(settings);
  if (auto sent = ProduceOne(context, {kSettingsTopic, FormatPoolKey(key), value, {}}, options.unset); !sent)
    return failed(sent.error());
  progress.Stop();
  PrintSet(context, options, settings);
  return kFine;
}

std::string ProfilesWayOut(const std::vector<PoolStatus>& pools) {
  std::set<std::string> profiles;
  for (const auto& pool : pools) profiles.insert(pool.profile);
  if (profiles.empty()) return "no executor says what its pools are; hearth status tells what is missing";
  return fmt::format("there is {}; hearth pool status shows them", fmt::join(profiles, ", "));
}

int Advice(const Context& context, const std::string& profile, std::int64_t p99_ms) {
  if (context.redis.empty()) return NoRedis(context);
  const auto pools = ReadPools(context);
  if (!pools) return ReportRedis(context, pools.error());
  auto rows = nlohmann::json::array();
  bool any = false;
  for (const auto& pool : *pools) {
    if (pool.profile != profile) continue;
    any = true;
    const auto advice = Advise(pool, p99_ms);
    if (context.json) {
      rows.push_back({{"executor", advice.executor},
                      {"machines", advice.machines},
                      {"memory_mib", advice.memory_mib},
                      {"arrivals_per_hour", advice.per_hour},
                      {"refill_ms", advice.refill_ms},
                      {"refill_assumed", advice.assumed}});
      continue;
    }
    Print(
        "{}: {} machines, {} MiB, for {:.0f} requests for a machine per hour, each replaced in {} ms{}; now min {}, "
        "max {}\n",
        advice.executor, advice.machines, advice.memory_mib, advice.per_hour, advice.refill_ms,
        advice.assumed ? " (assumed: none was measured yet)" : "", pool.min, pool.max);
  }
  if (!any) return Report(Error{Code::kNotFound, "no executor has a profile " + profile}, ProfilesWayOut(*pools));
  if (context.json) PrintJson(rows);
  return kFine;
}

}  // namespace

void AddPool(CLI::App& app, Context& context, Command& chosen) {
  auto* pool = app.add_subcommand("pool", "machines that are held ready before anyone asks")->require_subcommand(1);
  pool->group(kMachineCommands);
  auto* status = pool->add_subcommand("status", "what each executor holds of each profile, and what is asked of it");
  Choose(*status, chosen, [&context] { return ShowPools(context); });

  auto options = std::make_shared<SetOptions>();
  auto* set = pool->add_subcommand("set", "hold more or less of a profile from now on, over what is configured");
  set->add_option("profile", options->profile, "kind of machine")->required()->type_name("PROFILE");
  const auto number = [&](const char* name, std::int32_t& value, const char* help) {
    set->add_option(name, value, help)->check(Between(0, kMaxPoolSetting))->type_name("COUNT");
  };
  number("--min", options->settings.min, "machines to hold at least");
  number("--max", options->settings.max, "machines to hold at most, whatever the demand");
  number("--shells", options->settings.shells, "shells to hold behind them");
  set->add_option("--executor", options->executor, "this one only; else all")->type_name("ID");
  set->add_flag("--unset", options->unset, "as configured again");
  Choose(*set, chosen, [&context, options] { return Set(context, *options); });

  auto profile = std::make_shared<std::string>();
  auto p99_ms = std::make_shared<std::int64_t>(0);
  auto* advise = pool->add_subcommand("advise", "the size of the pool for a wished wait, from what was measured");
  advise->add_option("profile", *profile, "kind of machine")->required()->type_name("PROFILE");
  advise->add_option("--p99", *p99_ms, "99 of 100 requests for a machine shall wait less")
      ->required()
      ->check(Between(0, kMaxWishMs))
      ->type_name("MS");
  Choose(*advise, chosen, [&context, profile, p99_ms] { return Advice(context, *profile, *p99_ms); });
}

}  // namespace hearth::tool
