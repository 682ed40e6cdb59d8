// The lowest numbers of descriptors, kept taken for the life of a process in which libvirt starts QEMU and libuv runs.
//
// In every child that is forked, libuv closes its signal pipe by the numbers of its two descriptors and makes it anew
// (pthread_atfork), with the lowest numbers that are free. libvirt forks, closes all descriptors, opens some, which get
// the lowest numbers, and forks again: had the pipe one of these, libvirt's would be closed and QEMU would not start.
#pragma once

#include <fcntl.h>

#include <vector>

#include "common/base/fd.h"

namespace hearth {

class LowDescriptors {
 public:
  // To be made before anything else is opened.
  LowDescriptors() {
    do {
      taken_.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    } while (taken_.back() && taken_.back().get() < kLast);
  }

  static constexpr int kLast = 15;  // libvirt takes three or four

 private:
  std::vector<Fd> taken_;
};

}  // namespace hearth
