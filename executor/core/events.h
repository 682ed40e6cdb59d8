// What happens to the executor, as its shell tells the core.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "schemas/function.h"
#include "schemas/guest.h"
#include "schemas/link.h"
#include "schemas/result.h"

namespace hearth::executor {

// A connection from a dispatcher, numbered by the shell; never re-used.
using LinkId = std::uint64_t;

// The dispatcher's hello was read.
struct DispatcherConnected {
  LinkId link = 0;
  DispatcherId dispatcher;
};
struct DispatcherDisconnected {
  LinkId link = 0;
};
struct DispatcherMessage {
  LinkId link = 0;
  link::Message message;
};
// The agent said Hello on the machine's link; `path` is how the machine was made (kRestore or kBoot).
struct MachineReady {
  MachineId machine;
  StartPath path = StartPath::kBoot;
  guest::Hello hello;
};
// The machine could not be started.
struct MachineFailed {
  MachineId machine;
  std::string reason;
};
// The machine's link or process has ended, or its agent lied.
struct MachineLost {
  MachineId machine;
  std::string reason;
};
// Answer to DestroyMachine.
struct MachineDestroyed {
  MachineId machine;
};
struct ShellsChanged {
  std::string profile;
  std::int32_t ready = 0;  // each turns a StartMachine into a restore
};
// What the host has left, measured every second or so.
struct HostPressure {
  std::int32_t memory_available_mib = 0;
  std::int32_t cpu_busy_ppm = 0;  // of all processors together
};
// Machines of the profile are made from another image or template from now on: those in the pool are replaced.
struct ImageChanged {
  std::string profile;
  std::string image;  // its hash
};
// How much of a profile to hold from now on.
struct PoolChanged {
  std::string profile;
  std::int32_t min = 0, max = 0, shells = 0;
};
struct GuestMessage {
  MachineId machine;
  guest::Frame frame;
};
// Answer to LoadCode; empty error: `bytes` holds the archive, hash already verified.
struct CodeLoaded {
  UserId user;
  CodeHash hash;
  std::shared_ptr<const std::string> bytes;
  std::string error;
};
// Answer to SendArchive: all of it is on its way to the machine, in order before whatever is sent from now on.
struct ArchiveSent {
  MachineId machine;
  CodeHash hash;
};
struct PublishFinished {
  std::uint64_t token = 0;
  bool ok = false;
  std::string error;
  bool purged = false;                         // taken back before it was sent, as PurgePublishes asked
  bool permanent = false;                      // it can never be written as it is
  std::int64_t offset = link::kNoReplyOffset;  // in its partition, where that is known
};
struct FunctionUpdated {
  std::shared_ptr<const Function> function;
};
struct FunctionRemoved {
  UserId user;
  FunctionName name;
};
// All that the registry held at the start was told.
struct FunctionsCaughtUp {};
struct DrainRequested {};
// Comes at least every 50 ms.
struct Tick {};

using Event = std::variant<DispatcherConnected, DispatcherDisconnected, DispatcherMessage, MachineReady, MachineFailed,
                           MachineLost, MachineDestroyed, ShellsChanged, HostPressure, ImageChanged, PoolChanged,
                           GuestMessage, CodeLoaded, ArchiveSent, PublishFinished, FunctionUpdated, FunctionRemoved,
                           FunctionsCaughtUp, DrainRequested, Tick>;

}  // namespace hearth::executor
