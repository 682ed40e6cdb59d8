// Requests as one msgpack or JSON map.
#include "schemas/codec.h"
#include "schemas/json_text.h"
#include "schemas/request_fields.h"

namespace hearth {

// Names of the map's fields; `in` is the payload.
struct RequestMap {
  std::int32_t v = 1;
  Request* request = nullptr;
};
template <class A>
void Describe(A& a, RequestMap& m) {
  auto& r = *m.request;
  a("v", m.v)("id", r.id)("user", r.user)("fn", r.function)("reply_to", r.reply_to)("order_key", r.order_key)(
      "expires", r.expires_ms)("timeout_ms", r.timeout_ms)("traceparent", r.traceparent)("content_type", r.content_type)
      .Bytes("in", r.payload, kMaxPayloadBytes);
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
  auto handle = codec::Parse(value);
  if (!handle) return std::unexpected(handle.error());
  RequestMap map{1, &request};
  codec::Reader<codec::Layout::kMap> reader;
  reader.Struct(handle->get(), map);
  if (!reader.fault().empty()) return reader.Failure();
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
  fields.Text("id", request.id.value);
  fields.Text("user", request.user.value);
  fields.Text("fn", request.function.value);
  fields.Text("reply_to", request.reply_to);
  fields.Text("order_key", request.order_key);
  fields.Integer("expires", request.expires_ms);
  fields.Integer("timeout_ms", request.timeout_ms);
  fields.Text("traceparent", request.traceparent);
  fields.Text("content_type", request.content_type);
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
  nlohmann::json object = {
      {"v", kFormatVersion}, {"id", request.id.value}, {"user", request.user.value}, {"fn", request.function.value}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) object[name] = value;
  };
  add("reply_to", request.reply_to);
  add("order_key", request.order_key);
  add("traceparent", request.traceparent);
  add("content_type", request.content_type);
  if (request.expires_ms != 0) object["expires"] = request.expires_ms;
  if (request.timeout_ms != 0) object["timeout_ms"] = request.timeout_ms;
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
