// hearth-bench core: what the steps of both cores take, alone and in this process, as users, executors, machines and
// waiting records grow.
#pragma once

namespace hearth::bench {

struct CoreOptions {
  int samples = 5'000;       // of each kind of step
  double most_seconds = 30;  // to fill a world, where one that takes longer is reported as such, and to measure it
  bool large = false;        // a million users, a million waiting
  bool quick = false;
  bool json = false;
  bool markdown = false;
  bool strict = false;  // exit 1 where a bound is not held
};

// 0: measured; 1: with `strict`, a bound is not held.
int RunCore(const CoreOptions& options);

}  // namespace hearth::bench
