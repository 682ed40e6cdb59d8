// The folders that an executor works in, and the lock that keeps a second one out of them.
#pragma once

#include <string>

#include "common/base/fd.h"
#include "common/base/result.h"
#include "executor/config.h"

namespace hearth::executor {

// True where QEMU runs under an account of its own for each machine: we are root, and libvirt is there and the
// system's.
bool MachinesHaveAccounts(const Config& config);

// Makes run_dir (passable for the machines' accounts, readable for nobody else) and state_dir, and takes the lock,
// which holds until its descriptor is closed. kUnavailable: a folder cannot be made, or another process holds the lock;
// kInvalid: run_dir cannot be reached by the machines' accounts.
Result<Fd> PrepareFolders(const Config& config);

// What machines of an earlier life left in run_dir.
void RemoveMachineFolders(const std::string& run_dir);

}  // namespace hearth::executor
