// hearth-bench boot: where the time of a start goes, libvirt beside QEMU by hand with the same arguments, with counts.
#pragma once

#include <string>

namespace hearth::bench {

struct BootOptions {
  std::string image;
  int starts = 30;  // pairs
  int clones = 30;  // shells and activations
  int phases = 5;   // starts with the kernel's log on a serial port
  bool quick = false;
  bool markdown = false;
  bool strict = false;
};

// 0: every start said HELLO (and, where strict, every bound is held); 1: not so; 3: libvirt or the image is away.
int RunBoot(const BootOptions& options);

}  // namespace hearth::bench
