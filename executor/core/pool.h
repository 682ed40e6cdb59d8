// How many unassigned machines of a profile to hold, and which to start next. Pure; time is an argument.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/time.h"

namespace hearth::executor {

constexpr double kPoolPercentile = 0.99;          // of the requests shall find a machine in the pool
constexpr std::int32_t kMaxPool = 1000;           // machines, or shells, of one profile
constexpr std::int64_t kPoolAgeMs = 60 * 60'000;  // then an unassigned machine is replaced, ± 10 %
constexpr std::int64_t kSurplusMs = 60'000;       // a pool above its target for so long gives up its oldest machine
constexpr std::int64_t kStartBackoffMinMs = 200;  // after a start that failed, doubling
constexpr std::int64_t kStartBackoffMaxMs = 10'000;
constexpr std::int32_t kStartFailuresGiveUp = 3;  // in a row: those who wait for a machine are told
constexpr std::int32_t kShellMib = 24;            // what a shell that waits costs the host
constexpr std::int64_t kRefillHeldMs = 5'000;     // so long refill leaves the last shells to requests, then takes one
// So long nothing has gone on in a machine that is given up for the minimum of a pool: one whose user has others
// besides, and a user's only one. Whoever uses a machine more often than that keeps it.
constexpr std::int64_t kSeveralIdleMs = 1'000;
constexpr std::int64_t kOnlyIdleMs = 10'000;
constexpr std::int32_t kKeptShare = 2;  // minimums are kept against users' machines within memory ÷ kKeptShare

// Of the shells that wait, those that only requests may take: half of what is to be held.
[[nodiscard]] constexpr std::int32_t ShellsForRequests(std::int32_t wanted) {
  return wanted / 2;
}

// What is asked of one profile's pool: requests that needed a machine, seen through windows of 10 s, 1 min and 10 min
// and the same quarter of an hour on earlier days; invocations that still wait for a place; and how long machines take.
// Measured on the monotonic clock. The wall clock only says which quarter it is: where it jumps, another quarter's
// experience is used, and what was counted across a jump is left out.
class PoolDemand {
 public:
  void Arrived(Time now);
  void Refilled(std::int64_t took_us);  // from the order to a machine that is ready in the pool
  void SetBacklog(std::int64_t waiting) { backlog_ = waiting; }
  // Requests expected in a second: the largest of what the windows and the earlier days say.
  [[nodiscard]] double Rate(Time now);
  // Within [min, max]: what covers the requests expected within one refill time at kPoolPercentile, and the backlog.
  [[nodiscard]] std::int32_t Target(std::int32_t min, std::int32_t max, Time now);
  [[nodiscard]] std::int64_t refill_us() const { return refill_us_; }
  [[nodiscard]] std::int64_t backlog() const { return backlog_; }

 private:
  static constexpr std::size_t kSeconds = 600;
  static constexpr std::size_t kQuarters = 96;
  struct Window {
    std::size_t seconds;
    std::int64_t count = 0;
  };
  void Advance(Time now);
  void TurnTo(std::size_t quarter, std::int64_t mono_us);

  std::array<std::int32_t, kSeconds> by_second_{};
  std::array<Window, 3> windows_{Window{10}, Window{60}, Window{kSeconds}};
  std::int64_t second_ = -1;                    // the one that is counted now
  std::array<double, kQuarters> by_quarter_{};  // requests in a second, averaged over days; −1 where nothing is known
  bool quarters_known_ = false;
  std::size_t quarter_ = 0;
  std::int64_t quarter_since_us_ = 0;
  std::int64_t quarter_count_ = 0;
  std::int64_t refill_us_ = 0;  // moving average
  std::int64_t backlog_ = 0;
};

// A moving average over about eight values.
[[nodiscard]] constexpr std::int64_t Average(std::int64_t before, std::int64_t value) {
  return before == 0 ? value : (before * 7 + value) / 8;
}

// What a pool wants to hold at least.
struct PoolMinimum {
  std::int32_t machines = 0;
  std::int32_t machine_mib = 0;
};

// How many machines of each profile are kept for users who have none: the minimums, one profile after the other, as far
// as memory ÷ kKeptShare goes.
[[nodiscard]] std::vector<std::int32_t> KeptMachines(const std::vector<PoolMinimum>& minimums, std::int32_t memory_mib);

struct PoolView {
  std::int32_t target = 0;
  std::int32_t ready = 0;
  std::int32_t starting = 0;  // meant for the pool: without those that waiting attempts will take
  std::int32_t machine_mib = 0;
  std::int32_t startable = kMaxPool;  // 0 in back-off, or where the shells are left to requests
};

// The profiles (by index) to start a machine of, in order: the emptiest pool first, within `slots` further concurrent
// starts and `free_mib` of memory.
[[nodiscard]] std::vector<std::size_t> PlanRefill(std::vector<PoolView> pools, std::int32_t slots,
                                                  std::int32_t free_mib);

// The wait after `failures` failed starts in a row.
[[nodiscard]] std::int64_t StartBackoffMs(std::int32_t failures);
// How long the next start may take after them: twice as long each time, up to kMaxStartStretch times `first_ms`. A host
// that is busy for a while is slow at every start, and would otherwise break off one after the other.
constexpr std::int32_t kMaxStartStretch = 4;
[[nodiscard]] std::int64_t StartLimitMs(std::int64_t first_ms, std::int32_t failures);

// Whether the host is short of memory or CPU, by thresholds with a distance between on and off.
class Shortage {
 public:
  static constexpr std::int32_t kMemoryShortMib = 256;
  static constexpr std::int32_t kMemoryFineMib = 512;
  static constexpr std::int32_t kCpuShortPpm = 950'000;
  static constexpr std::int32_t kCpuFinePpm = 850'000;

  void Update(std::int32_t memory_available_mib, std::int32_t cpu_busy_ppm);
  [[nodiscard]] bool memory() const { return memory_; }
  [[nodiscard]] bool cpu() const { return cpu_; }

 private:
  bool memory_ = false;
  bool cpu_ = false;
};

}  // namespace hearth::executor
