// hearth ps: who is warm, from the directory in Redis (its layout: docs/directory.md).
#include <fmt/format.h>

#include <msgpack.hpp>
#include <nlohmann/json.hpp>

#include "common/base/time.h"
#include "tools/hearth/context.h"
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

Result<std::vector<std::string>> Members(redis::BlockingClient& redis, const std::vector<std::string>& command) {
  auto answer = redis.Command(command);
  if (!answer) return std::unexpected(answer.error());
  std::vector<std::string> members;
  for (const auto& element : answer->elements) members.push_back(element.text);
  std::sort(members.begin(), members.end());
  return members;
}

int List(const Context& context) {
  if (context.redis.empty()) return NoRedis(context);
  auto redis = ConnectRedis(context);
  if (!redis) return Report(redis.error());
  auto executors = Members(*redis, {"SMEMBERS", "ex:idx"});
  if (!executors) return Report(executors.error());
  nlohmann::json json = {{"executors", nlohmann::json::array()}, {"slots", nlohmann::json::array()}};
  if (!context.json) Print("EXECUTOR\n");
  for (const auto& id : *executors) {
    auto record = redis->Command({"HGETALL", "ex:" + id});
    if (!record) return Report(record.error());
    nlohmann::json fields = {{"id", id}};
    std::string line;
    for (std::size_t i = 0; i + 1 < record->elements.size(); i += 2) {
      fields[record->elements[i].text] = record->elements[i + 1].text;
      if (record->elements[i].text == "pools") continue;  // hearth pool status shows them
      line += fmt::format("  {}={}", record->elements[i].text, record->elements[i + 1].text);
    }
    if (record->elements.empty()) line = "  (no heartbeat)";
    json["executors"].push_back(fields);
    if (!context.json) Print("{}{}\n", id, line);
  }
  auto users = Members(*redis, {"ZRANGE", "u:idx", "0", "-1"});
  if (!users) return Report(users.error());
  if (!context.json)
    Print("\n{:<16} {:<34} {:<10} {:<24} {:<9} {:>6} {:>8}\n", "USER", "INSTANCE", "CONTAINER", "FUNCTION", "STATE",
          "MiB", "SINCE");
  for (const auto& user : *users) {
    auto slots = redis->Command({"HGETALL", "u:{" + user + "}:slots"});
    if (!slots) return Report(slots.error());
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
  if (context.json) PrintJson(json);
  return kFine;
}

}  // namespace

void AddPs(CLI::App& app, Context& context, Command& chosen) {
  auto* ps = app.add_subcommand("ps", "executors, and the machines and containers that are warm");
  ps->group(kMachineCommands);
  Choose(*ps, chosen, [&context] { return List(context); });
}

}  // namespace hearth::tool
