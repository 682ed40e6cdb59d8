// What is said to libvirt and, through it, to QEMU's monitor to make, save and fill machines. Every call blocks; any
// thread with a connection of its own or a shared one.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "common/base/result.h"

struct _virConnect;

namespace hearth::executor {

// Commands sent to monitors by hearth itself; libvirt's own come on top.
using MonitorCount = std::atomic<std::int64_t>;

// How long QEMU may take to write a machine's state beside its memory.
constexpr std::int64_t kSaveWithinMs = 30'000;

// Starts a transient domain. kInternal: libvirt or QEMU refused, with their words.
Result<void> CreateDomain(_virConnect* connection, const std::string& xml);
// Ends it at once. A domain that does not exist is success.
Result<void> DestroyDomain(_virConnect* connection, const std::string& name);

// Writes the state of a running machine, without its shared memory, into `descriptor`; it stops running.
Result<void> SaveState(_virConnect* connection, const std::string& name, int descriptor, MonitorCount& count);
// Gives a shell the state that it will be filled from: `descriptor` is passed on and may be closed.
Result<void> OfferState(_virConnect* connection, const std::string& name, int descriptor, MonitorCount& count);
// Fills the shell from the state that it was offered; the machine runs on from where it was saved. One command.
Result<void> ActivateShell(_virConnect* connection, const std::string& name, MonitorCount& count);

// libvirt's own save image, in `path`. The domain is gone afterwards.
Result<void> SaveDomain(_virConnect* connection, const std::string& name, const std::string& path);
Result<void> RestoreDomain(_virConnect* connection, const std::string& path);

// The versions of QEMU and libvirt as "7002022" and "9000000".
Result<std::string> EmulatorVersion(_virConnect* connection);
std::string LibvirtVersion(_virConnect* connection);

// The last error of this thread, in libvirt's words.
std::string LastLibvirtError();
int LastLibvirtCode();

}  // namespace hearth::executor
