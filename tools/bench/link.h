// hearth-bench link: a round trip through the executor's guest link beside a bare one over the same kind of channel.
#pragma once

#include <string>

namespace hearth::bench {

struct LinkOptions {
  std::string image;
  int pings = 2000;  // pairs
  bool quick = false;
  bool markdown = false;
  bool strict = false;
};

// 0: every ping was answered (and, where strict, the bound is held); 1: not so; 3: a machine does not start.
int RunLink(const LinkOptions& options);

}  // namespace hearth::bench
