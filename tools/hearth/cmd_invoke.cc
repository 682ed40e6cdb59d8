// hearth invoke: sends a request, waits for its reply, prints the output, and says how it got its place.
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "common/base/time.h"
#include "common/kafka/tail.h"
#include "schemas/limits.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "schemas/times_json.h"
#include "schemas/topics.h"
#include "tools/hearth/context.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kMaxWaitS = 24 * 3600;

struct Options {
  std::string function;
  std::string id;
  std::string data;
  std::string file;
  std::string form = "headers";
  std::string priority{RowOf(Topic::kStandard).key};
  std::string reply_to{TopicName(Topic::kReply)};
  std::string order_key;
  std::string content_type;
  std::int64_t wait_s = 60;
  std::int32_t timeout_ms = 0;
  bool has_data = false;
  bool async = false;
};

std::string NewId() {
  std::random_device random;
  const auto wall_ms = static_cast<std::uint64_t>(ReadClocks().wall_us / kMicrosPerMilli);
  return fmt::format("{:012x}-{:08x}{:08x}", wall_ms, random(), random());
}

Result<std::string> ReadPayload(const Options& options) {
  if (options.has_data) return options.data;
  if (options.file.empty() && isatty(STDIN_FILENO) != 0) return std::string();
  if (options.file.empty() || options.file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::ifstream in(options.file, std::ios::binary);
  if (!in) return Fail(Code::kNotFound, "cannot read " + options.file);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

// "-" where one of the times is not known.
std::string Millis(std::int64_t from_us, std::int64_t to_us) {
  if (from_us == 0 || to_us == 0) return "-";
  return fmt::format("{:.2f}", static_cast<double>(to_us - from_us) / 1000.0);
}

void PrintResult(const Context& context, const InvocationResult& result) {
  const Times& times = result.times;
  if (context.json) {
    const nlohmann::json json = {{"id", result.id.str()},
                                 {"status", StatusName(result.status)},
                                 {"output", result.output},
                                 {"error_type", result.error_type},
                                 {"error_message", result.error_message},
                                 {"attempt", result.attempt},
                                 {"start_path", StartPathName(result.start_path)},
                                 {"executor", result.executor.str()},
                                 {"instance", result.machine.str()},
                                 {"container", result.container.str()},
                                 {"acceleration", result.acceleration},
                                 {"billed_ms", result.billed_ms},
                                 {"memory_peak_bytes", result.memory_peak_bytes},
                                 {"log", result.log_tail},
                                 {"times_us", TimesJson(times)}};
    PrintJson(json);
    return;
  }
  WriteOutput(stdout, result.output);
  PrintError("status {}  path {}  attempt {}  receive-to-first-instruction {} ms  run {} ms  {}\n",
             StatusName(result.status), StartPathName(result.start_path), result.attempt,
             Millis(times.received_us, times.started_us), Millis(times.started_us, times.ended_us),
             result.acceleration);
  PrintError("  enqueued→received {}  received→placed {}  placed→leased {}  leased→started {} ms\n",
             Millis(times.enqueued_us, times.received_us), Millis(times.received_us, times.placed_us),
             Millis(times.placed_us, times.leased_us), Millis(times.leased_us, times.started_us));
  if (!result.error_type.empty()) PrintError("  {}: {}\n", Shown(result.error_type), Shown(result.error_message));
  // Each line of it is marked as one: what user code prints looks like nothing else.
  std::istringstream log(result.log_tail);
  for (std::string line; std::getline(log, line);) PrintError("  log: {}\n", Shown(line));
}

std::string TopicOfClass(std::string_view priority) {
  const auto* row = std::ranges::find(kTopics, priority, &TopicRow::key);
  return std::string(row->name);
}

int Invoke(const Context& context, const Options& options) {
  const std::map<std::string, RequestForm> forms = {{"headers", RequestForm::kHeaders},
                                                    {"msgpack", RequestForm::kMsgpack},
                                                    {"json", RequestForm::kJson},
                                                    {"cloudevent", RequestForm::kCloudEventBinary},
                                                    {"cloudevent-structured", RequestForm::kCloudEventStructured}};
  auto payload = ReadPayload(options);
  if (!payload) return Report(payload.error());
  Request request;
  request.form = forms.at(options.form);
  request.id = InvocationId(options.id.empty() ? NewId() : options.id);
  request.user = UserId(context.user.value);
  request.function = FunctionName(options.function);
  request.reply_to = options.reply_to;
  request.order_key = options.order_key;
  request.content_type = options.content_type;
  request.timeout_ms = options.timeout_ms;
  request.payload = std::move(*payload);
  auto record = EncodeRequest(request, TopicOfClass(options.priority));
  record.key = context.user.value;  // a user's requests meet one dispatcher
  const bool is_map = request.form == RequestForm::kMsgpack || request.form == RequestForm::kJson;
  if (!is_map && request.payload.size() > kMaxPayloadBytes) {
    return Report(Error{Code::kExhausted, fmt::format("the payload has {} bytes; the limit is {}",
                                                      request.payload.size(), kMaxPayloadBytes)});
  }
  if (options.async) {
    if (auto sent = ProduceOne(context, std::move(record)); !sent) return Report(sent.error());
    Print("{}\n", request.id.str());
    return kFine;
  }
  auto replies = kafka::TailReader::Open(context.bootstrap.value, "hearth-cli", options.reply_to, kServerTimeoutMs);
  if (!replies) return Report(replies.error());
  if (auto sent = ProduceOne(context, std::move(record)); !sent) return Report(sent.error());
  const std::int64_t deadline_us = ReadClocks().mono_us + options.wait_s * kMicrosPerSecond;
  while (true) {
    const std::int64_t left_ms = (deadline_us - ReadClocks().mono_us) / kMicrosPerMilli;
    if (left_ms <= 0) break;
    auto reply = replies->Next(left_ms);
    if (!reply) {
      PrintError("hearth: {}\n", Shown(reply.error().message));
      continue;  // brokers come back; the deadline ends it
    }
    if (!*reply || (*reply)->key != request.id.str()) continue;
    auto result = DecodeReply(**reply);
    if (!result || !Answers(*result, request)) continue;  // another's, under the same id
    PrintResult(context, *result);
    return result->status == Status::kOk ? kFine : kFailed;
  }
  PrintError("hearth: no reply to {} in {} s; it may still come on {}\n", request.id.str(), options.wait_s,
             options.reply_to);
  return kTimedOut;
}

}  // namespace

void AddInvoke(CLI::App& app, Context& context, Command& chosen) {
  auto options = std::make_shared<Options>();
  auto* invoke = app.add_subcommand("invoke", "run a function and wait for its reply");
  invoke->group(kFunctionCommands);
  invoke->add_option("name", options->function, "name of the function")->required()->type_name("NAME");
  constexpr const char* kPayload = "Payload";
  auto* data = invoke->add_option("--data", options->data, "the payload itself")->type_name("TEXT")->group(kPayload);
  invoke->add_option("--file", options->file, "file with the payload; - or nothing: standard input")
      ->excludes(data)
      ->type_name("FILE")
      ->group(kPayload);
  invoke->add_option("--content-type", options->content_type, "of the payload")->type_name("TYPE")->group(kPayload);
  constexpr const char* kRequest = "Request";
  invoke->add_option("--id", options->id, "id of the invocation; chosen where absent")
      ->type_name("ID")
      ->group(kRequest);
  invoke->add_option("--form", options->form, "how the request is written")
      ->check(CLI::IsMember({"headers", "msgpack", "json", "cloudevent", "cloudevent-structured"}))
      ->type_name("FORM")
      ->group(kRequest)
      ->capture_default_str();
  std::vector<std::string> classes;
  for (const Topic topic : kRequestTopics) classes.emplace_back(RowOf(topic).key);
  invoke->add_option("--class", options->priority, "how urgent it is; rt where an operator granted it")
      ->check(CLI::IsMember(classes))
      ->type_name("CLASS")
      ->group(kRequest)
      ->capture_default_str();
  invoke->add_option("--order-key", options->order_key, "one at a time, in order, for equal keys")
      ->type_name("KEY")
      ->group(kRequest);
  invoke->add_option("--timeout-ms", options->timeout_ms, "limit of an attempt; 0: the function's own")
      ->type_name("MS")
      ->group(kRequest);
  constexpr const char* kReply = "Reply";
  invoke->add_option("--reply-to", options->reply_to, "topic of the reply")
      ->type_name("TOPIC")
      ->group(kReply)
      ->capture_default_str();
  invoke->add_option("--wait", options->wait_s, "for the reply")
      ->check(Between(0, kMaxWaitS))
      ->type_name("SECONDS")
      ->group(kReply)
      ->capture_default_str();
  invoke->add_flag("--async", options->async, "print the id and do not wait")->group(kReply);
  Choose(*invoke, chosen, [&context, options, data] {
    options->has_data = data->count() > 0;
    return Invoke(context, *options);
  });
}

}  // namespace hearth::tool
