// How users share the processors of a host: by control groups (share_groups.h) where they can be written, else by nice
// values (nice.h). It is done when a machine is assigned, and never on the way of an invocation. The loop's thread
// calls; what blocks is done on a thread of its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "executor/machines/share_groups.h"
#include "executor/worker.h"

namespace hearth::executor {

constexpr std::size_t kMaxSharesQueued = 4096;

enum class SharesChoice : std::uint8_t { kAuto, kNice, kNone };

class Shares {
 public:
  // Which of them is in force, and why no better one: for people. From any thread.
  using Told = std::function<void(const std::string&)>;

  // Prepares the groups, where they are wanted. `told` is called from inside and whenever the answer changes.
  Shares(SharesChoice choice, const ExecutorId& executor, const ControlGroups& own, Told told);
  Shares(const Shares&) = delete;
  Shares& operator=(const Shares&) = delete;

  // A machine that is nobody's: libvirt has made its process, and moves it no more.
  void TakeIn(pid_t process, const MachineId& machine);
  // It is the user's from now on, who has `rank` machines before it.
  void Assign(pid_t process, const UserId& user, const MachineId& machine, std::int32_t rank, std::int32_t memory_mib);
  void Forget(const MachineId& machine);

 private:
  // Makes the groups, where they are wanted. Returns what is in force.
  std::string Prepare(const ExecutorId& executor, const ControlGroups& own);
  void Nice(pid_t process, std::int32_t rank);
  void Say(const std::string& what);
  void Judge(const Result<void>& result);

  const SharesChoice choice_;
  const Told told_;
  std::optional<ShareGroups> groups_;  // the worker's from here on
  std::string group_of_first_;         // of the first machine with a nice value
  std::string why_nice_;
  std::string said_;
  Worker worker_{"shares", 1, kMaxSharesQueued};  // the last member: it ends first
};

}  // namespace hearth::executor
