// hearth-bench warm: invocations one at a time through a running stack, beside raw Kafka echoes
// and bare pings of a guest in the same run.
#pragma once

#include <cstdint>
#include <string>

namespace hearth::bench {

struct WarmOptions {
  std::string bootstrap = "127.0.0.1:9092";
  std::string user = "bench";
  std::string function = "bench-echo";
  int count = 10000;
  std::string image;             // of the machine that is pinged; empty: none is
  int block = 250;               // invocations, then as many echoes, and so on
  std::int64_t wait_ms = 30000;  // for one reply
  bool markdown = false;         // tables that can be pasted into docs/benchmarks
};

// Prints the table to standard output. 0: every request got exactly one ok result; 1: not so; 3: Kafka is away, or
// the machine does not start.
int RunWarm(const WarmOptions& options);

}  // namespace hearth::bench
