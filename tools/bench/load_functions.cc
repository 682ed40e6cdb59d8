#include "tools/bench/load_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/time.h"
#include "schemas/function.h"
#include "schemas/request.h"
#include "tools/bench/load_phase.h"
#include "tools/bench/own_stack.h"
#include "tools/code/archive.h"

namespace hearth::bench {
namespace {

constexpr const char* kCode = "def handler(event, context):\n    return None\n";
constexpr std::int32_t kTimeoutMs = 60'000;
constexpr std::size_t kNullBytes = 4;
constexpr int kWarmTries = 10;
constexpr int kWarmInFlight = 64;

Function Describe(const LoadFunction& load, const CodeHash& code, std::size_t bytes) {
  Function function;
  function.user = UserId(load.user);
  function.name = FunctionName(load.name);
  function.version = ReadClocks().wall_us / kMicrosPerMilli;
  function.code = code;
  function.code_bytes = static_cast<std::int64_t>(bytes);
  function.handler = "noop.handler";
  function.memory_mib = kLoadFunctionMib;
  function.timeout_ms = kTimeoutMs;
  function.max_attempts = load.max_attempts;
  function.concurrency = load.concurrency;
  function.profile = load.profile;
  return function;
}

}  // namespace

std::vector<LoadFunction> MakeFunctions(const std::string& prefix, int users, int functions) {
  std::vector<LoadFunction> all;
  for (int user = 1; user <= users; ++user) {
    for (int number = 1; number <= functions; ++number) {
      LoadFunction function;
      function.user = prefix + std::to_string(user);
      function.name = "f" + std::to_string(number);
      all.push_back(std::move(function));
    }
  }
  return all;
}

Result<void> DeployAll(LoadClient& client, const std::string& code_store, const std::vector<LoadFunction>& functions) {
  const auto archive = tool::PackCode({{"noop.py", kCode, false}});
  if (!archive) return std::unexpected(archive.error());
  std::string stored_for;
  CodeHash hash;
  for (const auto& load : functions) {
    if (load.user != stored_for) {
      auto stored = tool::StoreCode(code_store, UserId(load.user), *archive);
      if (!stored) return std::unexpected(stored.error());
      hash = *stored;
      stored_for = load.user;
    }
    const Function function = Describe(load, hash, archive->size());
    if (auto valid = ValidateFunction(function); !valid) return valid;
    auto sent = client.Send({kFunctionsTopic, FunctionKey(function.user, function.name), EncodeFunction(function), {}});
    if (!sent) return sent;
  }
  return {};
}

Result<void> WarmAll(LoadClient& client, const std::vector<LoadFunction>& functions, const std::string& prefix) {
  std::string seen;
  for (int attempt = 0; attempt < kWarmTries; ++attempt) {
    PhaseOptions phase;
    phase.prefix = fmt::format("{}w{}-", prefix, attempt);
    phase.seconds = 600;
    phase.count = functions.size();
    phase.in_flight = kWarmInFlight;
    phase.make = [&functions](const std::string& id, std::uint64_t number) {
      const LoadFunction& function = functions.at(number);
      return MakeRequest(function, id, kStandardTopic, function.user, "null");
    };
    auto figures = RunPhase(client, phase);
    if (!figures) return std::unexpected(figures.error());
    if (figures->statuses["ok"] == functions.size()) return {};
    seen.clear();
    for (const auto& [status, count] : figures->statuses) seen += fmt::format(" {} {}", count, status);
    if (figures->lost() > 0) seen += fmt::format(" {} without a reply", figures->lost());
  }
  return Fail(Code::kDeadline, fmt::format("{} functions do not answer ok:{}", functions.size(), seen));
}

OutRecord MakeRequest(const LoadFunction& function, const std::string& id, const std::string& topic,
                      const std::string& key, const std::string& payload, const RequestMore& more) {
  Request request;
  request.form = RequestForm::kHeaders;
  request.id = InvocationId(id);
  request.user = UserId(function.user);
  request.function = FunctionName(function.name);
  request.reply_to = kReplyTopic;
  request.payload = payload;
  request.order_key = more.order_key;
  request.expires_ms = more.expires_ms;
  auto record = EncodeRequest(request, topic);
  record.key = key;
  return record;
}

std::string MakePayload(std::size_t bytes) {
  if (bytes <= kNullBytes) return "null";
  std::string payload(bytes, 'x');
  payload.front() = payload.back() = '"';
  return payload;
}

}  // namespace hearth::bench
