// How often this thread has asked for memory by operator new, in this program.
#pragma once

#include <cstdint>

namespace hearth::bench {

std::int64_t Allocations();

}  // namespace hearth::bench
