// hearth-bench density: what many idle machines of one template cost, by hand and as an executor's pool.
#pragma once

#include <string>

#include "tools/bench/own_stack.h"

namespace hearth::bench {

struct DensityOptions {
  OwnStackOptions stack;
  int machines = 100;
  int seconds = 20;              // over which the processor's time is taken
  std::string through = "both";  // hand, executor, both
  bool quick = false;
  bool markdown = false;
  bool strict = false;
};

// 0: all machines answered (and, where strict, every bound is held); 1: not so, or the executor has no templates; 3:
// something needed is away.
int RunDensity(const DensityOptions& options);

}  // namespace hearth::bench
