#include "executor/config.h"

#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "common/config/reader.h"
#include "common/redis/account.h"
#include "schemas/request.h"
#include "schemas/topics.h"

namespace hearth::executor {
namespace {

// A machine's socket is "<run_dir>/m<number>/agent.sock" and has to fit into a socket address.
constexpr std::size_t kMaxRunDirBytes = 80;
constexpr std::int64_t kLongestIdleS = 86'400;
constexpr std::int64_t kMaxMemoryOfHostMib = 16LL << 20;

// One of the words, or nothing where the key is absent.
std::optional<StartChoice> ReadStart(ConfigReader& reader, const std::string& key) {
  static constexpr std::pair<std::string_view, StartChoice> kWords[] = {{"auto", StartChoice::kAuto},
                                                                        {"template", StartChoice::kTemplate},
                                                                        {"save", StartChoice::kSave},
                                                                        {"boot", StartChoice::kBoot}};
  const std::string word = reader.String(key, "");
  for (const auto& [name, choice] : kWords) {
    if (word == name) return choice;
  }
  if (!word.empty()) reader.Reject(key, "must be auto, template, save or boot");
  return std::nullopt;
}

Profile ReadProfile(ConfigReader& reader) {
  Profile profile;
  profile.name = reader.RequiredString("name");
  if (!profile.name.empty() && !IsIdentifier(profile.name)) reader.Reject("name", "must be of [A-Za-z0-9._-]");
  const auto integer = [&](const char* key, std::int32_t fallback, std::int64_t least, std::int64_t most) {
    return static_cast<std::int32_t>(reader.Integer(key, fallback, least, most));
  };
  profile.memory_mib = integer("memory_mib", profile.memory_mib, 128, 65536);
  profile.reserve_mib = integer("reserve_mib", profile.reserve_mib, 32, 65536);
  profile.vcpus = integer("vcpus", profile.vcpus, 1, 64);
  profile.pool_min = integer("pool_min", profile.pool_min, 0, 1000);
  profile.pool_max = integer("pool_max", profile.pool_max, 0, 1000);
  profile.shells = integer("shells", profile.shells, 0, kMaxShellsOfProfile);
  if (profile.reserve_mib >= profile.memory_mib) reader.Reject("reserve_mib", "must be less than memory_mib");
  if (profile.pool_max < profile.pool_min) reader.Reject("pool_max", "must not be less than pool_min");
  return profile;
}

void ReadUser(ConfigReader& reader, std::map<UserId, UserLimits>& users) {
  const UserId user(reader.RequiredString("name"));
  if (!user.empty() && !IsIdentifier(user.value)) reader.Reject("name", "must be of [A-Za-z0-9._-]");
  UserLimits limits;
  limits.container_idle_ms = reader.Integer("container_idle_s", 0, 1, kLongestIdleS) * 1000;
  limits.machine_idle_ms = reader.Integer("instance_idle_s", 0, 1, kLongestIdleS) * 1000;
  limits.max_starts = static_cast<std::int32_t>(reader.Integer("max_starts", 0, 1, 64));
  if (!users.emplace(user, limits).second) reader.Reject("name", "stands for two users");
}

// The table of topics is the same for both daemons. No reply goes to one of hearth's own, whoever asks for it.
void ReadTopics(ConfigReader& reader, Config& config) {
  Settings& core = config.core;
  const TopicNames topics = TopicNames::Read([&reader](const std::string& key, std::string_view fallback) {
    return reader.String(key, std::string(fallback));
  });
  config.functions_topic = topics[Topic::kFunctions];
  config.settings_topic = topics[Topic::kSettings];
  core.undeliverable_topic = topics[Topic::kUndeliverable];
  core.usage_topic = topics[Topic::kUsage];
  core.replies.default_topic = topics[Topic::kReply];
  core.replies.allowed = reader.Strings("admission.reply_topics", core.replies.allowed);
  core.replies.own = topics.Own();
  if (core.replies.own.contains(core.replies.default_topic)) {
    reader.Reject("topics.reply", "must be a topic of its own");
  }
}

// How many machines, of which profiles, for how long, and what holds for single users.
void ReadMachines(ConfigReader& reader, Config& config) {
  Settings& core = config.core;
  const auto integer = [&](const char* key, std::int32_t fallback, std::int64_t least, std::int64_t most) {
    return static_cast<std::int32_t>(reader.Integer(key, fallback, least, most));
  };
  const auto seconds = [&](const char* key, std::int64_t fallback_ms) {
    return reader.Integer(key, fallback_ms / 1000, 1, kLongestIdleS) * 1000;
  };
  core.memory_mib = integer("machines.memory_mib", core.memory_mib, 128, kMaxMemoryOfHostMib);
  core.credit = integer("machines.credit", core.credit, 1, 100'000);
  core.concurrent_starts = integer("machines.concurrent_starts", core.concurrent_starts, 1, 64);
  core.concurrent_activations = integer("machines.concurrent_activations", core.concurrent_activations, 1, 64);
  core.user_starts = integer("machines.user_starts", core.user_starts, 1, 64);
  core.container_idle_ms = seconds("machines.container_idle_s", core.container_idle_ms);
  core.machine_idle_ms = seconds("machines.instance_idle_s", core.machine_idle_ms);
  std::set<std::string> names;
  for (auto& table : reader.Tables("profile")) {
    Profile profile = ReadProfile(table);
    if (!names.insert(profile.name).second) table.Reject("name", "stands for two profiles");
    if (const auto start = ReadStart(table, "start")) config.profile_start[profile.name] = *start;
    if (profile.memory_mib > core.memory_mib) table.Reject("memory_mib", "is more than machines.memory_mib");
    core.profiles.push_back(std::move(profile));
  }
  if (core.profiles.empty()) core.profiles.emplace_back();
  for (auto& table : reader.Tables("user")) ReadUser(table, core.users);
}

Result<Config> Read(ConfigReader reader) {
  Config config;
  ExecutorId& id = config.core.id;
  id = ExecutorId(reader.RequiredString("id"));
  if (!id.empty() && !IsIdentifier(id.value)) reader.Reject("id", "must be of [A-Za-z0-9._-]");
  config.http = reader.RequiredString("http");
  config.listen = reader.RequiredString("listen");
  config.link = ReadLinkTrust(reader);
  if (auto allowed = CheckLinkAddress(config.listen, config.link); !config.listen.empty() && !allowed) {
    reader.Reject("listen", allowed.error().message);
  }
  config.run_dir = reader.RequiredString("run_dir");
  if (config.run_dir.size() > kMaxRunDirBytes) reader.Reject("run_dir", "must not be longer than 80 bytes");
  if (!config.run_dir.empty() && config.run_dir.front() != '/') reader.Reject("run_dir", "must be an absolute path");
  config.state_dir = reader.RequiredString("state_dir");
  config.code_store = reader.RequiredString("code_store");
  config.log_level = reader.String("log_level", config.log_level);
  config.kafka = reader.RequiredString("kafka.bootstrap");
  ReadTopics(reader, config);
  config.redis = reader.RequiredString("redis.address");
  config.redis_account = redis::ReadCredentials(reader);
  config.libvirt = reader.String("machines.libvirt", "qemu:///system");
  config.image = reader.RequiredString("machines.image");
  const std::string accel = reader.String("machines.accel", "auto");
  if (accel == "kvm") {
    config.accel = AccelerationChoice::kKvm;
  } else if (accel == "tcg") {
    config.accel = AccelerationChoice::kTcg;
  } else if (accel != "auto") {
    reader.Reject("machines.accel", "must be auto, kvm or tcg");
  }
  config.require_kvm = reader.Boolean("machines.require_kvm", config.require_kvm);
  config.require_no_network = reader.Boolean("machines.require_no_network", config.require_no_network);
  config.start = ReadStart(reader, "machines.start").value_or(config.start);
  config.template_dir = reader.String("machines.template_dir", config.state_dir + "/templates");
  if (!config.template_dir.empty() && config.template_dir.front() != '/') {
    reader.Reject("machines.template_dir", "must be an absolute path");
  }
  ReadMachines(reader, config);
  if (auto finished = reader.Finish(); !finished) return std::unexpected(finished.error());
  return config;
}

}  // namespace

Result<Config> LoadConfig(const std::string& path) {
  auto reader = ConfigReader::FromFile(path);
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

Result<Config> ParseConfig(std::string_view text, const std::string& name) {
  auto reader = ConfigReader::FromText(text, name);
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

}  // namespace hearth::executor
