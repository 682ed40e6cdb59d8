// hearth-bench flood: one user sends very many records while another sends a few a second. What the other one notices
// of it, what the dispatcher holds in memory, how fast the flood is answered, and whether all of it is accounted for.
#pragma once

#include <sys/types.h>

#include <string>

#include "tools/bench/flood_cases.h"
#include "tools/bench/own_stack.h"

namespace hearth::bench {

struct FloodOptions {
  OwnStackOptions stack;  // libvirt and image: where machines are real
  pid_t broker = 0;       // not measured here; `load` does
  int executors = 1;
  FloodCase which = FloodCase::kPlain;
  bool real = false;          // real machines, with code that does nothing
  int records = 15'000;       // of the flood
  bool large = false;         // a million
  int payload = 100;          // bytes of each
  double expires_s = 0;       // of the flood's records, counted from when each is made; 0: never
  double rate = 2;            // of the other user, a second
  double before = 15;         // seconds of the other user alone
  double most_seconds = 120;  // of the flood; what is not answered by then is left
  int credit = 64;
  std::string run = "5";  // ms, of simulated machines
  bool json = false;
  bool markdown = false;
  bool strict = false;  // exit 1 where a bound is not held
};

// 0: the other user's records were answered, all of them ok, and none of the flood was lost or repeated; 1: not so, or
// with `strict` a bound is not held; 3: something could not be started.
int RunFlood(const FloodOptions& options);

}  // namespace hearth::bench
