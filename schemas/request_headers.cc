// Requests in the headers form, and the small text codecs that the forms share.
#include <openssl/evp.h>

#include "common/base/text.h"
#include "schemas/request_fields.h"

namespace hearth::fields {

Result<void> DecodeHeaders(const Record& record, Request& request) {
  request.function = FunctionName(HeaderText(record, "hearth-fn"));
  request.user = UserId(HeaderText(record, "hearth-user"));
  request.id = InvocationId(HeaderText(record, "hearth-id"));
  request.reply_to = HeaderText(record, "hearth-reply-to");
  request.order_key = HeaderText(record, "hearth-order-key");
  request.traceparent = HeaderText(record, "traceparent");
  request.content_type = HeaderText(record, "content-type");
  request.payload = record.value;
  return TakeNumbers("hearth-expires", HeaderText(record, "hearth-expires"), "hearth-timeout-ms",
                     HeaderText(record, "hearth-timeout-ms"), request);
}

std::string MediaType(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && (content_type.front() == ' ' || content_type.front() == '\t'))
    content_type.remove_prefix(1);
  while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t'))
    content_type.remove_suffix(1);
  std::string type(content_type);
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type;
}

bool IsJson(std::string_view media_type) {
  return media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json");
}

bool IsMsgpack(std::string_view media_type) {
  return media_type == "application/msgpack" || media_type == "application/x-msgpack" ||
         media_type == "application/vnd.msgpack" || media_type.ends_with("+msgpack");
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
  while (!text.empty()) {
    const Letter letter = FirstLetter(text);
    if (letter.bytes == 0) return false;
    text.remove_prefix(letter.bytes);
  }
  return true;
}

}  // namespace hearth::fields
