// Keeps the end of a log of any length in bounded memory and counts all of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "schemas/limits.h"

namespace hearth::guest {

class LogTail {
 public:
  void Append(std::string_view bytes) {
    total_bytes_ += static_cast<std::int64_t>(bytes.size());
    if (bytes.size() > kMaxLogTailBytes) bytes.remove_prefix(bytes.size() - kMaxLogTailBytes);
    kept_ += bytes;
    // Cut late: a copy per kMaxLogTailBytes printed rather than one per write.
    if (kept_.size() > 2 * kMaxLogTailBytes) kept_.erase(0, kept_.size() - kMaxLogTailBytes);
  }
  [[nodiscard]] std::int64_t total_bytes() const { return total_bytes_; }
  // The tail; the log is empty again afterwards.
  std::string Take() {
    if (kept_.size() > kMaxLogTailBytes) kept_.erase(0, kept_.size() - kMaxLogTailBytes);
    total_bytes_ = 0;
    return std::exchange(kept_, std::string());
  }

 private:
  std::string kept_;
  std::int64_t total_bytes_ = 0;
};

}  // namespace hearth::guest
