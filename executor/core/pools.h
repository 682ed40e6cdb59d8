// The pools: how many machines of each profile are held ahead of the requests, and how many shells behind them. Pools
// is the only one who orders a start.
//
// It holds at any time:
// - what refills a pool starts within Settings::concurrent_starts, and only while no request of a user without a
// machine
//   waits for a start; while one of another user waits, only up to what is kept;
// - of the minimums so many machines as KeptMachines says are kept against users who have a machine already: their room
//   is free, or is being reclaimed from what is idle, before anybody asks for one;
// - after a start that failed nothing of the profile is started until its back-off is over;
// - of the shells that wait, half of what is to be held is left to requests;
// - a pool that holds too much, or what is outdated, gives up one machine in a step at most.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "executor/core/choose.h"
#include "executor/core/context.h"
#include "executor/core/machines.h"
#include "executor/core/pool.h"
#include "schemas/link.h"
#include "schemas/pool_status.h"

namespace hearth::executor {

constexpr std::int64_t kShellWaitMs = 1000;  // so long an attempt waits for a shell before a machine is booted for it
// Whose request waits for a machine that cannot be started yet. Refill yields to it.
enum class Starved : std::uint8_t { kNobody, kHolder, kNewcomer };
constexpr std::int64_t kShellsTrustMs = 30'000;  // shells that were there so lately will come again

class Pools {
 public:
  Pools(Context& context, Machines& machines);

  // ---- What the pools are told.
  void SetShells(const ShellsChanged& event);  // that wait
  void SetImage(const ImageChanged& event);
  void Resize(const PoolChanged& event);
  // One machine is given up for each report of a host that is short of memory: what it gives back shows in the next.
  void SetPressure(const HostPressure& event);
  // What waits at a dispatcher without a place. Forgotten with its connection.
  void SetBacklog(LinkId link, const link::Demand& demand);
  void ForgetBacklog(LinkId link);
  // A request came that no machine of its user could take.
  void Arrived(std::size_t profile) { pools_[profile].demand.Arrived(context_.now()); }
  // A machine that is still creating has proved these runtimes.
  void Started(const Machine& machine, StartPath path, const std::set<Runtime>& runtimes);
  // A start of the profile failed. True: so many have failed in a row that those who wait for one should be told.
  [[nodiscard]] bool StartFailed(std::size_t profile);

  // ---- What the pools decide.
  // Starts a machine for the user, or for the pool where `meant_for` is empty: from a shell where one waits.
  void Start(std::size_t profile, const UserId& meant_for);
  // At the end of a step: brings pools and shells nearer to their targets.
  void Refill(Starved starved);

  // ---- What others decide by.
  // What the ladder has to know of the profile for an attempt of the user that was accepted at `accepted_us`. `holds`:
  // the user has a machine of the profile, and leaves to others what is kept. Not in it: machines that are ready,
  // machines that could be given up, and room in those that start for the user.
  [[nodiscard]] House Describe(std::size_t profile, const UserId& user, bool holds, std::int64_t accepted_us) const;
  // A user who has a machine may take one of the pool: what is kept can be made good from free memory.
  [[nodiscard]] bool MaySpare(std::size_t profile) const;
  // What may be given up for a machine of the profile.
  [[nodiscard]] SpareQuery SparesFor(std::size_t profile, bool holds, std::int32_t missing_mib) const;
  // What runs the last machine of the profile that started; true until one has.
  [[nodiscard]] bool Runs(std::size_t profile, Runtime runtime) const;
  [[nodiscard]] std::vector<link::ProfileCapacity> Capacities() const;  // for dispatchers
  [[nodiscard]] std::vector<PoolStatus> Status() const;                 // for people
  [[nodiscard]] bool memory_short() const { return shortage_.memory(); }
  [[nodiscard]] bool cpu_short() const { return shortage_.cpu(); }

 private:
  struct Pool {
    Profile profile;  // its numbers of machines and shells are those that were set last
    PoolDemand demand;
    std::string image;
    std::set<Runtime> runtimes;  // as the last machine said; empty: none has said yet
    std::int32_t failures = 0;   // of starts, in a row
    std::int64_t may_start_us = 0;
    std::int32_t shells = 0;                      // that wait
    std::int32_t shells_asked = 0;                // by the last KeepShells
    std::int64_t shells_seen_us = INT64_MIN / 2;  // when some waited last
    std::int64_t held_since_us = 0;               // refill leaves the shells to requests; 0: it does not
    std::int64_t surplus_since_us = 0;            // the pool is above its target; 0: it is not
    std::int64_t restore_us = 0, boot_us = 0;     // averages of starts for requests
  };

  [[nodiscard]] Pool* Find(const std::string& profile);
  void SumBacklog();
  [[nodiscard]] std::vector<std::int32_t> Kept() const;  // machines, by profile
  // Memory of the machines that pools lack of what they keep.
  [[nodiscard]] std::int32_t OwedMib() const;
  [[nodiscard]] std::int32_t Lacks(std::size_t profile, std::int32_t kept) const;
  void Reclaim(const std::vector<std::int32_t>& kept);
  void KeepEnoughShells();
  void Shrink(std::size_t profile, std::int32_t target);
  [[nodiscard]] PoolView View(std::size_t profile, std::int32_t target);
  [[nodiscard]] bool IsOutdated(const Machine& machine) const;
  // Machines of the pool's profile come from shells here: some waited lately.
  [[nodiscard]] bool ShellsComeAndGo(const Pool& pool) const;

  Context& context_;
  Machines& machines_;
  std::vector<Pool> pools_;                                         // by profile
  std::map<LinkId, std::map<std::string, std::int64_t>> backlogs_;  // of each connection, by profile
  Shortage shortage_;
};

}  // namespace hearth::executor
