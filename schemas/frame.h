// The framing shared by both byte streams (dispatcher ↔ executor, executor ↔ guest agent):
//   u32 little-endian length of what follows the 9-byte head | u8 type | u32 little-endian stream | payload
// Nothing is allocated for a declared length above the limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hearth {

constexpr std::size_t kFrameHeadBytes = 9;

struct RawFrame {
  std::uint8_t type = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

// Appends one frame to `out`. A payload above kMaxFrameBytes is refused (kExhausted), and `out` stays as it was.
[[nodiscard]] Result<void> AppendFrame(std::string& out, std::uint8_t type, std::uint32_t stream,
                                       std::string_view payload);

// The same with a payload that is written in place, without a copy: BeginFrame appends the head, the caller appends the
// payload, and EndFrame, which is given what BeginFrame returned, completes the head.
[[nodiscard]] std::size_t BeginFrame(std::string& out, std::uint8_t type, std::uint32_t stream);
[[nodiscard]] Result<void> EndFrame(std::string& out, std::size_t begin);

// Cuts a byte stream into frames. Not thread-safe; one per connection.
class FrameReader {
 public:
  // Takes bytes as they came. After an error the connection must be closed.
  Result<void> Feed(std::string_view bytes);
  // The next whole frame, or nothing until more bytes come.
  std::optional<RawFrame> Next();
  [[nodiscard]] std::size_t buffered_bytes() const { return buffer_.size() - begin_; }

 private:
  std::string buffer_;
  std::size_t begin_ = 0;
};

}  // namespace hearth
