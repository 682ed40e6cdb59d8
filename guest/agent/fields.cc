#include "guest/agent/fields.h"

namespace hearth::guest {
namespace {

void AppendU32(std::string& out, std::size_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift & 0xff);
}

std::size_t ReadU32(std::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::size_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return value;
}

}  // namespace

Result<std::string> EncodeFields(const std::vector<std::string_view>& fields) {
  std::size_t total = 4;
  for (const auto& field : fields) total += 4 + field.size();
  if (fields.size() > kMaxFields || total > kMaxFieldsBytes)
    return Fail(Code::kExhausted, "message of a size beyond the limit");
  std::string out;
  out.reserve(4 + total);
  AppendU32(out, total);
  AppendU32(out, fields.size());
  for (const auto& field : fields) {
    AppendU32(out, field.size());
    out += field;
  }
  return out;
}

Result<void> FieldsReader::Feed(std::string_view bytes) {
  buffer_ += bytes;
  return Cut();
}

Result<void> FieldsReader::Cut() {
  std::size_t at = 0;  // what lies before it was cut
  while (buffer_.size() - at >= 4) {
    const std::size_t size = ReadU32(std::string_view(buffer_).substr(at));
    if (size > kMaxFieldsBytes) return Fail(Code::kExhausted, "message of a size beyond the limit");
    if (size < 4) return Fail(Code::kInvalid, "message without a count");
    if (buffer_.size() - at < 4 + size) break;
    std::string_view rest = std::string_view(buffer_).substr(at + 4, size);
    const std::size_t count = ReadU32(rest);
    rest.remove_prefix(4);
    if (count > kMaxFields) return Fail(Code::kInvalid, "message of too many fields");
    std::vector<std::string> fields;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest.size() < 4) return Fail(Code::kInvalid, "message cut short");
      const std::size_t length = ReadU32(rest);
      rest.remove_prefix(4);
      if (rest.size() < length) return Fail(Code::kInvalid, "field cut short");
      fields.emplace_back(rest.substr(0, length));
      rest.remove_prefix(length);
    }
    if (!rest.empty()) return Fail(Code::kInvalid, "bytes after the last field");
    ready_.push_back(std::move(fields));
    at += 4 + size;
  }
  buffer_.erase(0, at);
  return {};
}

std::optional<std::vector<std::string>> FieldsReader::Next() {
  if (ready_.empty()) return std::nullopt;
  auto fields = std::move(ready_.front());
  ready_.pop_front();
  return fields;
}

}  // namespace hearth::guest
