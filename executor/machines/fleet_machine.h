// One machine or shell of a fleet. Of the fleet's own files alone.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "executor/machines/fleet.h"
#include "executor/machines/machine_stage.h"
#include "executor/machines/process.h"

namespace hearth::executor {

class Fleet::Machine {
 public:
  MachineId machine_id;           // of a shell: its own
  std::shared_ptr<MachineId> id;  // the same, for callbacks that were made before a shell became a machine
  std::string domain;
  std::string profile;
  std::int32_t memory_mib = 0;
  UserId user;  // empty: nobody's
  std::int32_t rank = 0;
  std::uint32_t slot = 0;
  std::optional<MachineAccount> account;
  std::string folder;
  std::shared_ptr<MachineStarter> owned;  // keeps the starter while the machine needs it; may be null
  MachineStarter* starter = nullptr;
  std::optional<Watch> watch;  // not the core's
  std::unique_ptr<GuestLink> link;
  Process process;               // QEMU, once it has connected
  std::unique_ptr<Timer> retry;  // of the destroy call
  std::unique_ptr<Timer> mark;   // until libvirt is told whose it is
  std::unique_ptr<Timer> clock;  // greets again; then the time for warming up
  std::optional<guest::Hello> hello;
  bool shell = false;          // nobody's machine yet
  bool warm_up = false;        // wanted before it is ready
  bool answer_owed = false;    // libvirt was told to make or to fill it, and has not answered
  bool destroy_asked = false;  // Destroy was called: owes the answer
  std::string fault;           // the link was lost while libvirt still owed its answer, which says more

  [[nodiscard]] MachineStage stage() const { return stage_; }
  [[nodiscard]] bool removing() const { return stage_ == MachineStage::kRemoving; }
  // The only way from stage to stage. A move that CanMove refuses is a fault of ours and aborts.
  void Move(MachineStage to);
  // libvirt has said that the domain is there.
  [[nodiscard]] bool confirmed() const;
  // Its agent has been asleep since it was saved, and says HELLO only when it is greeted.
  [[nodiscard]] bool awaits_greeting() const {
    return stage_ == MachineStage::kGreeting && starter->path() == StartPath::kRestore;
  }

 private:
  MachineStage stage_ = MachineStage::kPreparing;
};

}  // namespace hearth::executor
