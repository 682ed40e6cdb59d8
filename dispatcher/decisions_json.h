// One line of the decision log as JSON, for /decisions/ID and `hearth why`.
#pragma once

#include <string>

#include "dispatcher/core/decisions.h"

namespace hearth::dispatcher {

std::string DecisionJson(const Decision& decision, const DispatcherId& self);
std::string NoDecisionJson(const std::string& id, const DispatcherId& self);

}  // namespace hearth::dispatcher
