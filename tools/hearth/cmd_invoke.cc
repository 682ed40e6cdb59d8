// hearth invoke: sends a request, waits for its reply, prints the output, and says how it got its place.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>

#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "schemas/limits.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "schemas/times_json.h"
#include "schemas/topics.h"
#include "tools/hearth/context.h"
#include "tools/hearth/options.h"
#include "tools/hearth/registry.h"
#include "tools/hearth/waiting.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {
namespace {

constexpr std::int64_t kMaxWaitS = 24 * 3600;
constexpr std::string_view kUnknownFunction = "unknown_function";

struct InvokeOptions {
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

// As much as a record could carry at most, and a byte more where there is more: what reads no end ends there.
Result<std::string> ReadAll(std::istream& in, const std::string& name) {
  std::string bytes(kMaxTopicRecordBytes + 1, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (in.bad() || (in.gcount() == 0 && !in.eof())) return Fail(Code::kNotFound, "cannot read " + name);
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  if (bytes.size() > kMaxTopicRecordBytes) {
    return Fail(Code::kExhausted, fmt::format("{} has more than {} bytes; the limit of a payload is {}", name,
                                              kMaxTopicRecordBytes, kMaxPayloadBytes));
  }
  return bytes;
}

Result<std::string> ReadPayload(const InvokeOptions& options) {
  if (options.has_data) return options.data;
  if (options.file.empty() && isatty(STDIN_FILENO) != 0) return std::string();
  if (options.file.empty() || options.file == "-") return ReadAll(std::cin, "the standard input");
  std::ifstream in(options.file, std::ios::binary);
  if (!in) return Fail(Code::kNotFound, fmt::format("cannot read {}: {}", options.file, std::strerror(errno)));
  return ReadAll(in, options.file);
}

// "-" where one of the times is not known.
std::string Millis(std::int64_t from_us, std::int64_t to_us) {
  if (from_us == 0 || to_us == 0) return "-";
  return fmt::format("{:.2f}", static_cast<double>(to_us - from_us) / 1000.0);
}

bool IsText(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto letter = FirstLetter(bytes);
    if (letter.bytes == 0) return false;
    bytes.remove_prefix(letter.bytes);
  }
  return true;
}

void PrintResult(const Context& context, const InvocationResult& result) {
  const Times& times = result.times;
  if (context.json) {
    const bool is_text = IsText(result.output);
    const nlohmann::json json = {
        {"id", result.id.str()},
        {"status", StatusName(result.status)},
        {"output", is_text ? nlohmann::json(result.output) : nlohmann::json()},
        {"output_base64", is_text ? nlohmann::json() : nlohmann::json(Base64Encode(result.output))},
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
  if (context.quiet && result.status == Status::kOk) return;
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

Result<Request> ReadRequest(const Context& context, const InvokeOptions& options) {
  const std::map<std::string, RequestForm> forms = {{"headers", RequestForm::kHeaders},
                                                    {"msgpack", RequestForm::kMsgpack},
                                                    {"json", RequestForm::kJson},
                                                    {"cloudevent", RequestForm::kCloudEventBinary},
                                                    {"cloudevent-structured", RequestForm::kCloudEventStructured}};
  Request request;
  request.form = forms.at(options.form);
  request.id = InvocationId(options.id.empty() ? NewId() : options.id);
  request.user = UserId(context.user.value);
  request.function = FunctionName(options.function);
  request.reply_to = options.reply_to;
  request.order_key = options.order_key;
  request.content_type = options.content_type;
  request.timeout_ms = options.timeout_ms;
  if (!IsIdentifier(options.function))
    return Fail(Code::kInvalid, "the name of a function must be 1 to 128 of [A-Za-z0-9._-]: " + options.function);
  if (!IsInvocationId(request.id.value, request.form))
    return Fail(Code::kInvalid, "--id must be 1 to 128 of [A-Za-z0-9._-]; that of a CloudEvent 1 to 1,024 bytes");
  if (TopicNames().Own().contains(options.reply_to))
    return Fail(Code::kInvalid, "--reply-to: no reply goes to " + options.reply_to + ", which is one of hearth's own");
  return request;
}

Result<OutRecord> Written(const Context& context, const InvokeOptions& options, const Request& request) {
  auto record = EncodeRequest(request, TopicOfClass(options.priority));
  record.key = context.user.value;  // a user's requests meet one dispatcher
  const bool is_map = request.form == RequestForm::kMsgpack || request.form == RequestForm::kJson;
  const std::size_t bytes = is_map ? record.value.size() : request.payload.size();
  const std::size_t limit = is_map ? kMaxRecordBytes : kMaxPayloadBytes;
  if (bytes <= limit) return record;
  return Fail(Code::kExhausted,
              fmt::format("the {} has {} bytes; the limit is {}", is_map ? "request" : "payload", bytes, limit));
}

int ReportLate(const InvokeOptions& options, const Request& request, const std::string& missing) {
  return Report(
      Error{Code::kDeadline, fmt::format("no reply to {} in {} s; it may still come on {}", request.id.str(),
                                         options.wait_s, options.reply_to)},
      fmt::format("{}hearth why {} tells how far it came; hearth status, what is missing; --wait, to wait longer",
                  missing.empty() ? "" : missing + "\n", request.id.str()));
}

int ReportResult(const Context& context, const InvokeOptions& options, const InvocationResult& result) {
  PrintResult(context, result);
  if (result.status == Status::kOk) return kFine;
  if (result.error_type == kUnknownFunction) {
    if (const auto functions = ReadFunctions(context))
      ReportUsage(fmt::format("{} has no function {}", context.user.value, options.function),
                  FunctionWayOut(context.user, options.function, NamesOf(*functions)));
  }
  return kFailed;
}

int Invoke(const Context& context, const InvokeOptions& options) {
  auto request = ReadRequest(context, options);
  if (!request) return ReportUsage(request.error().message);
  Progress progress(stderr, ProgressKind(context));
  progress.Say("reading the payload from the standard input; --data or --file give another");
  auto payload = ReadPayload(options);
  progress.Pause();
  if (!payload) return Report(payload.error());
  request->payload = std::move(*payload);
  auto record = Written(context, options, *request);
  if (!record) return Report(record.error(), "put what is larger where the function can read it, and send its name");
  progress.Say("sending the request to Kafka at " + context.bootstrap.value);
  Waiting waiting(context, *request, progress);
  if (!options.async) {
    if (auto opened = waiting.Open(); !opened) {
      progress.Stop();
      return ReportKafka(context, opened.error());
    }
  }
  if (auto sent = ProduceOne(context, std::move(*record)); !sent) {
    progress.Stop();
    return ReportKafka(context, sent.error());
  }
  if (options.async) {
    progress.Stop();
    if (context.json) {
      PrintJson({{"id", request->id.str()}, {"reply_to", options.reply_to}});
    } else {
      Print("{}\n", request->id.str());
    }
    return kFine;
  }
  const auto answer = waiting.Wait(options.wait_s);
  progress.Stop();
  if (answer.result) return ReportResult(context, options, *answer.result);
  if (answer.given_up.empty()) return ReportLate(options, *request, waiting.missing());
  return Report(
      Error{Code::kInvalid, answer.given_up},
      "--reply-to names a topic of admission.reply_topics, which an operator sets; hearth.reply is one by default");
}

}  // namespace

void AddInvoke(CLI::App& app, Context& context, Command& chosen) {
  auto options = std::make_shared<InvokeOptions>();
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
      ->check(Between(0, kMaxTimeoutMs))
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
