// Following a batch until it has ended, and telling how far it is.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "schemas/batch_state.h"
#include "tools/hearth/batch_store.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

// Which of many states are told where there is no terminal: a line that says something new, once a while, and at once
// where the batch pauses, goes on or ends. Pure.
class LinePace {
 public:
  // Whether it is told.
  bool Due(const BatchState& state, std::int64_t now_ms);

 private:
  std::int64_t told_ms_ = 0;
  std::string phase_;
  ItemCounts counts_;
  bool has_told_ = false;
};

// Until the batch has ended in that generation or a later one; the state that says so. On a terminal one line of the
// standard error is drawn over and over, elsewhere there are lines; with --json each state is an object in a line of
// the standard output. kNotFound: what is said of the batch was taken away.
Result<BatchState> Watch(const Context& context, BatchFollower& batch, std::int32_t generation);

// What is said at the end: on the standard output, unless each state was told there.
void TellEnd(const Context& context, const BatchRef& ref, const BatchState& state);

}  // namespace hearth::tool
