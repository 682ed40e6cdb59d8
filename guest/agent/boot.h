// From the first instruction of PID 1 to a machine that can hold containers: modules, mounts, cgroups, the guest link.
#pragma once

#include <string>

#include "common/base/result.h"
#include "guest/agent/sys.h"

namespace hearth::guest {

constexpr const char* kPortName = "agent.0";  // of the virtio-serial port
constexpr const char* kContainerCgroups = "/sys/fs/cgroup/containers";

// Opens descriptors 0–2 first: PID 1 of an initramfs has none, and the first open would become standard output.
void OpenStandardDescriptors();
Result<void> PrepareMachine();
// The virtio-serial port to the executor, non-blocking.
Result<Fd> OpenPort();
// A line in the kernel's log: seen on a serial console, if one is attached for debugging.
void Note(const std::string& line);

}  // namespace hearth::guest
