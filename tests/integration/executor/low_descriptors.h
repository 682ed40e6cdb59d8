// For tests that open libvirt's embedded driver in a process with a libuv loop.
#pragma once

#include <unistd.h>

#include <vector>

namespace hearth::executor {

// Keeps the low descriptors taken while it lives. After a fork libuv closes its own two by number; the embedded driver
// forks, closes everything and uses low numbers for itself, so libuv's have to be high when its loop is made.
class LowDescriptors {
 public:
  LowDescriptors() {
    while (taken_.empty() || taken_.back() < 64) taken_.push_back(dup(STDIN_FILENO));
  }
  ~LowDescriptors() {
    for (const int descriptor : taken_) close(descriptor);
  }
  LowDescriptors(const LowDescriptors&) = delete;
  LowDescriptors& operator=(const LowDescriptors&) = delete;

 private:
  std::vector<int> taken_;
};

}  // namespace hearth::executor
