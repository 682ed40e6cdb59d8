#include "dispatcher/core/admission.h"

#include <algorithm>

namespace hearth::dispatcher {

std::int64_t DeadlineMs(const Request& request, const Function* function, std::int64_t record_timestamp_ms) {
  std::int64_t deadline = request.expires_ms;
  if (function != nullptr && function->max_age_ms > 0 && record_timestamp_ms > 0) {
    const std::int64_t by_age = record_timestamp_ms + function->max_age_ms;
    deadline = deadline == 0 ? by_age : std::min(deadline, by_age);
  }
  return deadline;
}

Answer Admit(const Request& request, const Function* function, std::int64_t record_timestamp_ms,
             std::int64_t now_wall_ms, const ReplyPolicy& policy) {
  if (!ReplyTopicAllowed(policy, request.reply_to)) {
    return {Verdict::kDeadLetter, "reply_topic_not_allowed", "the reply topic " + request.reply_to + " is not allowed"};
  }
  if (request.expires_ms != 0 && now_wall_ms >= request.expires_ms) {
    return {Verdict::kExpire, "expired", "the invocation expired before it started"};
  }
  if (function == nullptr) {
    return {Verdict::kAwaitFunction, "unknown_function",
            "no function " + request.function.str() + " of user " + request.user.str() + " is deployed"};
  }
  const std::int64_t deadline = DeadlineMs(request, function, record_timestamp_ms);
  if (deadline != 0 && now_wall_ms >= deadline) {
    return {Verdict::kExpire, "max_age", "the invocation is older than its function allows"};
  }
  return {};
}

std::optional<Answer> AdmitClass(RequestClass request_class, const UserId& user,
                                 const std::vector<std::string>& realtime_users) {
  if (request_class != RequestClass::kRealtime || MatchesAny(realtime_users, user.value)) return std::nullopt;
  return Answer{Verdict::kReject, "class_not_granted",
                "the class rt is not granted to user " + user.value + " (admission.realtime_users)"};
}

Answer AdmitUnreadable(const Error& error, const Refusal& refusal, const ReplyPolicy& policy) {
  const bool answered = refusal.answerable && ReplyTopicAllowed(policy, refusal.request.reply_to);
  return {answered ? Verdict::kRejectUnreadable : Verdict::kDeadLetter,
          error.code == Code::kExhausted ? "too_large" : "unreadable", error.message};
}

Turn TakeTurn(const Load& load) {
  if (load.user_placed >= load.user_cap) return Turn::kUserAtCap;
  if (load.function_cap > 0 && load.function_placed >= load.function_cap) return Turn::kFunctionAtCap;
  return Turn::kRun;
}

}  // namespace hearth::dispatcher
