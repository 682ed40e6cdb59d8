// hearth ps: who is warm, from the directory in Redis (its layout: docs/directory.md), and which batches of the user
// run, from their states on Kafka.
#include <fmt/format.h>

#include <msgpack.hpp>
#include <nlohmann/json.hpp>

#include "common/base/time.h"
#include "tools/hearth/batch_list.h"
#include "tools/hearth/context.h"
#include "tools/hearth/directory.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

using Fields = std::map<std::string, std::string>;

// A slot is a flat msgpack map of text and numbers.
Fields DecodeSlot(const std::string& bytes) {
  Fields fields;
  try {
    const auto handle =
        msgpack::unpack(bytes.data(), bytes.size(), nullptr, nullptr, msgpack::unpack_limit(64, 64, 4096, 4096, 0, 4));
    if (handle.get().type != msgpack::type::MAP) return fields;
    for (const auto& [key, value] : handle.get().as<std::map<std::string, msgpack::object>>()) {
      if (value.type == msgpack::type::STR) {
        fields[key] = value.as<std::string>();
      } else if (value.type == msgpack::type::POSITIVE_INTEGER || value.type == msgpack::type::NEGATIVE_INTEGER) {
        fields[key] = std::to_string(value.as<std::int64_t>());
      }
    }
  } catch (const std::exception&) {
    fields.clear();
  }
  return fields;
}

// Below what is warm. What Redis has told stands without it, so that batches nobody can read are no failure: a line of
// the standard error says why they are not there, and `json` has null for them.
void ListRunningBatches(const Context& context, nlohmann::json& json) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking Kafka at " + context.bootstrap.value);
  const auto batches = ReadBatches(context, {true, BatchOrder::kOldestFirst});
  progress.Stop();
  json["batches"] = batches ? BatchesJson(UserId(context.user.value), *batches) : nlohmann::json();
  if (!batches) {
    ReportKafka(context, {batches.error().code, "batches are not shown: " + batches.error().message});
  } else if (!context.json && !batches->empty()) {
    Print("\n{}", BatchTable(*batches));
  }
}

int ListWarm(const Context& context) {
  if (context.redis.empty()) return NoRedis(context);
  Progress progress(stderr, ProgressKind(context));
  progress.Say("asking Redis at " + context.redis.value);
  auto redis = ConnectRedis(context);
  auto directory = redis ? ReadDirectory(*redis) : std::unexpected(redis.error());
  progress.Stop();
  if (!directory) return ReportRedis(context, directory.error());
  nlohmann::json json = {{"executors", nlohmann::json::array()}, {"slots", nlohmann::json::array()}};
  if (!context.json) Print("EXECUTOR\n");
  for (const auto& executor : directory->executors) {
    nlohmann::json fields = {{"id", executor.id}};
    std::string line;
    for (const auto& [name, value] : executor.fields) {
      fields[name] = value;
      if (name == "pools") continue;  // hearth pool status shows them
      line += fmt::format("  {}={}", name, value);
    }
    if (!executor.alive()) line = "  (no heartbeat)";
    json["executors"].push_back(fields);
    if (!context.json) Print("{}{}\n", executor.id, line);
  }
  auto users = Members(*redis, {"ZRANGE", "u:idx", "0", "-1"});
  if (!users) return ReportRedis(context, users.error());
  if (!context.json)
    Print("\n{:<16} {:<34} {:<10} {:<24} {:<9} {:>6} {:>8}\n", "USER", "INSTANCE", "CONTAINER", "FUNCTION", "STATE",
          "MiB", "SINCE");
  for (const auto& user : *users) {
    auto slots = redis->Command({"HGETALL", "u:{" + user + "}:slots"});
    if (!slots) return ReportRedis(context, slots.error());
    for (std::size_t i = 0; i + 1 < slots->elements.size(); i += 2) {
      auto slot = DecodeSlot(slots->elements[i + 1].text);
      if (context.json) {
        nlohmann::json row(slot);
        row["user"] = user;
        json["slots"].push_back(row);
        continue;
      }
      const auto since_s =
          slot["since_ms"].empty() ? 0 : ReadClocks().wall_us / kMicrosPerSecond - std::stoll(slot["since_ms"]) / 1000;
      auto container = slot["container"];
      if (const auto slash = container.rfind('/'); slash != std::string::npos) container = container.substr(slash + 1);
      Print("{:<16} {:<34} {:<10} {:<24} {:<9} {:>6} {:>6} s\n", user, slot["instance"],
            container.empty() ? "-" : container, slot["fn"].empty() ? "-" : slot["fn"], slot["state"],
            slot["memory_mib"], since_s);
    }
  }
  ListRunningBatches(context, json);
  if (context.json) PrintJson(json);
  return kFine;
}

}  // namespace

void AddPs(CLI::App& app, Context& context, Command& chosen) {
  auto* ps =
      app.add_subcommand("ps", "executors, machines and containers that are warm, and the user's batches that run");
  ps->group(kMachineCommands);
  Choose(*ps, chosen, [&context] { return ListWarm(context); });
}

}  // namespace hearth::tool
