// The control groups that give every user of this host an equal share of its processors, however many machines each
// has:
//
//   the executor's own group ── hearth-EXECUTOR-PID ─┬─ pool           machines that are nobody's: a small weight
//                                                    └─ u-USER ── m-…  one weight for all machines of a user
//
// Version 2, or version 1 with `cpu`; there the memory of machines is bounded in groups m-… of the `memory` hierarchy,
// where that can be written. libvirt has put a machine into a group of its own before, which has the weight of a whole
// user: it is taken out of that one. A libvirtd that is started anew does not take that group for its own any more and
// leaves it: it goes here with its machine. Blocks for as long as writing small files takes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "executor/control_groups.h"

namespace hearth::executor {

constexpr std::int32_t kUserWeight = 100;    // version 2; version 1 counts in parts of 1024
constexpr std::int32_t kPoolWeight = 25;     // of machines that are nobody's, together
constexpr std::int32_t kQemuExtraMib = 256;  // what QEMU may take beside the machine's own memory

class ShareGroups {
 public:
  // `own`: where this process, `self`, is. What earlier lives have left is removed. kUnavailable: why groups cannot be
  // written.
  static Result<ShareGroups> Make(const ExecutorId& executor, const ControlGroups& own, pid_t self);
  ShareGroups(ShareGroups&&) = default;
  ShareGroups& operator=(ShareGroups&&) = default;
  ~ShareGroups();  // removes what is empty

  // The process of a machine that is nobody's.
  Result<void> TakeIn(pid_t process, const MachineId& machine);
  // The machine is the user's from now on.
  Result<void> Assign(pid_t process, const UserId& user, const MachineId& machine, std::int32_t memory_mib);
  // The machine is no more: its groups go, and with the last one those of its user.
  void Forget(const MachineId& machine);

  [[nodiscard]] const std::string& folder() const { return cpu_.folder; }
  [[nodiscard]] bool bounds_memory() const { return unified_memory_ || memory_.has_value(); }

 private:
  struct Tree {
    std::string folder;  // hearth-EXECUTOR-PID
    bool unified = false;
  };
  ShareGroups() = default;
  static Result<void> Enable(const GroupFolder& own, const Tree& tree, pid_t self, bool& memory);
  [[nodiscard]] std::string UserFolder(const UserId& user) const;
  [[nodiscard]] std::optional<std::string> MemoryFolder(const UserId& user, const MachineId& machine) const;
  void RemoveLater(std::string folder);
  void NoteLibvirts(pid_t process, const MachineId& machine);
  void RemoveLibvirts(const std::string& path) const;

  Tree cpu_;
  bool unified_memory_ = false;
  std::optional<Tree> memory_;                 // version 1
  std::vector<std::string> hierarchies_;       // where libvirt makes groups
  std::map<MachineId, std::string> libvirts_;  // its group of each machine, in all of them
  std::map<MachineId, UserId> machines_;
  std::map<UserId, std::int32_t> users_;  // and how many machines each has
  std::set<std::string> empty_;           // groups that go as soon as the system lets them
};

}  // namespace hearth::executor
