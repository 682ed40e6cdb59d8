// hearth-bench chaos: a batch of items that do nothing, while the dispatcher that owns it is killed again and again. At
// the end it is judged whether each item has one status, one result and one run, and how long nothing went on.
#pragma once

#include <cstdint>
#include <string>

#include "tools/bench/own_stack.h"

namespace hearth::bench {

// Who goes on with what a killed dispatcher had.
enum class TakeOver : std::uint8_t {
  kAgain,  // itself: it is started again at once, and has its partitions again
  kOther,  // another one, when the session of the killed one is over; that one is started again only then
  kBoth,   // one after the other
};

struct ChaosOptions {
  OwnStackOptions stack;
  int executors = 1;
  std::int64_t items = 1'000'000;
  double every = 10;  // seconds between two kills, and from the submission to the first
  TakeOver take_over = TakeOver::kBoth;
  int payload = 20;  // bytes of each item
  double most_seconds = 1800;
  int credit = 64;
  std::string run = "0";  // ms, of simulated machines
  std::string logs;       // a folder for the daemons' logs where something does not hold; empty: they are not kept
  bool json = false;
  bool markdown = false;
};

// 0: all that is promised held; 1: not so; 3: something could not be started, or the batch did not end.
int RunChaos(const ChaosOptions& options);

}  // namespace hearth::bench
