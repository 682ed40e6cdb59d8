// Requests as one msgpack or JSON map.
#include "common/base/base64.h"
#include "schemas/codec.h"
#include "schemas/json_text.h"
#include "schemas/request_fields.h"

namespace hearth {

// The map's fields; `in` is the payload.
struct RequestMap {
  std::int32_t v = 1;
  Request* request = nullptr;
};
template <class A>
void Describe(A& a, RequestMap& m) {
  Request& request = *m.request;
  a("v", m.v);
  for (const fields::RequestField& field : fields::kRequestFields) {
    field.text != nullptr ? a(field.key, field.text(request)) : a(field.key, request.*field.number);
  }
  a.Bytes("in", request.payload, kMaxPayloadBytes);
}

namespace fields {
namespace {

constexpr std::int32_t kFormatVersion = 1;

Result<void> CheckVersion(std::int32_t v) {
  if (v == kFormatVersion) return {};
  return Fail(Code::kInvalid, "schema: version " + std::to_string(v) + " is not known; this hearth reads 1");
}

}  // namespace

Result<void> DecodeMsgpackMap(std::string_view value, Request& request) {
  RequestMap map{1, &request};
  if (auto decoded = codec::DecodeInto<codec::Layout::kMap>(value, map); !decoded) return decoded;
  return CheckVersion(map.v);
}

void EncodeMsgpackMap(const Request& request, OutRecord& record) {
  record.headers.push_back({"content-type", "application/msgpack"});
  Request copy = request;
  codec::Encode<codec::Layout::kMap>(record.value, RequestMap{kFormatVersion, &copy});
}

Result<void> DecodeJsonMap(std::string_view value, Request& request) {
  auto object = ParseJsonObject(value);
  if (!object) return std::unexpected(object.error());
  JsonFields fields(*object);
  std::int32_t v = kFormatVersion;
  fields.Integer("v", v);
  for (const RequestField& field : kRequestFields) {
    field.text != nullptr ? fields.Text(field.key, field.text(request))
                          : fields.Integer(field.key, request.*field.number);
  }
  if (const auto* in = fields.Find("in")) {
    request.payload = DumpJson(*in);
    if (request.content_type.empty()) request.content_type = "application/json";
  }
  if (const auto* text = fields.Find("in_b64")) {
    auto bytes = text->is_string() ? Base64Decode(text->get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) {
      fields.Fault("in_b64", "base64");
    } else {
      request.payload = std::move(*bytes);
    }
  }
  if (auto good = fields.Finish(); !good) return good;
  return CheckVersion(v);
}

void EncodeJsonMap(const Request& request, OutRecord& record) {
  record.headers.push_back({"content-type", "application/json"});
  nlohmann::json object = {{"v", kFormatVersion}};
  for (const RequestField& field : kRequestFields) {
    const std::string text = TextOf(field, request);
    if (text.empty()) continue;
    if (field.text != nullptr)
      object[field.key] = text;
    else
      object[field.key] = request.*field.number;
  }
  auto in = ParseJsonValue(request.payload);
  // Null would be read as absent.
  if (in && !in->is_null() && request.content_type != "application/octet-stream") {
    object["in"] = std::move(*in);
  } else {
    object["in_b64"] = Base64Encode(request.payload);
  }
  record.value = DumpJson(object);
}

}  // namespace fields
}  // namespace hearth
