// Requests in the headers form, and the questions about texts that the forms share.
#include "common/base/text.h"
#include "schemas/request_fields.h"

namespace hearth::fields {

Result<void> DecodeHeaders(const Record& record, Request& request) {
  for (const RequestField& field : kRequestFields) {
    if (auto taken = TakeText(field, field.header, HeaderText(record, field.header), request); !taken) return taken;
  }
  request.payload = record.value;
  return {};
}

void EncodeHeaders(const Request& request, OutRecord& record) {
  for (const RequestField& field : kRequestFields) {
    if (std::string text = TextOf(field, request); !text.empty()) record.headers.push_back({field.header, text});
  }
  record.value = request.payload;
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

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Letter letter = FirstLetter(text);
    if (letter.bytes == 0) return false;
    text.remove_prefix(letter.bytes);
  }
  return true;
}

bool IsPlainText(std::string_view text) {
  if (!IsUtf8(text)) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool c1 = c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;  // U+0080 to U+009F
    if (c < 0x20 || c == 0x7f || c1) return false;
  }
  return true;
}

Result<void> CheckOrderKey(const std::string& order_key) {
  if (order_key.size() <= kMaxIdentifierBytes) return {};
  return Fail(Code::kExhausted, "field 'order_key' has more than " + std::to_string(kMaxIdentifierBytes) + " bytes");
}

Result<void> CheckContentType(const std::string& content_type) {
  const bool one_line = content_type.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
  if (content_type.size() <= kMaxContentTypeBytes && IsUtf8(content_type) && one_line) return {};
  return Fail(Code::kInvalid,
              "content_type must be one line of at most " + std::to_string(kMaxContentTypeBytes) + " bytes");
}

}  // namespace hearth::fields
