#include "guest/agent/answer.h"

#include <charconv>
#include <tuple>
#include <utility>

#include "common/base/text.h"
#include "schemas/limits.h"

namespace hearth::guest {
namespace {

constexpr const char* kTooLarge = "result_too_large";

std::string TooLargeText() {
  return "the limit is " + std::to_string(kMaxOutputBytes) + " bytes";
}

std::pair<std::int64_t, std::int64_t> ParseSpan(const std::string& head) {
  std::int64_t started_us = 0;
  std::int64_t ended_us = 0;
  const char* const end = head.data() + head.size();
  const auto first = head.find(' ');
  if (first == std::string::npos) return {0, 0};
  const auto parsed = std::from_chars(head.data() + first + 1, end, started_us);
  if (parsed.ec == std::errc{} && parsed.ptr != end) std::from_chars(parsed.ptr + 1, end, ended_us);
  return {started_us, ended_us};
}

}  // namespace

std::optional<Answer> ParseAnswer(std::vector<std::string> fields) {
  if (fields.size() != 2 && fields.size() != 3) return std::nullopt;
  Answer answer;
  std::tie(answer.started_us, answer.ended_us) = ParseSpan(fields[0]);
  if (fields.size() == 2) {
    answer.status = Status::kOk;
    answer.output = std::move(fields[1]);
  } else {
    answer.type = std::move(fields[1]);
    answer.message = std::move(fields[2]);
  }
  return answer;
}

Answer BrokenAnswer(const Error& error) {
  Answer answer;
  const bool large = error.code == Code::kExhausted;
  answer.type = large ? kTooLarge : "invalid_answer";
  answer.message = large ? TooLargeText() : "what was written in the runtime's place is no answer: " + error.message;
  return answer;
}

void Bound(Ended& ended) {
  if (ended.status != Status::kOk) ended.output.clear();
  if (ended.output.size() > kMaxOutputBytes) {
    ended.status = Status::kError;
    ended.error_type = kTooLarge;
    ended.error_message = TooLargeText();
    ended.output = {};
  }
  ended.error_type = CutText(ended.error_type, kMaxIdentifierBytes);
  ended.error_message = CutText(ended.error_message, kMaxErrorMessageBytes);
  if (ended.log_tail.size() > kMaxLogTailBytes) ended.log_tail.erase(0, ended.log_tail.size() - kMaxLogTailBytes);
}

}  // namespace hearth::guest
