// Turns an event loop until something holds, for at most so long.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>

#include "common/loop/loop.h"

namespace hearth::executor {

// False: the time was not enough.
inline bool RunUntil(Loop& loop, std::int64_t within_ms, const std::function<bool()>& holds) {
  bool late = false;
  Timer deadline(loop, [&late] { late = true; });
  deadline.StartOnce(within_ms);
  while (!late && !holds()) uv_run(loop.raw(), UV_RUN_ONCE);
  return holds();
}

}  // namespace hearth::executor
