// The little language between the agent and the runtimes inside it: a message is
//   u32 bytes of what follows | u32 count | count × (u32 bytes | bytes)       (little-endian)
// so that a runtime needs nothing but its language to read it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "schemas/limits.h"

namespace hearth::guest {

constexpr std::size_t kMaxFields = 600;
constexpr std::size_t kMaxFieldsBytes = kMaxFrameBytes;  // of one message, its head excluded

// Refuses what a FieldsReader would not take.
Result<std::string> EncodeFields(const std::vector<std::string_view>& fields);

// Cuts the bytes that a runtime sent into messages; refuses what passes a limit before it allocates. The error of a
// message that is too long is kExhausted.
class FieldsReader {
 public:
  Result<void> Feed(std::string_view bytes);
  std::optional<std::vector<std::string>> Next();
  [[nodiscard]] bool empty() const { return buffer_.empty() && ready_.empty(); }

 private:
  Result<void> Cut();

  std::string buffer_;
  std::deque<std::vector<std::string>> ready_;
};

}  // namespace hearth::guest
