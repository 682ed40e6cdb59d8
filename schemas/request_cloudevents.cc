// Requests as CloudEvents 1.0 over Kafka, binary (ce_* headers) and structured (application/cloudevents+json). The
// function is named by the extension hearthfn, or by a type "hearth.invoke.<function>".
#include "schemas/json_text.h"
#include "schemas/request_fields.h"

namespace hearth::fields {
namespace {

constexpr std::string_view kTypePrefix = "hearth.invoke.";
constexpr std::string_view kStructuredType = "application/cloudevents+json; charset=UTF-8";

}  // namespace

void TakeFunctionOfType(const std::string& type, Request& request) {
  if (request.function.empty() && type.starts_with(kTypePrefix)) {
    request.function = FunctionName(type.substr(kTypePrefix.size()));
  }
}

Result<void> DecodeCloudEventBinary(const Record& record, Request& request) {
  const auto attribute = [&record](const char* name) { return HeaderText(record, name); };
  if (attribute("ce_specversion") != "1.0") return Fail(Code::kInvalid, "field 'ce_specversion' must be 1.0");
  request.id = InvocationId(attribute("ce_id"));
  request.function = FunctionName(attribute("ce_hearthfn"));
  TakeFunctionOfType(attribute("ce_type"), request);
  request.user = UserId(attribute("ce_hearthuser"));
  request.reply_to = attribute("ce_hearthreplyto");
  request.order_key = attribute("ce_hearthorderkey");
  if (request.order_key.empty()) request.order_key = attribute("ce_partitionkey");
  request.traceparent = attribute("ce_traceparent");
  if (request.traceparent.empty()) request.traceparent = attribute("traceparent");
  request.content_type = attribute("content-type");
  request.payload = record.value;
  return TakeNumbers("hearthexpires", attribute("ce_hearthexpires"), "hearthtimeoutms", attribute("ce_hearthtimeoutms"),
                     request);
}

Result<void> DecodeCloudEventStructured(std::string_view value, Request& request) {
  auto object = ParseJsonObject(value);
  if (!object) return std::unexpected(object.error());
  JsonFields fields(*object);
  std::string type;
  std::string version;
  fields.Text("id", request.id.value);
  fields.Text("type", type);
  fields.Text("specversion", version);
  fields.Text("hearthfn", request.function.value);
  fields.Text("hearthuser", request.user.value);
  fields.Text("hearthreplyto", request.reply_to);
  fields.Text("hearthorderkey", request.order_key);
  if (request.order_key.empty()) fields.Text("partitionkey", request.order_key);
  fields.Text("traceparent", request.traceparent);
  fields.Text("datacontenttype", request.content_type);
  const auto number = [&](const char* name) {
    const auto* found = fields.Find(name);
    if (found == nullptr) return std::string();
    return found->is_string() ? found->get<std::string>() : DumpJson(*found);
  };
  if (const auto* data = fields.Find("data")) {
    const bool text = data->is_string() && !request.content_type.empty() && !IsJson(MediaType(request.content_type));
    request.payload = text ? data->get<std::string>() : DumpJson(*data);
    if (request.content_type.empty()) request.content_type = "application/json";
  }
  if (const auto* data = fields.Find("data_base64")) {
    auto bytes = data->is_string() ? Base64Decode(data->get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) {
      fields.Fault("data_base64", "base64");
    } else {
      request.payload = std::move(*bytes);
    }
  }
  if (auto good = fields.Finish(); !good) return good;
  if (version != "1.0") return Fail(Code::kInvalid, "field 'specversion' must be 1.0");
  TakeFunctionOfType(type, request);
  return TakeNumbers("hearthexpires", number("hearthexpires"), "hearthtimeoutms", number("hearthtimeoutms"), request);
}

void EncodeCloudEventBinary(const Request& request, OutRecord& record) {
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) record.headers.push_back({name, value});
  };
  add("ce_specversion", "1.0");
  add("ce_id", request.id.value);
  add("ce_source", "/hearth/producer");
  add("ce_type", std::string(kTypePrefix) + request.function.value);
  add("ce_hearthfn", request.function.value);
  add("ce_hearthuser", request.user.value);
  add("ce_hearthreplyto", request.reply_to);
  add("ce_hearthorderkey", request.order_key);
  if (request.expires_ms != 0) add("ce_hearthexpires", std::to_string(request.expires_ms));
  if (request.timeout_ms != 0) add("ce_hearthtimeoutms", std::to_string(request.timeout_ms));
  add("ce_traceparent", request.traceparent);
  add("content-type", request.content_type);
  record.value = request.payload;
}

void EncodeCloudEventStructured(const Request& request, OutRecord& record) {
  record.headers.push_back({"content-type", std::string(kStructuredType)});
  nlohmann::json object = {{"specversion", "1.0"},
                           {"id", request.id.value},
                           {"source", "/hearth/producer"},
                           {"type", std::string(kTypePrefix) + request.function.value},
                           {"hearthfn", request.function.value},
                           {"hearthuser", request.user.value}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) object[name] = value;
  };
  add("hearthreplyto", request.reply_to);
  add("hearthorderkey", request.order_key);
  add("traceparent", request.traceparent);
  add("datacontenttype", request.content_type);
  if (request.expires_ms != 0) object["hearthexpires"] = std::to_string(request.expires_ms);
  if (request.timeout_ms != 0) object["hearthtimeoutms"] = std::to_string(request.timeout_ms);
  if (auto data = ParseJsonValue(request.payload); data && !data->is_null()) {  // null would be read as absent
    object["data"] = std::move(*data);
  } else {
    object["data_base64"] = Base64Encode(request.payload);
  }
  record.value = DumpJson(object);
}

}  // namespace hearth::fields
