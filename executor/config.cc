#include "executor/config.h"

#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "common/config/reader.h"
#include "common/redis/account.h"
#include "schemas/limits.h"
#include "schemas/request.h"
#include "schemas/topics.h"

namespace hearth::executor {
namespace {

// A machine's socket is "<run_dir>/m<number>/agent.sock" and has to fit into a socket address.
constexpr std::size_t kMaxRunDirBytes = 80;
constexpr std::int64_t kLongestIdleS = 86'400;
constexpr std::int64_t kMaxMemoryOfHostMib = 16LL << 20;

constexpr std::string_view kExample = R"(id = "executor-${HOSTNAME}"           # a variable of the environment
http = "0.0.0.0:9102"
http_advertise = "${HOSTNAME}:9102"
listen = "tcp:0.0.0.0:9201"            # or "unix:/run/hearth/executor-1.sock", on one host
advertise = "tcp:${HOSTNAME}:9201"
run_dir = "/run/hearth/executor-1"
state_dir = "/var/lib/hearth/executor-1"
code_store = "/var/lib/hearth/code"

[kafka]
bootstrap = "kafka:9092"

[redis]
address = "tcp:redis:6379"
user = "hearth"

[link]
secret_file = "/etc/hearth/link-secret"
allow_plain = true                     # the network is the containers' own

[machines]
image = "/usr/share/hearth/image"
memory_mib = "${HEARTH_MEMORY_MIB:-8192}"

[[profile]]
name = "default"
memory_mib = 512
pool_min = 1
pool_max = 4

[[user]]
name = "ada"
container_idle_s = 600
)";

// Nothing where the key is absent.
std::optional<StartChoice> ReadStart(ConfigReader& reader, const std::string& key, std::string_view fallback,
                                     std::string_view about) {
  static constexpr std::pair<std::string_view, StartChoice> kWords[] = {{"auto", StartChoice::kAuto},
                                                                        {"template", StartChoice::kTemplate},
                                                                        {"save", StartChoice::kSave},
                                                                        {"boot", StartChoice::kBoot}};
  const std::string word = reader.Word(key, fallback, {"auto", "template", "save", "boot"}, about);
  for (const auto& [name, choice] : kWords) {
    if (word == name) return choice;
  }
  return std::nullopt;
}

Profile ReadProfile(ConfigReader& reader) {
  Profile profile;
  profile.name = reader.RequiredString("name", "of [A-Za-z0-9._-]; functions ask for it");
  if (!profile.name.empty() && !IsIdentifier(profile.name)) reader.Reject("name", "must be of [A-Za-z0-9._-]");
  const auto integer = [&](const char* key, std::int32_t fallback, std::int64_t least, std::int64_t most,
                           std::string_view about) {
    return static_cast<std::int32_t>(reader.Integer(key, fallback, least, most, about));
  };
  profile.memory_mib = integer("memory_mib", profile.memory_mib, 128, 65536, "of a machine, MiB");
  profile.reserve_mib = integer("reserve_mib", profile.reserve_mib, 32, 65536,
                                "of that, kept for the kernel, the agent and the runtimes: not for containers");
  profile.vcpus = integer("vcpus", profile.vcpus, 1, 64, "processors of a machine");
  profile.pool_min = integer("pool_min", profile.pool_min, 0, 1000, "machines that are ready and nobody's, at least");
  profile.pool_max = integer("pool_max", profile.pool_max, 0, 1000, "the same, at most");
  profile.shells = integer("shells", profile.shells, 0, kMaxShellsOfProfile, "shells that wait behind the pool");
  if (profile.reserve_mib >= profile.memory_mib) reader.Reject("reserve_mib", "must be less than memory_mib");
  if (profile.pool_max < profile.pool_min) reader.Reject("pool_max", "must not be less than pool_min");
  return profile;
}

void ReadUser(ConfigReader& reader, std::map<UserId, UserLimits>& users) {
  const UserId user(reader.RequiredString("name", "of [A-Za-z0-9._-]"));
  if (!user.empty() && !IsIdentifier(user.value)) reader.Reject("name", "must be of [A-Za-z0-9._-]");
  UserLimits limits;
  limits.container_idle_ms =
      reader.Integer("container_idle_s", 0, 1, kLongestIdleS, "instead of `machines.container_idle_s`") * 1000;
  limits.machine_idle_ms =
      reader.Integer("instance_idle_s", 0, 1, kLongestIdleS, "instead of `machines.instance_idle_s`") * 1000;
  limits.max_starts =
      static_cast<std::int32_t>(reader.Integer("max_starts", 0, 1, 64, "instead of `machines.user_starts`"));
  if (!users.emplace(user, limits).second) reader.Reject("name", "stands for two users");
}

// The table of topics is the same for both daemons. No reply goes to one of hearth's own, whoever asks for it.
void ReadTopics(ConfigReader& reader, Config& config) {
  Settings& core = config.core;
  const TopicNames topics = TopicNames::Read([&reader](const TopicRow& row) {
    return reader.String("topics." + std::string(row.key), row.name, row.content);
  });
  config.functions_topic = topics[Topic::kFunctions];
  config.settings_topic = topics[Topic::kSettings];
  core.undeliverable_topic = topics[Topic::kUndeliverable];
  core.usage_topic = topics[Topic::kUsage];
  core.batch_results_topic = topics[Topic::kBatchResults];
  core.replies.default_topic = topics[Topic::kReply];
  core.replies.allowed =
      reader.Strings("admission.reply_topics", core.replies.allowed,
                     "where replies may go: names, or a prefix followed by `*`; never one of hearth's own topics");
  core.replies.own = topics.Own();
  if (core.replies.own.contains(core.replies.default_topic)) {
    reader.Reject("topics.reply", "must be a topic of its own");
  }
}

// How many machines, of which profiles, for how long, and what holds for single users.
void ReadMachines(ConfigReader& reader, Config& config) {
  Settings& core = config.core;
  const auto integer = [&](const char* key, std::int32_t fallback, std::int64_t least, std::int64_t most,
                           std::string_view about) {
    return static_cast<std::int32_t>(reader.Integer(key, fallback, least, most, about));
  };
  const auto seconds = [&](const char* key, std::int64_t fallback_ms, std::string_view about) {
    return reader.Integer(key, fallback_ms / 1000, 1, kLongestIdleS, about) * 1000;
  };
  core.memory_mib =
      integer("machines.memory_mib", core.memory_mib, 128, kMaxMemoryOfHostMib, "for all machines together, MiB");
  core.credit = integer("machines.credit", 0, 1, 100'000,
                        "attempts held at once, without those that wait for a machine; without it 16 for each "
                        "processor that the executor may use");
  core.waiting = integer("machines.waiting", 0, 1, 100'000,
                         "attempts that wait for a machine at once; without it a quarter of `machines.credit`, and at "
                         "least 8");
  core.concurrent_starts = integer("machines.concurrent_starts", core.concurrent_starts, 1, 64,
                                   "machines that start at once: boots, and what refills the pools");
  core.concurrent_activations = integer("machines.concurrent_activations", core.concurrent_activations, 1, 64,
                                        "shells that are activated at once for requests");
  core.user_starts =
      integer("machines.user_starts", core.user_starts, 1, 64, "machines that start at once for one user");
  core.container_idle_ms =
      seconds("machines.container_idle_s", core.container_idle_ms,
              "idle time until a container is removed, where neither the function nor `[[user]]` says otherwise");
  core.machine_idle_ms = seconds("machines.instance_idle_s", core.machine_idle_ms,
                                 "time without containers until a machine is destroyed, unless `[[user]]` says "
                                 "otherwise");
  std::set<std::string> names;
  for (auto& table : reader.Tables("profile", "a kind of machine; without any there is one, `default`")) {
    Profile profile = ReadProfile(table);
    if (!names.insert(profile.name).second) table.Reject("name", "stands for two profiles");
    if (const auto start =
            ReadStart(table, "start", "", "instead of `machines.start`; with `boot` machines share nothing"))
      config.profile_start[profile.name] = *start;
    if (profile.memory_mib > core.memory_mib) table.Reject("memory_mib", "is more than machines.memory_mib");
    core.profiles.push_back(std::move(profile));
  }
  if (core.profiles.empty()) core.profiles.emplace_back();
  for (auto& table : reader.Tables("user", "what holds for one user instead")) ReadUser(table, core.users);
}

Delay ReadDelay(ConfigReader& reader, const char* key, std::string_view about) {
  auto delay = Delay::Parse(reader.String(key, "0", about));
  if (delay) return *delay;
  reader.Reject(key, delay.error().message);
  return {};
}

void ReadSimulated(ConfigReader& reader, Config& config) {
  SimulatedSettings& simulated = config.simulated;
  const auto ppm = [&reader](const char* key, std::string_view about) {
    return reader.Integer(key, 0, 0, 1'000'000, about);
  };
  simulated.start = ReadDelay(reader, "simulated.start",
                              "ms until a machine is ready: `5`, `uniform:1..10` or `exponential:5` (its mean)");
  simulated.container = ReadDelay(reader, "simulated.container", "ms until a container is made, written alike");
  simulated.run = ReadDelay(reader, "simulated.run",
                            "ms that a run takes, written alike. An input `{\"simulate\": {\"ms\": 20, \"bytes\": 100, "
                            "\"fail\": true, \"die\": true}}` says it for its own run");
  simulated.failed_starts_ppm = ppm("simulated.failed_starts_ppm", "of a million starts of machines, so many fail");
  simulated.failed_runs_ppm = ppm("simulated.failed_runs_ppm", "of a million runs, so many end with an error");
  simulated.deaths_ppm = ppm("simulated.deaths_ppm", "during so many of a million runs the machine dies");
  simulated.output_bytes = reader.Integer("simulated.output_bytes", 0, 0, kMaxOutputBytes,
                                          "of what a run returns: a text of so many; below 2 it is `null`");
  simulated.seed = static_cast<std::uint64_t>(
      reader.Integer("simulated.seed", 1, 0, INT64_MAX, "the same seed and the same order of events draw the same"));
}

// Whether machines are made or simulated, and that what is simulated is not taken for anything else.
void ReadDriver(ConfigReader& reader, Config& config) {
  constexpr std::string_view kAboutImage = "folder of the guest's image, as `tools/dev image` makes it";
  const std::string driver = reader.Word("machines.driver", "libvirt", {"libvirt", "simulated"},
                                         "`simulated`: stand-ins that run no user code, to find out what the rest "
                                         "carries; `image` is not wanted then");
  config.driver = driver == "simulated" ? DriverChoice::kSimulated : DriverChoice::kLibvirt;
  if (config.driver == DriverChoice::kLibvirt) {
    config.image = reader.RequiredString("machines.image", kAboutImage);
  } else {
    (void)reader.String("machines.image", "", kAboutImage);
  }
}

// Where dispatchers dial.
void ReadLink(ConfigReader& reader, Config& config) {
  config.listen = reader.RequiredString("listen", "where dispatchers dial: `unix:PATH` or `tcp:HOST:PORT`");
  config.advertised =
      ReadAdvertised(reader, "advertise", {},
                     "the address of `listen` that dispatchers find in Redis; wanted where `listen` is a wildcard");
  config.link = ReadLinkTrust(reader);
  for (const auto& [key, address] : {std::pair("listen", &config.listen), std::pair("advertise", &config.advertised)}) {
    if (address->empty()) continue;
    if (auto allowed = CheckLinkAddress(*address, config.link); !allowed) reader.Reject(key, allowed.error().message);
  }
}

// The folders of the executor, and what it makes machines from.
void ReadFolders(ConfigReader& reader, Config& config) {
  config.run_dir = reader.RequiredString(
      "run_dir",
      "folder for sockets of machines; absolute, at most 80 bytes. As root others must be able to pass through: 0711");
  if (config.run_dir.size() > kMaxRunDirBytes) reader.Reject("run_dir", "must not be longer than 80 bytes");
  if (!config.run_dir.empty() && config.run_dir.front() != '/') reader.Reject("run_dir", "must be an absolute path");
  config.state_dir = reader.RequiredString(
      "state_dir", "folder for the proof of acceleration and saved machines; a lock keeps a second executor out");
  config.code_store =
      reader.RequiredString("code_store", "folder of code archives: the same for `hearth deploy` and all executors");
}

Result<Config> Read(ConfigReader reader) {
  Config config;
  ExecutorId& id = config.core.id;
  id = ExecutorId(reader.RequiredString("id", "its name, of [A-Za-z0-9._-]; no other executor has it"));
  if (!id.empty() && !IsIdentifier(id.value)) reader.Reject("id", "must be of [A-Za-z0-9._-]");
  config.status = ReadStatusKeys(reader);
  ReadLink(reader, config);
  ReadFolders(reader, config);
  config.log_level = ReadLogLevel(reader);
  config.kafka = reader.RequiredString("kafka.bootstrap", kAboutKafka);
  ReadTopics(reader, config);
  config.redis = reader.RequiredString("redis.address", kAboutRedis);
  config.redis_account = redis::ReadCredentials(reader);
  ReadDriver(reader, config);
  config.libvirt = reader.String(
      "machines.libvirt", "qemu:///system",
      "connection URI of libvirt; `qemu:///embed?root=FOLDER` needs no libvirtd, but a writable HOME and folder");
  const std::string accel =
      reader.Word("machines.accel", "auto", {"auto", "kvm", "tcg"},
                  "`auto` proves KVM by booting the image under it, and emulates (TCG) where that fails");
  if (accel == "kvm") config.accel = AccelerationChoice::kKvm;
  if (accel == "tcg") config.accel = AccelerationChoice::kTcg;
  config.require_kvm =
      reader.Boolean("machines.require_kvm", config.require_kvm,
                     "refuse to run without KVM. **Set it wherever isolation matters: emulation promises none**");
  if (config.driver == DriverChoice::kSimulated) {
    for (const auto& [key, wanted] : {std::pair("machines.require_kvm", config.require_kvm),
                                      std::pair("machines.accel", config.accel == AccelerationChoice::kKvm)}) {
      if (wanted) reader.Reject(key, "cannot hold: machines.driver = \"simulated\" makes no machines");
    }
  }
  config.require_no_network = reader.Boolean(
      "machines.require_no_network", config.require_no_network,
      "refuse to run where the processes of machines have a network. **Set it wherever isolation matters**");
  const std::string shares = reader.Word(
      "machines.shares", "auto", {"auto", "nice", "none"},
      "how users share the processors: `auto` writes control groups where it can, and else gives nice values "
      "to a user's further machines");
  if (shares == "nice") config.shares = SharesChoice::kNice;
  if (shares == "none") config.shares = SharesChoice::kNone;
  config.start = ReadStart(reader, "machines.start", "auto",
                           "how machines come up: `auto` takes the first that works of template, save and boot; "
                           "`template` and `save` try only that one before booting")
                     .value_or(config.start);
  config.template_dir = reader.String(
      "machines.template_dir", "",
      "absolute folder for saved machines that outlive the executor; without it `templates` in `state_dir`");
  if (config.template_dir.empty()) config.template_dir = config.state_dir + "/templates";
  if (config.template_dir.front() != '/') reader.Reject("machines.template_dir", "must be an absolute path");
  ReadMachines(reader, config);
  ReadSimulated(reader, config);
  if (auto finished = reader.Finish(); !finished) return std::unexpected(finished.error());
  return config;
}

}  // namespace

Result<Config> LoadConfig(const std::string& path) {
  auto reader = ConfigReader::FromFile(path);
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

Result<Config> ParseConfig(std::string_view text, const std::string& name, Environment environment) {
  auto reader = ConfigReader::FromText(text, name, std::move(environment));
  if (!reader) return std::unexpected(reader.error());
  return Read(std::move(*reader));
}

std::string ConfigChapter() {
  auto reference = std::make_shared<ConfigReference>();
  (void)Read(ConfigReader::ForReference(reference));
  return ReferenceText(*reference, "hearth-executor", kExample);
}

}  // namespace hearth::executor
