// What every command of `hearth` shares: where the servers are, who asks, how it ends.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/producer.h"
#include "common/redis/blocking.h"
#include "schemas/record.h"
#include "tools/hearth/settings.h"
#include "tools/hearth/terminal.h"

namespace CLI {
class App;
}

namespace hearth::tool {

// Exit codes of the command line. kExitCodes in manual.cc tells people what they mean.
enum Exit : int { kFine = 0, kFailed = 1, kUsage = 2, kUnreachable = 3, kTimedOut = 4, kStopped = 5 };

constexpr std::int64_t kServerTimeoutMs = 5000;

struct Context {
  Setting bootstrap{"--bootstrap", "HEARTH_BOOTSTRAP", "BROKERS", "Kafka, HOST:PORT[,HOST:PORT…]", "127.0.0.1:9092"};
  Setting redis{"--redis", "HEARTH_REDIS", "ADDRESS", "Redis, unix:PATH or tcp:HOST:PORT"};
  Setting redis_user{"--redis-user", "HEARTH_REDIS_USER", "NAME", "the account there; without it, Redis's default one"};
  Setting redis_password_file{"--redis-password-file", "HEARTH_REDIS_PASSWORD_FILE", "FILE",
                              "its first line is the account's password"};
  Setting code_store{"--code-store", "HEARTH_CODE_STORE", "FOLDER", "where the code of functions is stored"};
  Setting decisions{"--dispatcher", "HEARTH_DECISIONS", "ADDRESS",
                    "unix:PATH of a dispatcher's decisions, asked besides those in Redis"};
  Setting dispatcher_http{"--dispatcher-http", "HEARTH_DISPATCHER_HTTP", "ADDRESS",
                          "HOST:PORT of a dispatcher's status pages, besides those in Redis"};
  Setting executor_http{"--executor-http", "HEARTH_EXECUTOR_HTTP", "ADDRESS",
                        "HOST:PORT of an executor's status pages"};
  Setting user{"--user", "HEARTH_USER", "USER", "whose functions", "default"};
  // All of them, in the order of the manual.
  [[nodiscard]] std::vector<const Setting*> Settings() const;

  bool json = false;
  bool quiet = false;
};

// What was chosen, to be run once the whole line is understood; its exit code.
using Command = std::function<int()>;

// How what takes long is told on stderr.
Progress::Kind ProgressKind(const Context& context);

// Says that no address of Redis was given; the exit code.
int NoRedis(const Context& context);
// Redis, for commands that only look. kInvalid: the account is refused, or its password cannot be read.
Result<redis::BlockingClient> ConnectRedis(const Context& context, std::int64_t timeout_ms = kServerTimeoutMs);
// kUnavailable: Kafka is away; kNotFound: it has no such topic.
Result<void> NeedTopic(const Context& context, const std::string& topic);

// What is printed for people goes through these: what others have written into it cannot move the cursor, or forge a
// field. Newlines are kept; a text of others in the middle of a line goes through Shown, which keeps none.
void Write(std::FILE* to, std::string_view text);
template <class... Args>
void Print(fmt::format_string<Args...> format, Args&&... args) {
  Write(stdout, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void PrintError(fmt::format_string<Args...> format, Args&&... args) {
  Write(stderr, fmt::format(format, std::forward<Args>(args)...));
}
std::string Shown(std::string_view text);
// In ASCII, whatever is in it.
void PrintJson(const nlohmann::json& json);

// Prints "hearth: MESSAGE", then what can be done about it, each line indented. Gives the exit code that fits the
// error.
int Report(const Error& error, std::string_view way_out = {});
// The same of an error that Kafka or Redis gave (ways_out.h).
int ReportKafka(const Context& context, const Error& error);
int ReportRedis(const Context& context, const Error& error);
// The same, of a line that lacks something or says something senseless: kUsage.
int ReportUsage(std::string_view message, std::string_view way_out = {});

// Produces one record and waits for the brokers to acknowledge it (a null value where `tombstone`).
Result<void> ProduceOne(const Context& context, OutRecord record, bool tombstone = false);

// Each adds its commands; the one that the line names becomes `chosen`.
void AddTopics(CLI::App& app, Context& context, Command& chosen);
void AddFunctions(CLI::App& app, Context& context, Command& chosen);  // deploy, functions, remove
void AddInvoke(CLI::App& app, Context& context, Command& chosen);
void AddBatch(CLI::App& app, Context& context, Command& chosen);
void AddPool(CLI::App& app, Context& context, Command& chosen);
void AddPs(CLI::App& app, Context& context, Command& chosen);
void AddStatus(CLI::App& app, Context& context, Command& chosen);
void AddHelp(CLI::App& app, Context& context, Command& chosen);
void AddWhy(CLI::App& app, Context& context, Command& chosen);

}  // namespace hearth::tool
