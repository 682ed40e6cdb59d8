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

}  // namespace hearth::fields
