// Gives attempts their containers: an idle one at once, else the first rung of the ladder (choose.h) that holds. It
// owns nothing, and decides over what the owners of attempts, machines, code and pools say.
#pragma once

#include <cstdint>
#include <vector>

#include "executor/core/attempts.h"
#include "executor/core/choose.h"
#include "executor/core/code_cache.h"
#include "executor/core/context.h"
#include "executor/core/machines.h"
#include "executor/core/pools.h"
#include "executor/core/registry.h"

namespace hearth::executor {

class Scheduler {
 public:
  Scheduler(Context& context, const Registry& registry, Attempts& attempts, Machines& machines, CodeCache& codes,
            Pools& pools)
      : context_(context),
        registry_(registry),
        attempts_(attempts),
        machines_(machines),
        codes_(codes),
        pools_(pools) {}

  // The warm way: runs the attempt in an idle container of its function. False where there is none.
  [[nodiscard]] bool RunWarm(Attempt& attempt);
  // Gives those that wait what can be given now. Says whose attempt waits for a machine that cannot be started yet.
  [[nodiscard]] Starved Schedule();
  // A container of the function is idle, or is once its check is over, and nobody waits for it yet.
  [[nodiscard]] bool HasWarm(const FunctionVersion& function) const;
  // A container for the function could be given or begun now: in a machine of the user, or one of the pool.
  [[nodiscard]] bool MayPlaceAtOnce(const Function& function) const;
  // A container became idle: the oldest attempt that can use it runs in it, waiting or promised another one.
  void Serve(Machine& machine, Container& container);
  // Runs the attempt in an idle container.
  void Run(Attempt& attempt, Machine& machine, Container& container, StartPath path);
  // The code that the attempts wait for is in the machine: their containers are made.
  void Create(Machine& machine, const std::vector<AttemptKey>& attempts);

 private:
  // Gives the attempt a container, made or promised, or notes what it waits for. Answers as Schedule. `awaited_mib` is
  // the room in machines of the profile that start for the user. The attempt takes its share of it.
  [[nodiscard]] Starved Place(Attempt& attempt, std::size_t profile, std::int32_t& awaited_mib);
  // A container of its function is free once its check is over, and nobody has waited for it longer.
  [[nodiscard]] bool WaitsForCheck(const Attempt& attempt) const;
  void Promise(Attempt& attempt, Machine& machine, StartPath path);  // a container that is made for it
  void CountArrival(Attempt& attempt, std::size_t profile);

  // What the ladder decides by.
  [[nodiscard]] std::vector<OwnMachine> OwnMachines(const Function& function, std::size_t profile) const;
  // The user has a machine of the profile that serves the function, or one that starts.
  [[nodiscard]] bool Holds(const Function& function, std::size_t profile, const std::vector<OwnMachine>& own) const;
  [[nodiscard]] House DescribeHouse(const Function& function, std::size_t profile, bool holds,
                                    std::int64_t accepted_us) const;
  [[nodiscard]] std::int32_t AwaitedMib(const UserId& user, std::size_t profile) const;

  Context& context_;
  const Registry& registry_;
  Attempts& attempts_;
  Machines& machines_;
  CodeCache& codes_;
  Pools& pools_;
};

}  // namespace hearth::executor
