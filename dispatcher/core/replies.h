// The last records of an invocation as they are made: the reply to whoever asked, and the dead letter that keeps the
// record. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "dispatcher/core/invocation.h"
#include "dispatcher/core/outputs.h"
#include "dispatcher/core/settings.h"
#include "schemas/function.h"
#include "schemas/result.h"

namespace hearth::dispatcher {

// What the invocation came to, where no executor's answer is published. `function` may be null, `why` is for people.
Output ReplyTo(const Invocation& invocation, const Function* function, Status status, std::string_view error_type,
               std::string_view message, std::string why, const Settings& settings);

// The original record as it was, with what happened to it: written back, it is the request again. What hearth wrote in
// an earlier life of it is replaced.
Output DeadLetterOf(const Invocation& invocation, std::string_view reason, std::string_view message,
                    const Settings& settings);

}  // namespace hearth::dispatcher
