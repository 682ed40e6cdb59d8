// How many system calls processes make, counted by strace. It slows them down several times over: what is counted is
// calls for each piece of work, never their time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "tools/bench/processes.h"

namespace hearth::bench {

class SystemCalls {
 public:
  // Returns once all of them are traced. kUnavailable: no strace, or it may not trace them, in its own words.
  static Result<std::unique_ptr<SystemCalls>> Begin(const std::vector<pid_t>& pids, const std::string& folder);
  // Of each process, in their order.
  Result<std::vector<std::int64_t>> End();

 private:
  struct Tracer {
    Child child;
    std::string table;
  };
  std::vector<Tracer> tracers_;
};

// The number of all calls in the table that `strace -c` prints; nothing where it is none.
std::optional<std::int64_t> TotalCalls(std::string_view table);

}  // namespace hearth::bench
