// The reply record in the form of its request. Every form carries the deciding fields as headers; where the value is a
// map it holds all of them, in the headers form the detail comes as further headers.
#include <iterator>

#include "common/base/base64.h"
#include "common/base/text.h"
#include "schemas/codec.h"
#include "schemas/json_text.h"
#include "schemas/request_fields.h"
#include "schemas/result.h"

namespace hearth {

// Names and order of the reply's fields in a map; status and start path travel as their names.
struct ReplyMap {
  std::int32_t v = 1;
  std::string status;
  std::string start_path;
  InvocationResult* result = nullptr;
};
template <class A>
void Describe(A& a, ReplyMap& m) {
  auto& r = *m.result;
  a("v", m.v)("id", r.id)("user", r.user)("fn", r.function)("version", r.version)("status", m.status)(
      "error_type", r.error_type)("error_message", r.error_message)("content_type", r.content_type)(
      "attempt", r.attempt)("start_path", m.start_path)("enqueued_us", r.times.enqueued_us)(
      "received_us", r.times.received_us)("placed_us", r.times.placed_us)("leased_us", r.times.leased_us)(
      "started_us", r.times.started_us)("ended_us", r.times.ended_us)("epoch", r.epoch)("executor", r.executor)(
      "instance", r.machine)("container", r.container)("accel", r.acceleration)("billed_ms", r.billed_ms)(
      "memory_peak_bytes", r.memory_peak_bytes)("log_truncated", r.log_truncated)("traceparent", r.traceparent)("why",
                                                                                                                r.why)
      .Bytes("log", r.log_tail, kMaxLogTailBytes)
      .Bytes("out", r.output, kMaxOutputBytes);
}

namespace {

constexpr std::size_t kMaxLogHeaderBytes = 4096;
constexpr std::size_t kMaxMessageHeaderBytes = 1024;

// Every field but output and log as (name, text) and back, for headers ("hearth-…") and CloudEvents extensions.
struct TextField {
  const char* header;  // its name among headers
  std::string (*get)(const InvocationResult&);
  bool (*set)(InvocationResult&, const std::string&);
  [[nodiscard]] constexpr const char* name() const { return header + std::string_view("hearth-").size(); }
};

// `kAt` says where the field is.
template <auto kAt>
constexpr TextField Number(const char* header) {
  return {header,
          [](const InvocationResult& r) {
            const auto value = kAt(const_cast<InvocationResult&>(r));  // read only
            return value == 0 ? std::string() : std::to_string(value);
          },
          [](InvocationResult& r, const std::string& text) {
            auto value = fields::ParseInteger("", text);
            if (value) kAt(r) = *value;
            return value.has_value();
          }};
}
template <auto kAt>
constexpr TextField Text(const char* header) {
  return {header, [](const InvocationResult& r) -> std::string { return kAt(const_cast<InvocationResult&>(r)); },
          [](InvocationResult& r, const std::string& text) {
            kAt(r) = text;
            return true;
          }};
}

using R = InvocationResult;
constexpr TextField kTextFields[] = {
    Text<[](R& r) -> std::string& { return r.id.value; }>("hearth-id"),
    {"hearth-status", [](const R& r) { return std::string(StatusName(r.status)); },
     [](R& r, const std::string& text) {
       auto status = ParseStatus(text);
       if (status) r.status = *status;
       return status.has_value();
     }},
    {"hearth-attempt", [](const R& r) { return std::to_string(r.attempt); },
     [](R& r, const std::string& text) {
       auto value = fields::ParseInteger("", text);
       if (value) r.attempt = static_cast<std::int32_t>(*value);
       return value.has_value();
     }},
    {"hearth-start-path", [](const R& r) { return std::string(StartPathName(r.start_path)); },
     [](R& r, const std::string& text) {
       auto path = ParseStartPath(text);
       if (path) r.start_path = *path;
       return path.has_value();
     }},
    Number<[](R& r) -> std::int64_t& { return r.epoch; }>("hearth-epoch"),
    Text<[](R& r) -> std::string& { return r.user.value; }>("hearth-user"),
    Text<[](R& r) -> std::string& { return r.function.value; }>("hearth-fn"),
    Number<[](R& r) -> std::int64_t& { return r.version; }>("hearth-version"),
    Text<[](R& r) -> std::string& { return r.error_type; }>("hearth-error-type"),
    Text<[](R& r) -> std::string& { return r.error_message; }>("hearth-error-message"),
    Number<[](R& r) -> std::int64_t& { return r.times.enqueued_us; }>("hearth-enqueued-us"),
    Number<[](R& r) -> std::int64_t& { return r.times.received_us; }>("hearth-received-us"),
    Number<[](R& r) -> std::int64_t& { return r.times.placed_us; }>("hearth-placed-us"),
    Number<[](R& r) -> std::int64_t& { return r.times.leased_us; }>("hearth-leased-us"),
    Number<[](R& r) -> std::int64_t& { return r.times.started_us; }>("hearth-started-us"),
    Number<[](R& r) -> std::int64_t& { return r.times.ended_us; }>("hearth-ended-us"),
    Text<[](R& r) -> std::string& { return r.executor.value; }>("hearth-executor"),
    Text<[](R& r) -> std::string& { return r.machine.value; }>("hearth-instance"),
    Text<[](R& r) -> std::string& { return r.container.value; }>("hearth-container"),
    Text<[](R& r) -> std::string& { return r.acceleration; }>("hearth-accel"),
    Number<[](R& r) -> std::int64_t& { return r.billed_ms; }>("hearth-billed-ms"),
    Number<[](R& r) -> std::int64_t& { return r.memory_peak_bytes; }>("hearth-memory-peak-bytes"),
    Text<[](R& r) -> std::string& { return r.why; }>("hearth-why"),
};
constexpr std::size_t kDecidingFields = 5;  // the first of them are headers of every form

// "error-type" as a CloudEvents attribute: letters and digits only.
std::string ExtensionName(const char* name) {
  std::string text = "hearth";
  for (const char* c = name; *c != '\0'; ++c) {
    if (*c != '-') text += *c;
  }
  return text;
}

void AddHeaders(const InvocationResult& result, std::size_t count, OutRecord& record) {
  constexpr std::size_t kFurther = 3;  // traceparent, content type, log
  record.headers.reserve(count + kFurther);
  for (std::size_t i = 0; i < count; ++i) {
    auto text = kTextFields[i].get(result);
    if (text.empty()) continue;
    if (text.size() > kMaxMessageHeaderBytes) text = CutText(text, kMaxMessageHeaderBytes);
    record.headers.emplace_back(kTextFields[i].header, std::move(text));
  }
  if (!result.traceparent.empty()) record.headers.push_back({"traceparent", result.traceparent});
}

void AddContentType(const InvocationResult& result, OutRecord& record) {
  if (!result.content_type.empty()) record.headers.push_back({"content-type", result.content_type});
}

void EncodeJsonReply(const InvocationResult& result, OutRecord& record) {
  nlohmann::json object = {{"v", 1}, {"attempt", result.attempt}, {"log_truncated", result.log_truncated}};
  for (const auto& field : kTextFields) {
    auto text = field.get(result);
    std::string name = field.name();
    std::replace(name.begin(), name.end(), '-', '_');
    const bool number = name.ends_with("_us") || name == "epoch" || name == "version" || name == "billed_ms" ||
                        name == "memory_peak_bytes";
    if (text.empty() || name == "attempt") continue;
    if (number) {
      object[name] = std::stoll(text);
    } else {
      object[name] = text;
    }
  }
  if (!result.content_type.empty()) object["content_type"] = result.content_type;
  if (!result.traceparent.empty()) object["traceparent"] = result.traceparent;
  if (!result.log_tail.empty()) object["log"] = result.log_tail;
  if (auto out = fields::ParseJsonValue(result.output)) {
    object["out"] = std::move(*out);
  } else if (fields::IsUtf8(result.output)) {
    object["out_text"] = result.output;
  } else {
    object["out_b64"] = Base64Encode(result.output);
  }
  record.value = fields::DumpJson(object);
  if (record.value.size() <= kMaxReplyBytes) return;
  // Escapes make six bytes of one: base64 is never longer than four of three.
  object.erase("out");
  object.erase("out_text");
  object["out_b64"] = Base64Encode(result.output);
  record.value = fields::DumpJson(object);
}

Result<void> DecodeJsonReply(const std::string& value, InvocationResult& result) {
  auto object = fields::ParseJsonObject(value);
  if (!object) return std::unexpected(object.error());
  for (const auto& field : kTextFields) {
    std::string name = field.name();
    std::replace(name.begin(), name.end(), '-', '_');
    const auto found = object->find(name);
    if (found == object->end() || found->is_null()) continue;
    if (!field.set(result, found->is_string() ? found->get<std::string>() : fields::DumpJson(*found))) {
      return Fail(Code::kInvalid, "reply: field '" + name + "' is wrong");
    }
  }
  fields::JsonFields reader(*object);
  reader.Text("content_type", result.content_type);
  reader.Text("traceparent", result.traceparent);
  reader.Text("log", result.log_tail);
  reader.Text("out_text", result.output);
  result.log_truncated = object->value("log_truncated", false);
  if (const auto out = object->find("out"); out != object->end()) result.output = fields::DumpJson(*out);
  if (const auto* out = reader.Find("out_b64"); out != nullptr && out->is_string()) {
    result.output = Base64Decode(out->get<std::string>()).value_or("");
  }
  return reader.Finish();
}

void EncodeStructured(const InvocationResult& result, OutRecord& record) {
  nlohmann::json object = {{"specversion", "1.0"},
                           {"id", result.id.value},
                           {"source", "/hearth/" + result.executor.value},
                           {"type", "hearth.result"}};
  for (const auto& field : kTextFields) {
    if (auto text = field.get(result); !text.empty()) object[ExtensionName(field.name())] = text;
  }
  if (!result.traceparent.empty()) object["traceparent"] = result.traceparent;
  if (!result.content_type.empty()) object["datacontenttype"] = result.content_type;
  if (!result.log_tail.empty()) object["hearthlog"] = result.log_tail;
  if (auto out = fields::ParseJsonValue(result.output)) {
    object["data"] = std::move(*out);
  } else {
    object["data_base64"] = Base64Encode(result.output);
  }
  record.value = fields::DumpJson(object);
  if (record.value.size() <= kMaxReplyBytes) return;
  object.erase("data");
  object["data_base64"] = Base64Encode(result.output);
  record.value = fields::DumpJson(object);
}

Result<void> DecodeStructured(const std::string& value, InvocationResult& result) {
  auto object = fields::ParseJsonObject(value);
  if (!object) return std::unexpected(object.error());
  fields::JsonFields reader(*object);
  for (const auto& field : kTextFields) {
    std::string text;
    reader.Text(ExtensionName(field.name()).c_str(), text);
    if (!text.empty() && !field.set(result, text))
      return Fail(Code::kInvalid, std::string("reply: field '") + field.name() + "' is wrong");
  }
  reader.Text("traceparent", result.traceparent);
  reader.Text("datacontenttype", result.content_type);
  reader.Text("hearthlog", result.log_tail);
  if (const auto data = object->find("data"); data != object->end()) result.output = fields::DumpJson(*data);
  if (const auto* data = reader.Find("data_base64"); data != nullptr && data->is_string()) {
    result.output = Base64Decode(data->get<std::string>()).value_or("");
  }
  return reader.Finish();
}

std::string LogHeader(const InvocationResult& result) {
  return Base64Encode(CutTextFront(result.log_tail, kMaxLogHeaderBytes));
}

}  // namespace

OutRecord EncodeReply(const InvocationResult& result, RequestForm form, const std::string& topic) {
  OutRecord record{topic, result.id.value, "", {}};
  switch (form) {
    case RequestForm::kHeaders:
      AddHeaders(result, std::size(kTextFields), record);
      AddContentType(result, record);
      if (!result.log_tail.empty()) record.headers.push_back({"hearth-log-b64", LogHeader(result)});
      record.value = result.output;
      break;
    case RequestForm::kMsgpack: {
      AddHeaders(result, kDecidingFields, record);
      record.headers.push_back({"content-type", "application/msgpack"});
      InvocationResult copy = result;
      codec::Encode<codec::Layout::kMap>(record.value, ReplyMap{1, std::string(StatusName(result.status)),
                                                                std::string(StartPathName(result.start_path)), &copy});
      break;
    }
    case RequestForm::kJson:
      AddHeaders(result, kDecidingFields, record);
      record.headers.push_back({"content-type", "application/json"});
      EncodeJsonReply(result, record);
      break;
    case RequestForm::kCloudEventBinary:
      AddHeaders(result, kDecidingFields, record);
      record.headers.push_back({"ce_specversion", "1.0"});
      record.headers.push_back({"ce_id", result.id.value});
      record.headers.push_back({"ce_source", "/hearth/" + result.executor.value});
      record.headers.push_back({"ce_type", "hearth.result"});
      for (const auto& field : kTextFields) {
        auto text = CutText(field.get(result), kMaxMessageHeaderBytes);
        if (!text.empty()) record.headers.push_back({"ce_" + ExtensionName(field.name()), text});
      }
      AddContentType(result, record);
      if (!result.log_tail.empty()) record.headers.push_back({"hearth-log-b64", LogHeader(result)});
      record.value = result.output;
      break;
    case RequestForm::kCloudEventStructured:
      AddHeaders(result, kDecidingFields, record);
      record.headers.push_back({"content-type", "application/cloudevents+json; charset=UTF-8"});
      EncodeStructured(result, record);
      break;
  }
  return record;
}

void MarkUndeliverable(OutRecord& record, std::string_view error) {
  record.headers.push_back({"hearth-undeliverable-topic", record.topic});
  record.headers.push_back({"hearth-undeliverable-error", CutText(error, kMaxMessageHeaderBytes)});
}

Result<InvocationResult> DecodeReply(const Record& record) {
  InvocationResult result;
  const auto* type = fields::FindHeader(record, "content-type");
  const bool binary_event = fields::FindHeader(record, "ce_specversion") != nullptr;
  const bool headers = fields::FindHeader(record, "hearth-received-us") != nullptr ||
                       fields::FindHeader(record, "hearth-user") != nullptr;
  Result<void> decoded;
  if (binary_event || headers || type == nullptr) {
    for (const auto& field : kTextFields) {
      const auto name = binary_event ? "ce_" + ExtensionName(field.name()) : std::string(field.header);
      const auto* text = fields::FindHeader(record, name);
      if (text != nullptr && !field.set(result, *text))
        return Fail(Code::kInvalid, "reply: header " + name + " is wrong");
    }
    if (type != nullptr) result.content_type = *type;
    if (const auto* text = fields::FindHeader(record, "traceparent")) result.traceparent = *text;
    if (const auto* log = fields::FindHeader(record, "hearth-log-b64"))
      result.log_tail = Base64Decode(*log).value_or("");
    result.output = record.value;
  } else if (fields::MediaType(*type) == fields::kStructuredEvent) {
    decoded = DecodeStructured(record.value, result);
  } else if (fields::IsMsgpack(fields::MediaType(*type))) {
    ReplyMap map{1, "", "", &result};
    if (auto read = codec::DecodeInto<codec::Layout::kMap>(record.value, map); !read) {
      return std::unexpected(read.error());
    }
    auto status = ParseStatus(map.status);
    auto path = ParseStartPath(map.start_path);
    if (!status) return std::unexpected(status.error());
    if (!path) return std::unexpected(path.error());
    result.status = *status;
    result.start_path = *path;
  } else {
    decoded = DecodeJsonReply(record.value, result);
  }
  if (!decoded) return std::unexpected(decoded.error());
  if (result.id.empty()) return Fail(Code::kInvalid, "not a reply of hearth: it carries no id");
  return result;
}

}  // namespace hearth
