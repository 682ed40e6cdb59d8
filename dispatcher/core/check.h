// Invariants of the core. One that is broken is a fault of ours: the process ends and says which, because whatever it
// decided from then on could be wrong.
#pragma once

#include <cstdint>
#include <string_view>

namespace hearth::dispatcher {

[[noreturn]] void Abort(std::string_view what, std::int64_t value);

// Aborts with the text and the value unless `truth`.
inline void Check(bool truth, std::string_view what, std::int64_t value) {
  if (!truth) [[unlikely]]
    Abort(what, value);
}

}  // namespace hearth::dispatcher
