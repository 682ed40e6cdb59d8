#include "schemas/frame.h"

#include "schemas/limits.h"

namespace hearth {
namespace {

void AppendU32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 0xFFU);
}

std::uint32_t ReadU32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

Result<void> AppendFrame(std::string& out, std::uint8_t type, std::uint32_t stream, std::string_view payload) {
  if (payload.size() > kMaxFrameBytes) {
    return Fail(Code::kExhausted, "a frame of type " + std::to_string(type) + " would have " +
                                      std::to_string(payload.size()) + " bytes, the limit is " +
                                      std::to_string(kMaxFrameBytes));
  }
  AppendU32(out, static_cast<std::uint32_t>(payload.size()));
  out += static_cast<char>(type);
  AppendU32(out, stream);
  out += payload;
  return {};
}

Result<void> FrameReader::Feed(std::string_view bytes) {
  // What was read goes away only when it is the larger part, so that a byte is moved at most once on average.
  if (begin_ > 0 && begin_ >= buffer_.size() / 2) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  buffer_ += bytes;
  // Every head in sight is checked here, so that Next() cannot meet a bad one.
  std::size_t at = begin_;
  while (buffer_.size() - at >= kFrameHeadBytes) {
    const std::size_t length = ReadU32(buffer_.data() + at);
    if (length > kMaxFrameBytes) {
      return Fail(Code::kExhausted, "frame declares " + std::to_string(length) + " bytes, the limit is " +
                                        std::to_string(kMaxFrameBytes));
    }
    if (buffer_.size() - at - kFrameHeadBytes < length) break;
    at += kFrameHeadBytes + length;
  }
  return {};
}

std::optional<RawFrame> FrameReader::Next() {
  if (buffer_.size() - begin_ < kFrameHeadBytes) return std::nullopt;
  const char* head = buffer_.data() + begin_;
  const std::size_t length = ReadU32(head);
  if (length > kMaxFrameBytes || buffer_.size() - begin_ - kFrameHeadBytes < length) return std::nullopt;
  RawFrame frame;
  frame.type = static_cast<std::uint8_t>(head[4]);
  frame.stream = ReadU32(head + 5);
  frame.payload.assign(head + kFrameHeadBytes, length);
  begin_ += kFrameHeadBytes + length;
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
  }
  return frame;
}

}  // namespace hearth
