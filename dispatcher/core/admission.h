// May this invocation run, and may it run now? Pure functions over plain data; every refusal has a name that travels
// as the result's error type or the dead-letter reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dispatcher/core/request_class.h"
#include "schemas/function.h"
#include "schemas/reply_policy.h"
#include "schemas/request.h"

namespace hearth::dispatcher {

enum class Verdict : std::uint8_t {
  kAdmit,
  kAwaitFunction,     // nobody has deployed it as far as we know: wait for the registry for a moment, then refuse
  kReject,            // result `rejected` on the reply topic
  kRejectUnreadable,  // the same, and the record itself goes to the dead-letter topic
  kExpire,            // result `expired` on the reply topic
  kDeadLetter,        // nobody can be answered: the dead-letter topic
};

struct Answer {
  Verdict verdict = Verdict::kAdmit;
  std::string reason;   // name of what decided; empty when admitted
  std::string message;  // for people
};

// When the invocation is too old to be started: the earlier of its own expiry and its function's age limit, ms since
// the epoch; 0: never. `function` may be null.
std::int64_t DeadlineMs(const Request& request, const Function* function, std::int64_t record_timestamp_ms);

// The checks at intake, and again before each placement. `function` may be null.
Answer Admit(const Request& request, const Function* function, std::int64_t record_timestamp_ms,
             std::int64_t now_wall_ms, const ReplyPolicy& policy);

// The class rt goes before all others: whoever may write to its topic has it only where it was granted. The refusal, or
// nothing.
std::optional<Answer> AdmitClass(RequestClass request_class, const UserId& user,
                                 const std::vector<std::string>& realtime_users);

// What to do with a record that DecodeRequest refused.
Answer AdmitUnreadable(const Error& error, const Refusal& refusal, const ReplyPolicy& policy);

struct Load {
  std::int32_t user_placed = 0;
  std::int32_t user_cap = 0;
  std::int32_t function_placed = 0;
  std::int32_t function_cap = 0;  // 0: none but the user's
};
enum class Turn : std::uint8_t { kRun, kUserAtCap, kFunctionAtCap };
Turn TakeTurn(const Load& load);

}  // namespace hearth::dispatcher
