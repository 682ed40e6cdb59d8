// hearth-bench clone: a fresh clone until its first instruction of user code, step by step, by hand.
#pragma once

#include <string>

namespace hearth::bench {

struct CloneOptions {
  std::string image;
  std::string python;  // a folder with noop.py
  std::string native;  // a static executable that does next to nothing
  int clones = 30;     // of each runtime
  bool quick = false;
  bool markdown = false;
};

// 0: every clone ran the code; 1: not so; 3: the template or the example is away.
int RunClone(const CloneOptions& options);

}  // namespace hearth::bench
