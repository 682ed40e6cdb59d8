// hearth-bench load: how many invocations a second hearth carries, and what each costs, on daemons of the bench's own
// whose machines are simulated, beside a raw Kafka echo of the same run.
#pragma once

#include <sys/types.h>

#include <string>

#include "tools/bench/own_stack.h"

namespace hearth::bench {

struct LoadOptions {
  OwnStackOptions stack;
  pid_t broker = 0;  // 0: the broker is not measured
  int executors = 1;
  int users = 10;
  int functions = 1;  // of each user
  int in_flight = 256;
  double rate = 0;  // a second: the open loop; 0: the closed one
  double seconds = 10;
  double warm_up = 2;
  std::string keys = "user";                            // or "random"
  std::string request_class = "std";                    // "rt", "std", "batch", or "mixed": one after the other
  int payload = 4;                                      // bytes
  int output = 0;                                       // bytes
  std::string start = "0", container = "0", run = "0";  // times of simulated machines
  bool refused = false;                                 // records that are refused at intake
  bool system_calls = true;
  bool quick = false;
  bool json = false;
  bool markdown = false;
  bool strict = false;  // exit 1 where a bound is not held
};

// Prints figures to standard output. 0: every record was answered once, as it was to be; 1: not so, or with `strict` a
// bound is not held; 3: something could not be started.
int RunLoad(const LoadOptions& options);

}  // namespace hearth::bench
