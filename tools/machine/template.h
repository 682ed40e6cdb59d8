// A template by hand, without libvirt: a machine that booted once and was saved, RAM on tmpfs and the rest as a small
// state, and shells that map the RAM copy on write and are filled from the state. Blocks; one thread.
#pragma once

#include <memory>
#include <string>

#include "common/base/result.h"
#include "tools/machine/machine.h"

namespace hearth::guest {

class MachineTemplate {
 public:
  // Boots a machine of the image, waits for its HELLO, saves it into a folder of its own on tmpfs, and ends it.
  static Result<std::unique_ptr<MachineTemplate>> Save(const std::string& image, std::int32_t memory_mib = 512);
  ~MachineTemplate();  // removes the folder: no shell can be made or filled any more
  MachineTemplate(const MachineTemplate&) = delete;
  MachineTemplate& operator=(const MachineTemplate&) = delete;

  // A QEMU that waits, connected to its link and its monitor.
  [[nodiscard]] Result<std::unique_ptr<Machine>> MakeShell() const;
  // Has the shell load the state. The agent goes on where the template's stood: it answers from here on, and says
  // Hello again when it is greeted. Does not wait for either; Qmp::AwaitMigration tells of a failure.
  [[nodiscard]] Result<void> Activate(Machine& shell) const;
  // What the template said of itself; every clone's boot nonce is the same.
  [[nodiscard]] const Hello& hello() const { return hello_; }

 private:
  MachineTemplate() = default;

  std::string folder_;
  MachineOptions options_;  // of a shell
  Hello hello_;
};

}  // namespace hearth::guest
