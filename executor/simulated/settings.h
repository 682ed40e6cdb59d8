// How simulated machines behave.
#pragma once

#include <cstdint>

#include "executor/simulated/delay.h"

namespace hearth::executor {

struct SimulatedSettings {
  Delay start;                         // of a machine, until its agent says Hello
  Delay container;                     // until a container is made
  Delay run;                           // of a run, unless its input says otherwise
  std::int64_t failed_starts_ppm = 0;  // of starts
  std::int64_t failed_runs_ppm = 0;    // of runs: they end as if user code had failed
  std::int64_t deaths_ppm = 0;         // of runs: the machine dies in the middle of it
  std::int64_t output_bytes = 0;       // of each run; below 2 it is `null`
  std::uint64_t seed = 1;
};

}  // namespace hearth::executor
