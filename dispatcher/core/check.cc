#include "dispatcher/core/check.h"

#include <cstdio>
#include <cstdlib>

namespace hearth::dispatcher {

void Abort(std::string_view what, std::int64_t value) {
  std::fprintf(stderr, "dispatcher core: %.*s (%lld)\n", static_cast<int>(what.size()), what.data(),
               static_cast<long long>(value));
  std::abort();
}

}  // namespace hearth::dispatcher
