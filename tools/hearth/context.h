// What every command of `hearth` shares: where the servers are, who asks, how it ends.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>

#include "common/base/result.h"
#include "common/kafka/producer.h"
#include "common/loop/loop.h"
#include "common/redis/blocking.h"
#include "schemas/record.h"

namespace hearth::tool {

// Exit codes of the command line.
enum Exit : int { kFine = 0, kFailed = 1, kUsage = 2, kUnreachable = 3, kTimedOut = 4 };

constexpr std::int64_t kServerTimeoutMs = 5000;

struct Context {
  std::string bootstrap = "127.0.0.1:9092";
  std::string redis;
  std::string redis_user;
  std::string redis_password_file;
  std::string code_store;
  std::string user = "default";
  bool json = false;
};

// Says that no address of Redis was given; the exit code.
int NoRedis();
// Redis, for commands that only look. kInvalid: the account is refused, or its password cannot be read.
Result<redis::BlockingClient> ConnectRedis(const Context& context);

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

// Prints "hearth: MESSAGE" and gives the exit code that fits the error.
int Report(const Error& error);

// Produces one record and waits for the brokers to acknowledge it (a null value where `tombstone`).
Result<void> ProduceOne(const Context& context, OutRecord record, bool tombstone = false);

// Each adds its subcommands; the one that was chosen runs and stores its exit code.
void AddTopics(CLI::App& app, Context& context, int& exit_code);
void AddFunctions(CLI::App& app, Context& context, int& exit_code);  // deploy, functions, remove
void AddInvoke(CLI::App& app, Context& context, int& exit_code);
void AddPool(CLI::App& app, Context& context, int& exit_code);
void AddPs(CLI::App& app, Context& context, int& exit_code);
void AddWhy(CLI::App& app, Context& context, int& exit_code);

}  // namespace hearth::tool
