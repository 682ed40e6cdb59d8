// What is found of machines without a search: by name, by user, by profile, by function, by time. A step costs the same
// with ten machines and with a thousand because of it.
//
// Everything here follows from the machines themselves: an index that is made anew by Insert of each machine is equal
// to the one that was kept up to date. Machines (machines.h) keeps it, and gives it out to be read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "executor/core/machine.h"

namespace hearth::executor {

class MachineIndex {
 public:
  using Numbers = std::set<std::uint64_t>;
  using Quiet = std::set<std::pair<std::int64_t, std::uint64_t>>;  // since when, and the machine's number
  struct Place {
    std::uint64_t machine = 0;
    std::uint32_t container = 0;  // 0: the machine itself
    friend auto operator<=>(const Place&, const Place&) = default;
  };

  explicit MachineIndex(std::size_t profiles) : profiles_(profiles) {}

  // A machine comes, with all that is in it, and goes.
  void Insert(const Machine& machine);
  void Erase(const Machine& machine);
  // The state, the user or the intended user of the machine changes: Leave before, Enter after.
  void Leave(const Machine& machine) { Count(machine, -1); }
  void Enter(const Machine& machine) { Count(machine, +1); }
  // An idle container enters the line of its function, and leaves it.
  void Enter(const Machine& machine, const Container& container);
  void Leave(const Container& container);
  // One whose run has ended enters the check, and leaves it.
  void EnterCheck(const Container& container) { ++lines_[container.function()].checking; }
  void LeaveCheck(const Container& container);
  // A time moves; where there is none, `from` or `to` is 0, and −1 for MoveQuiet.
  void MoveDue(Place place, std::int64_t from_us, std::int64_t to_us);
  void MovePing(std::uint64_t machine, std::int64_t from_us, std::int64_t to_us);
  void MoveQuiet(const Machine& machine, std::int64_t from_us, std::int64_t to_us);

  [[nodiscard]] std::uint64_t NumberOf(const MachineId& id) const;  // 0 where it is unknown
  // Of a profile, meant for nobody: warm ones, and those that are still starting. The oldest is first.
  [[nodiscard]] const Numbers& Warm(std::size_t profile) const { return profiles_[profile].warm; }
  [[nodiscard]] const Numbers& Starting(std::size_t profile) const { return profiles_[profile].starting; }
  [[nodiscard]] std::int32_t Assigned(std::size_t profile) const { return profiles_[profile].assigned; }
  // Of a user: assigned ones; creating or warm ones that are meant for the user; how many of these are creating.
  [[nodiscard]] const Numbers& AssignedTo(const UserId& user) const { return HoldingOf(user).assigned; }
  [[nodiscard]] const Numbers& ComingFor(const UserId& user) const { return HoldingOf(user).coming; }
  [[nodiscard]] std::int32_t StartingFor(const UserId& user) const { return HoldingOf(user).starting; }
  // The container that became idle last: its caches are warm, and the others may expire.
  [[nodiscard]] std::optional<Place> LastIdle(const FunctionVersion& function) const;
  // Containers of the function that are being checked after a run.
  [[nodiscard]] std::int32_t Checking(const FunctionVersion& function) const;
  // What may be due first, and when it has to be looked at.
  [[nodiscard]] const std::set<std::pair<std::int64_t, Place>>& due() const { return due_; }
  [[nodiscard]] const std::set<std::pair<std::int64_t, std::uint64_t>>& pings() const { return pings_; }
  // Assigned machines in which nothing is going on, the longest quiet first.
  [[nodiscard]] const Quiet& quiet() const { return quiet_; }
  // Of these, the ones of users who have several assigned machines.
  [[nodiscard]] const Quiet& quiet_of_several() const { return quiet_of_several_; }
  // Machines that start: by a boot or for a pool; by a shell for a request.
  [[nodiscard]] std::int32_t starting() const { return starting_; }
  [[nodiscard]] std::int32_t activating() const { return activating_; }
  [[nodiscard]] std::int32_t used_mib() const { return used_mib_; }        // by all machines
  [[nodiscard]] std::int32_t freeing_mib() const { return freeing_mib_; }  // of that, by those that are going
  [[nodiscard]] std::size_t size() const;                                  // entries: what would leak

  friend bool operator==(const MachineIndex&, const MachineIndex&) = default;

 private:
  struct ProfileLines {
    Numbers warm;
    Numbers starting;
    std::int32_t assigned = 0;
    friend bool operator==(const ProfileLines&, const ProfileLines&) = default;
  };
  struct Holding {
    Numbers assigned;
    Numbers coming;
    Quiet quiet;
    std::int32_t starting = 0;
    [[nodiscard]] bool several() const { return assigned.size() > 1; }
    friend bool operator==(const Holding&, const Holding&) = default;
  };

  struct Line {                           // the containers of a function
    std::map<std::uint64_t, Place> idle;  // by the order of becoming idle
    std::int32_t checking = 0;
    friend bool operator==(const Line&, const Line&) = default;
  };
  using Lines = std::map<FunctionVersion, Line>;

  void EraseIfEmpty(Lines::iterator line);
  void Count(const Machine& machine, int sign);
  void CountFor(const UserId& user, const Machine& machine, int sign);
  [[nodiscard]] const Holding& HoldingOf(const UserId& user) const;

  std::vector<ProfileLines> profiles_;
  std::map<UserId, Holding> holdings_;
  std::map<MachineId, std::uint64_t> numbers_;
  Lines lines_;
  std::set<std::pair<std::int64_t, Place>> due_;
  std::set<std::pair<std::int64_t, std::uint64_t>> pings_;
  Quiet quiet_;
  Quiet quiet_of_several_;
  std::int32_t starting_ = 0;
  std::int32_t activating_ = 0;
  std::int32_t used_mib_ = 0;
  std::int32_t freeing_mib_ = 0;
};

}  // namespace hearth::executor
