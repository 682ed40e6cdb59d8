// What the forms of a request have in common: the table of its fields, and where a decoded one goes.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "schemas/limits.h"
#include "schemas/request.h"

namespace hearth::fields {

// The last header of that name; null where there is none, or where that one has no value.
inline const std::string* FindHeader(const Record& record, std::string_view name) {
  const auto found = std::find_if(record.headers.rbegin(), record.headers.rend(),
                                  [name](const Header& header) { return header.name == name; });
  return found == record.headers.rend() || found->null ? nullptr : &found->value;
}
inline std::string HeaderText(const Record& record, std::string_view name) {
  const auto* text = FindHeader(record, name);
  return text == nullptr ? std::string() : *text;
}

inline Result<std::int64_t> ParseInteger(std::string_view name, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return Fail(Code::kInvalid, "field '" + std::string(name) + "' must be an integer");
  }
  return value;
}

// A field of a request, and what each form calls it. Either `text` or `number` says where it goes.
struct RequestField {
  std::string& (*text)(Request& request);
  std::int64_t Request::* number;
  const char* header;        // of the headers form
  const char* key;           // of a msgpack or JSON map
  const char* event_header;  // of a CloudEvent in the binary form
  const char* attribute;     // of a structured one
  // Where a CloudEvent lacks it, this stands for it; may be null.
  const char* event_header_else;
  const char* attribute_else;
  std::int64_t most = 0;  // of a number; the least is 0
};
// All but the payload, which each form carries in a way of its own. The only place that lists them; schemas/README.md
// shows the same table to producers. The first four say whom a record came from and where its answer goes.
constexpr std::size_t kIdentityFields = 4;
inline constexpr std::array kRequestFields = {
    RequestField{[](Request& r) -> std::string& { return r.id.value; }, nullptr, "hearth-id", "id", "ce_id", "id",
                 nullptr, nullptr},
    RequestField{[](Request& r) -> std::string& { return r.user.value; }, nullptr, "hearth-user", "user",
                 "ce_hearthuser", "hearthuser", nullptr, nullptr},
    RequestField{[](Request& r) -> std::string& { return r.function.value; }, nullptr, "hearth-fn", "fn", "ce_hearthfn",
                 "hearthfn", nullptr, nullptr},
    RequestField{[](Request& r) -> std::string& { return r.reply_to; }, nullptr, "hearth-reply-to", "reply_to",
                 "ce_hearthreplyto", "hearthreplyto", nullptr, nullptr},
    RequestField{[](Request& r) -> std::string& { return r.order_key; }, nullptr, "hearth-order-key", "order_key",
                 "ce_hearthorderkey", "hearthorderkey", "ce_partitionkey", "partitionkey"},
    RequestField{nullptr, &Request::expires_ms, "hearth-expires", "expires", "ce_hearthexpires", "hearthexpires",
                 nullptr, nullptr, INT64_MAX},
    RequestField{nullptr, &Request::timeout_ms, "hearth-timeout-ms", "timeout_ms", "ce_hearthtimeoutms",
                 "hearthtimeoutms", nullptr, nullptr, kMaxTimeoutMs},
    RequestField{[](Request& r) -> std::string& { return r.traceparent; }, nullptr, "traceparent", "traceparent",
                 "ce_traceparent", "traceparent", "traceparent", nullptr},
    RequestField{[](Request& r) -> std::string& { return r.content_type; }, nullptr, "content-type", "content_type",
                 "content-type", "datacontenttype", nullptr, nullptr},
};

// `name` is what the form calls it.
inline Result<void> CheckNumber(const RequestField& field, const char* name, std::int64_t value) {
  if (value >= 0 && value <= field.most) return {};
  return Fail(Code::kInvalid, "field '" + std::string(name) + "' must be from 0 to " + std::to_string(field.most));
}
// Takes a field that came as text; an empty one is absent. `name` is what the form calls it.
inline Result<void> TakeText(const RequestField& field, const char* name, std::string text, Request& request) {
  if (field.text != nullptr) {
    field.text(request) = std::move(text);
  } else if (!text.empty()) {
    auto value = ParseInteger(name, text);
    if (!value) return std::unexpected(value.error());
    if (auto good = CheckNumber(field, name, *value); !good) return good;
    request.*field.number = *value;
  }
  return {};
}
// The text of a field, or nothing where there is none to send.
inline std::string TextOf(const RequestField& field, const Request& request) {
  if (field.text != nullptr) return field.text(const_cast<Request&>(request));  // read only
  return request.*field.number == 0 ? std::string() : std::to_string(request.*field.number);
}

// Each form decodes what it carries and leaves the checks to Validate. `request.form` is set by the caller.
Result<void> DecodeHeaders(const Record& record, Request& request);
Result<void> DecodeMsgpackMap(std::string_view value, Request& request);
Result<void> DecodeJsonMap(std::string_view value, Request& request);
Result<void> DecodeCloudEventBinary(const Record& record, Request& request);
Result<void> DecodeCloudEventStructured(std::string_view value, Request& request);

// The function that a CloudEvent's type names, if it does.
void TakeFunctionOfType(const std::string& type, Request& request);
// Whom a refused record of that form came from.
Refusal ReadIdentity(const Record& record, RequestForm form);

void EncodeHeaders(const Request& request, OutRecord& record);
void EncodeMsgpackMap(const Request& request, OutRecord& record);
void EncodeJsonMap(const Request& request, OutRecord& record);
void EncodeCloudEventBinary(const Request& request, OutRecord& record);
void EncodeCloudEventStructured(const Request& request, OutRecord& record);

bool IsUtf8(std::string_view text);
// UTF-8 without control characters.
bool IsPlainText(std::string_view text);
// What requests and items have in common: at most kMaxIdentifierBytes bytes; one line of at most kMaxContentTypeBytes.
Result<void> CheckOrderKey(const std::string& order_key);
Result<void> CheckContentType(const std::string& content_type);
// A media type without its parameters, in lower case: "application/json" for "Application/JSON; charset=utf-8".
std::string MediaType(std::string_view content_type);
// application/json, text/json, and whatever ends in +json.
bool IsJson(std::string_view media_type);
bool IsMsgpack(std::string_view media_type);
constexpr std::string_view kStructuredEvent = "application/cloudevents+json";

}  // namespace hearth::fields
