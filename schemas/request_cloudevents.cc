// Requests as CloudEvents 1.0 over Kafka, binary (ce_* headers) and structured (application/cloudevents+json). The
// function is named by the extension hearthfn, or by a type "hearth.invoke.<function>".
#include "common/base/base64.h"
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
  if (HeaderText(record, "ce_specversion") != "1.0") return Fail(Code::kInvalid, "field 'ce_specversion' must be 1.0");
  for (const RequestField& field : kRequestFields) {
    std::string text = HeaderText(record, field.event_header);
    if (text.empty() && field.event_header_else != nullptr) text = HeaderText(record, field.event_header_else);
    if (auto taken = TakeText(field, field.attribute, std::move(text), request); !taken) return taken;
  }
  TakeFunctionOfType(HeaderText(record, "ce_type"), request);
  request.payload = record.value;
  return {};
}

Result<void> DecodeCloudEventStructured(std::string_view value, Request& request) {
  auto object = ParseJsonObject(value);
  if (!object) return std::unexpected(object.error());
  JsonFields fields(*object);
  std::string type;
  std::string version;
  fields.Text("type", type);
  fields.Text("specversion", version);
  // Attributes are text; a number may be written as one too.
  const auto number = [&](const char* name) {
    const auto* found = fields.Find(name);
    if (found == nullptr) return std::string();
    return found->is_string() ? found->get<std::string>() : DumpJson(*found);
  };
  for (const RequestField& field : kRequestFields) {
    if (field.text == nullptr) {
      if (auto taken = TakeText(field, field.attribute, number(field.attribute), request); !taken) return taken;
      continue;
    }
    std::string& text = field.text(request);
    fields.Text(field.attribute, text);
    if (text.empty() && field.attribute_else != nullptr) fields.Text(field.attribute_else, text);
  }
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
  return {};
}

void EncodeCloudEventBinary(const Request& request, OutRecord& record) {
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) record.headers.push_back({name, value});
  };
  add("ce_specversion", "1.0");
  add("ce_source", "/hearth/producer");
  add("ce_type", std::string(kTypePrefix) + request.function.value);
  for (const RequestField& field : kRequestFields) add(field.event_header, TextOf(field, request));
  record.value = request.payload;
}

void EncodeCloudEventStructured(const Request& request, OutRecord& record) {
  record.headers.push_back({"content-type", std::string(kStructuredType)});
  nlohmann::json object = {{"specversion", "1.0"},
                           {"source", "/hearth/producer"},
                           {"type", std::string(kTypePrefix) + request.function.value}};
  for (const RequestField& field : kRequestFields) {
    if (std::string text = TextOf(field, request); !text.empty()) object[field.attribute] = std::move(text);
  }
  if (auto data = ParseJsonValue(request.payload); data && !data->is_null()) {  // null would be read as absent
    object["data"] = std::move(*data);
  } else {
    object["data_base64"] = Base64Encode(request.payload);
  }
  record.value = DumpJson(object);
}

}  // namespace hearth::fields
