#include "schemas/frame.h"

#include "schemas/limits.h"

namespace hearth {
namespace {

void WriteU32(char* at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>((value >> (8 * i)) & 0xFFU);
}

std::uint32_t ReadU32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

Result<void> AppendFrame(std::string& out, std::uint8_t type, std::uint32_t stream, std::string_view payload) {
  const std::size_t begin = BeginFrame(out, type, stream);
  out += payload;
  return EndFrame(out, begin);
}

std::size_t BeginFrame(std::string& out, std::uint8_t type, std::uint32_t stream) {
  const std::size_t begin = out.size();
  char head[kFrameHeadBytes] = {0, 0, 0, 0, static_cast<char>(type)};
  WriteU32(head + 5, stream);
  out.append(head, sizeof head);
  return begin;
}

Result<void> EndFrame(std::string& out, std::size_t begin) {
  const std::size_t bytes = out.size() - begin - kFrameHeadBytes;
  if (bytes > kMaxFrameBytes) {
    const auto type = static_cast<unsigned char>(out[begin + 4]);
    out.resize(begin);
    return Fail(Code::kExhausted, "a frame of type " + std::to_string(type) + " would have " + std::to_string(bytes) +
                                      " bytes, the limit is " + std::to_string(kMaxFrameBytes));
  }
  WriteU32(out.data() + begin, static_cast<std::uint32_t>(bytes));
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
