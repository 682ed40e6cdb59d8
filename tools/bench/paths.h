// hearth-bench paths: every start path forced through the real stack, receive → first instruction, beside the floors of
// the same run.
#pragma once

#include <string>

#include "tools/bench/own_stack.h"

namespace hearth::bench {

struct PathsOptions {
  OwnStackOptions stack;
  std::string python;        // a folder with noop.py
  std::string native;        // a static executable that does next to nothing
  std::string machine_logs;  // where libvirt writes what it started QEMU with
  int rounds = 30;           // samples of each path and runtime
  int boots = 30;            // of the path `boot`
  bool quick = false;        // what is not said otherwise is small
  bool markdown = false;
  bool strict = false;  // a bound that is not held fails the run
};

// Prints tables and bounds to standard output, progress to standard error. 0: every sample took the path that it was
// to take (and, where strict, every bound is held); 1: not so, or a path is not available; 3: something needed is away.
int RunPaths(const PathsOptions& options);

}  // namespace hearth::bench
