// hearth-bench batch: a batch of items that do nothing, beside another user who sends a few requests a second. How fast
// it runs, how soon it starts and ends, what the other user notices, and what it costs in memory and on Kafka.
#pragma once

#include <cstdint>
#include <string>

#include "tools/bench/own_stack.h"

namespace hearth::bench {

struct BatchOptions {
  OwnStackOptions stack;
  int executors = 1;
  std::int64_t items = 100'000;
  bool large = false;    // a million
  bool counted = false;  // nothing is stored: an array job
  int payload = 20;      // bytes of each item
  double rate = 20;      // of the other user, a second
  double before = 15;    // seconds of the other user alone
  double most_seconds = 600;
  int credit = 64;
  std::string run = "0";  // ms, of simulated machines
  bool markdown = false;
  bool strict = false;  // exit 1 where a bound is not held
};

// 0: every item is ok, and with `strict` all bounds are held; 1: not so; 3: something could not be started.
int RunBatch(const BatchOptions& options);

}  // namespace hearth::bench
