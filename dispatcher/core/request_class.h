// How urgent a request is: its topic says so.
#pragma once

#include <cstdint>

namespace hearth::dispatcher {

enum class RequestClass : std::uint8_t { kRealtime = 0, kStandard = 1, kBatch = 2 };

}  // namespace hearth::dispatcher
