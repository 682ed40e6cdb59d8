// What a runtime says of the attempt that it ran. User code can write it in the runtime's place, so nothing of it is
// taken for more than it can be. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "schemas/guest.h"

namespace hearth::guest {

struct Answer {
  Status status = Status::kError;
  std::string type, message, output;
  std::int64_t started_us = 0, ended_us = 0;  // of the guest's monotonic clock; 0 where it was no number
};

// "STATUS STARTED ENDED" and an output, or an error's type and message. Nothing: that is no answer.
std::optional<Answer> ParseAnswer(std::vector<std::string> fields);
// In the place of an answer that cannot be read: result_too_large where its size is what is wrong, else invalid_answer.
Answer BrokenAnswer(const Error& error);
// Within the limits of what travels. An output above its own becomes the error result_too_large.
void Bound(Ended& ended);

}  // namespace hearth::guest
