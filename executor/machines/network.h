// What the process of a machine sees of networks. It needs none: whoever breaks out of a guest into QEMU shall not find
// the servers that hearth talks to. libvirtd decides it, by the namespace that it was started in (docs/operations.md).
#pragma once

#include <sys/types.h>

#include <string>

namespace hearth::executor {

// What is wrong with the network of the process; empty where it has none. Reads /proc; blocks for as long as that
// takes.
std::string NetworkFault(pid_t process);

}  // namespace hearth::executor
