// What the three forms of a request have in common: names, checks, and where a decoded field goes.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

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

// Numbers that come as text; an empty one is absent.
inline Result<void> TakeNumbers(std::string_view expires_name, std::string_view expires, std::string_view timeout_name,
                                std::string_view timeout, Request& request) {
  if (!expires.empty()) {
    auto value = ParseInteger(expires_name, expires);
    if (!value) return std::unexpected(value.error());
    request.expires_ms = *value;
  }
  if (!timeout.empty()) {
    auto value = ParseInteger(timeout_name, timeout);
    if (!value) return std::unexpected(value.error());
    if (*value < 0 || *value > kMaxTimeoutMs) {
      return Fail(Code::kInvalid,
                  "field '" + std::string(timeout_name) + "' must be from 0 to " + std::to_string(kMaxTimeoutMs));
    }
    request.timeout_ms = static_cast<std::int32_t>(*value);
  }
  return {};
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

void EncodeMsgpackMap(const Request& request, OutRecord& record);
void EncodeJsonMap(const Request& request, OutRecord& record);
void EncodeCloudEventBinary(const Request& request, OutRecord& record);
void EncodeCloudEventStructured(const Request& request, OutRecord& record);

std::string Base64Encode(std::string_view bytes);
std::optional<std::string> Base64Decode(std::string_view text);
bool IsUtf8(std::string_view text);
// A media type without its parameters, in lower case: "application/json" for "Application/JSON; charset=utf-8".
std::string MediaType(std::string_view content_type);
// application/json, text/json, and whatever ends in +json.
bool IsJson(std::string_view media_type);
bool IsMsgpack(std::string_view media_type);
constexpr std::string_view kStructuredEvent = "application/cloudevents+json";

}  // namespace hearth::fields
