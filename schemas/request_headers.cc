// Requests in the headers form, and the small text codecs that the forms share.
#include <openssl/evp.h>

#include "schemas/request_fields.h"

namespace hearth::fields {

Result<void> DecodeHeaders(const Record& record, Request& request) {
  for (const auto& [name, value] : record.headers) {
    if (name == "hearth-fn") request.function = FunctionName(value);
    if (name == "hearth-user") request.user = UserId(value);
    if (name == "hearth-id") request.id = InvocationId(value);
    if (name == "hearth-reply-to") request.reply_to = value;
    if (name == "hearth-order-key") request.order_key = value;
    if (name == "traceparent") request.traceparent = value;
    if (name == "content-type") request.content_type = value;
  }
  request.payload = record.value;
  if (const auto* text = FindHeader(record, "hearth-expires")) {
    auto value = ParseInteger("hearth-expires", *text);
    if (!value) return std::unexpected(value.error());
    request.expires_ms = *value;
  }
  if (const auto* text = FindHeader(record, "hearth-timeout-ms")) {
    auto value = ParseInteger("hearth-timeout-ms", *text);
    if (!value) return std::unexpected(value.error());
    if (*value < 0 || *value > kMaxTimeoutMs) {
      return Fail(Code::kInvalid, "field 'hearth-timeout-ms' must be from 0 to " + std::to_string(kMaxTimeoutMs));
    }
    request.timeout_ms = static_cast<std::int32_t>(*value);
  }
  return {};
}

std::string Base64Encode(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int count =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(count));
  return text;
}

std::optional<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes(3 * text.size() / 4 + 1, '\0');
  const int count = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                    reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (count < 0) return std::nullopt;
  std::size_t padding = 0;
  if (text.ends_with("=="))
    padding = 2;
  else if (text.ends_with('='))
    padding = 1;
  bytes.resize(static_cast<std::size_t>(count) - padding);
  return bytes;
}

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80              ? 1
                             : (lead & 0xe0U) == 0xc0 ? 2
                             : (lead & 0xf0U) == 0xe0 ? 3
                             : (lead & 0xf8U) == 0xf0 ? 4
                                                      : 0;
    if (size == 0 || i + size > text.size()) return false;
    std::uint32_t point = size == 1 ? lead : lead & (0xffU >> (size + 1));
    for (std::size_t k = 1; k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0U) != 0x80) return false;
      point = (point << 6U) | (next & 0x3fU);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += size;
  }
  return true;
}

}  // namespace hearth::fields
