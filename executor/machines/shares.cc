#include "executor/machines/shares.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "executor/machines/nice.h"

namespace hearth::executor {

Shares::Shares(SharesChoice choice, const ExecutorId& executor, const ControlGroups& own, Told told)
    : choice_(choice), told_(std::move(told)) {
  Say(Prepare(executor, own));
}

std::string Shares::Prepare(const ExecutorId& executor, const ControlGroups& own) {
  if (choice_ == SharesChoice::kNone) return "none: machines.shares says so";
  why_nice_ = "machines.shares says so";
  if (choice_ == SharesChoice::kAuto) {
    auto groups = ShareGroups::Make(executor, own, getpid());
    if (groups) {
      groups_.emplace(std::move(*groups));
      return fmt::format("control groups: every user's machines have one weight, in {}{}", groups_->folder(),
                         groups_->bounds_memory() ? "" : "; the memory of machines is not bounded there");
    }
    why_nice_ = groups.error().message;
  }
  return fmt::format("nice values: a user's further machines weigh less; no control groups: {}", why_nice_);
}

void Shares::Say(const std::string& what) {
  if (what != std::exchange(said_, what)) told_(what);
}

void Shares::Judge(const Result<void>& result) {
  if (!result && result.error().code != Code::kNotFound) Say("none for some machines: " + result.error().message);
}

void Shares::TakeIn(pid_t process, const MachineId& machine) {
  if (!groups_) return;
  (void)worker_.Post(
      [this, process, machine] { (void)groups_->TakeIn(process, machine); });  // one that is gone needs no share
}

void Shares::Assign(pid_t process, const UserId& user, const MachineId& machine, std::int32_t rank,
                    std::int32_t memory_mib) {
  if (choice_ == SharesChoice::kNone) return;
  const bool posted = worker_.Post([this, process, user, machine, rank, memory_mib] {
    if (!groups_) return Nice(process, rank);
    auto assigned = groups_->Assign(process, user, machine, memory_mib);
    if (!assigned && kill(process, 0) != 0) return;  // it is gone
    Judge(assigned);
  });
  if (!posted) told_("none for some machines: too many wait");
}

void Shares::Forget(const MachineId& machine) {
  if (groups_) (void)worker_.Post([this, machine] { groups_->Forget(machine); });
}

// Nice values count only among processes that one group holds. Where libvirt gives each machine a group of its own they
// say nothing, and that is told.
void Shares::Nice(pid_t process, std::int32_t rank) {
  const std::string group = ProcessorGroupOf(process);
  if (group_of_first_.empty()) {
    group_of_first_ = group;
  } else if (!group.empty() && group != group_of_first_) {
    return Say(
        fmt::format("none: libvirt gives each machine a control group of its own ({}), which nice values do not "
                    "reach; no control groups: {}",
                    group, why_nice_));
  }
  if (rank > 0) Judge(RaiseNice(process, NiceOf(rank)));
}

}  // namespace hearth::executor
