// What the three forms of a request have in common: names, checks, and where a decoded field goes.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/limits.h"
#include "schemas/request.h"

namespace hearth::fields {

inline const std::string* FindHeader(const Record& record, std::string_view name) {
  for (const auto& header : record.headers) {
    if (header.name == name) return &header.value;
  }
  return nullptr;
}

inline Result<std::int64_t> ParseInteger(std::string_view name, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return Fail(Code::kInvalid, "field '" + std::string(name) + "' must be an integer");
  }
  return value;
}

// Each form decodes what it carries and leaves the checks to Validate. `request.form` is set by the caller.
Result<void> DecodeHeaders(const Record& record, Request& request);
Result<void> DecodeMsgpackMap(std::string_view value, Request& request);
Result<void> DecodeJsonMap(std::string_view value, Request& request);
Result<void> DecodeCloudEventBinary(const Record& record, Request& request);
Result<void> DecodeCloudEventStructured(std::string_view value, Request& request);

void EncodeMsgpackMap(const Request& request, OutRecord& record);
void EncodeJsonMap(const Request& request, OutRecord& record);
void EncodeCloudEventBinary(const Request& request, OutRecord& record);
void EncodeCloudEventStructured(const Request& request, OutRecord& record);

std::string Base64Encode(std::string_view bytes);
std::optional<std::string> Base64Decode(std::string_view text);
bool IsUtf8(std::string_view text);

}  // namespace hearth::fields
