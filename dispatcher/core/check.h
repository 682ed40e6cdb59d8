// Invariants of the core. One that is broken is a fault of ours: the process ends and says which, because whatever it
// decided from then on could be wrong.
#pragma once

#include <cstdint>
#include <string_view>

namespace hearth::dispatcher {

// Aborts with the text and the value unless `truth`.
void Check(bool truth, std::string_view what, std::int64_t value);

}  // namespace hearth::dispatcher
