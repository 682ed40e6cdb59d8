// One machine or shell of a fleet. Of fleet.cc and fleet_shells.cc alone.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "executor/machines/fleet.h"

namespace hearth::executor {

struct Fleet::Machine {
  MachineId machine_id;           // of a shell: its own
  std::shared_ptr<MachineId> id;  // the same, for callbacks that were made before a shell became a machine
  std::string domain;
  std::string profile;
  std::uint32_t slot = 0;
  std::optional<MachineAccount> account;
  std::string folder;
  std::shared_ptr<MachineStarter> owned;  // keeps the starter while the machine needs it; may be null
  MachineStarter* starter = nullptr;
  std::optional<Watch> watch;  // not the core's
  std::unique_ptr<GuestLink> link;
  std::unique_ptr<Timer> retry;  // of the destroy call
  std::unique_ptr<Timer> mark;   // until libvirt is told whose it is
  std::unique_ptr<Timer> clock;  // greets again; then the time for warming up
  std::optional<guest::Hello> hello;
  bool shell = false;     // nobody's machine yet
  bool asked = false;     // its starter was: what fails before says nothing of the way
  bool creating = false;  // libvirt has not answered the start yet
  bool created = false;   // it has, with success
  bool warm_up = false;   // wanted before it is ready
  bool warming = false;
  bool greeting = false;
  bool ready = false;  // HELLO came, and it is warm where that was wanted
  bool removing = false;
  std::string fault;           // the link was lost while libvirt still owed its answer, which says more
  bool destroy_asked = false;  // Destroy was called: owes the answer
};

}  // namespace hearth::executor
