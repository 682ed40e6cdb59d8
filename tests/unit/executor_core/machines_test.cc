// Machines by themselves: what they keep at any time, whatever is done to them.
#include "executor/core/machines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

#include "executor/core/pool.h"
#include "tests/unit/executor_core/recount.h"

namespace hearth::executor {
namespace {

Settings TwoProfiles() {
  Settings settings;
  settings.id = ExecutorId("ex");
  settings.incarnation = "0123456789abcdef";
  settings.profiles = {Profile{"small", 512, 112, 1, 1, 2, 0}, Profile{"large", 1024, 24, 1, 1, 2, 0}};
  settings.memory_mib = 8192;
  settings.users[UserId("bob")] = UserLimits{1000, 2000, 1};
  return settings;
}

Function FunctionOf(const char* user, const char* name, std::int32_t memory_mib = 100) {
  Function function;
  function.user = UserId(user);
  function.name = FunctionName(name);
  function.version = 1;
  function.code = CodeHash(std::string(64, 'a'));
  function.memory_mib = memory_mib;
  return function;
}

class MachinesTest : public testing::Test {
 protected:
  MachinesTest() : context(TwoProfiles()), machines(context) { context.Begin(Time{1'000'000, 5'000'000}, effects); }
  void Pass(std::int64_t ms) {
    context.Begin(Time{context.now_us() + ms * kMicrosPerMilli, context.now().wall_us + ms * kMicrosPerMilli}, effects);
  }
  AttemptKey Attempt() { return {next_offset++, 1, 1, PartitionId{"t", 0}}; }
  Machine& Warm(std::size_t profile = 0, const UserId& meant_for = UserId()) {
    Machine& machine = machines.Add(profile, meant_for, "image", false, 1000);
    machines.TurnWarm(machine, StartPath::kBoot, {Runtime::kPython3});
    return machine;
  }
  Machine& Assigned(const char* user, std::size_t profile = 0) {
    Machine& machine = Warm(profile);
    machines.Assign(machine, UserId(user));
    return machine;
  }
  Container& Idle(Machine& machine, const Function& function) {
    Container& container = machines.AddContainer(machine, function, Attempt());
    machines.SendCreate(machine, container, function);
    machines.Release(container);
    machines.TurnIdle(machine, container, "created");
    return container;
  }
  std::string Wrong() const { return WhatIsWrong(machines, context.settings()); }
  template <class T>
  int Count() const {
    return static_cast<int>(
        std::ranges::count_if(effects, [](const auto& one) { return std::holds_alternative<T>(one); }));
  }

  std::vector<Effect> effects;
  Context context;
  Machines machines;
  std::int64_t next_offset = 0;
};

TEST_F(MachinesTest, AMachineIsFoundByWhatItIsAndByNothingElse) {
  const MachineIndex& index = machines.index();
  const UserId ada("ada");
  Machine& machine = machines.Add(1, UserId(), "image", false, 1000);
  const auto number = machine.number();
  EXPECT_EQ(machines.Find(machine.id()), &machine);
  EXPECT_TRUE(index.Starting(1).contains(number));
  EXPECT_EQ(index.starting(), 1);
  EXPECT_EQ(index.used_mib(), 1024);
  machines.MeanFor(machine, ada);
  EXPECT_FALSE(index.Starting(1).contains(number));
  EXPECT_TRUE(index.ComingFor(ada).contains(number));
  EXPECT_EQ(index.StartingFor(ada), 1);
  machines.TurnWarm(machine, StartPath::kBoot, {});
  EXPECT_EQ(index.StartingFor(ada), 0);
  EXPECT_EQ(index.starting(), 0);
  EXPECT_TRUE(index.ComingFor(ada).contains(number));
  machines.Unclaim();
  EXPECT_FALSE(index.ComingFor(ada).contains(number));
  EXPECT_TRUE(index.Warm(1).contains(number)) << "the user needs it no more";
  machines.Assign(machine, ada);
  EXPECT_FALSE(index.Warm(1).contains(number));
  EXPECT_TRUE(index.AssignedTo(ada).contains(number));
  EXPECT_EQ(index.Assigned(1), 1);
  machines.Drain(machine, "idle");
  EXPECT_EQ(index.Assigned(1), 0);
  EXPECT_EQ(index.freeing_mib(), 1024);
  EXPECT_EQ(index.used_mib(), 1024) << "until it is confirmed";
  machines.Erase(machine);
  EXPECT_EQ(index.used_mib(), 0);
  EXPECT_EQ(index.size(), 0U);
  EXPECT_EQ(index, MachineIndex(2));
}

TEST_F(MachinesTest, AMachineServesOneUserForItsWholeLife) {
  Machine& machine = Assigned("ada");
  EXPECT_DEATH(machines.Assign(machine, UserId("bob")), "");
  EXPECT_DEATH(machines.AddContainer(machine, FunctionOf("bob", "f"), Attempt()), "");
}

TEST_F(MachinesTest, ContainersAreInAssignedMachinesOnly) {
  EXPECT_DEATH(machines.AddContainer(Warm(), FunctionOf("ada", "f"), Attempt()), "");
}

TEST_F(MachinesTest, WhatAttemptsAreInIsNotDrained) {
  Machine& machine = Assigned("ada");
  machines.AddContainer(machine, FunctionOf("ada", "f"), Attempt());
  EXPECT_DEATH(machines.Drain(machine, "idle"), "");
}

TEST_F(MachinesTest, AnIdleContainerHasNoAttempt) {
  Machine& machine = Assigned("ada");
  Container& container = machines.AddContainer(machine, FunctionOf("ada", "f"), Attempt());
  EXPECT_DEATH(machines.TurnIdle(machine, container, "created"), "");
}

TEST_F(MachinesTest, TheContainerThatBecameIdleLastIsTakenFirst) {
  const Function function = FunctionOf("ada", "f");
  Machine& machine = Assigned("ada");
  Container& one = Idle(machine, function);
  Container& two = Idle(machine, function);
  EXPECT_EQ(machines.FindIdle(VersionOf(function)).second, &two);
  machines.Occupy(machine, two, Attempt(), 1000);
  EXPECT_EQ(machines.FindIdle(VersionOf(function)).second, &one);
  machines.Occupy(machine, one, Attempt(), 1000);
  EXPECT_EQ(machines.FindIdle(VersionOf(function)).second, nullptr);
  machines.Release(one);
  machines.AwaitCheck(machine, one, Usage());
  machines.TurnIdle(machine, one, "ready");
  EXPECT_EQ(machines.FindIdle(VersionOf(function)).second, &one);
  EXPECT_EQ(machines.FindIdle(VersionOf(FunctionOf("ada", "g"))).second, nullptr);
  EXPECT_EQ(machines.FindIdle(VersionOf(FunctionOf("bob", "f"))).second, nullptr);
}

TEST_F(MachinesTest, MemoryIsFreeWhenTheAgentHasConfirmedIt) {
  Machine& machine = Assigned("ada");
  Container& container = Idle(machine, FunctionOf("ada", "f", 150));
  EXPECT_EQ(machine.free_mib(), 250);
  machines.Remove(machine, container, "evicted");
  EXPECT_EQ(machine.free_mib(), 250);
  EXPECT_EQ(machine.freeing_mib(), 150);
  machines.Forget(machine, container, "");
  EXPECT_EQ(machine.free_mib(), 400);
  EXPECT_EQ(machine.freeing_mib(), 0);
  Container& unheard = machines.AddContainer(machine, FunctionOf("ada", "f", 150), Attempt());
  effects.clear();
  machines.Remove(machine, unheard, "cancelled");
  EXPECT_EQ(machine.free_mib(), 400) << "the agent never heard of it";
  EXPECT_EQ(Count<SendToGuest>(), 0);
}

TEST_F(MachinesTest, ACondemnedMachineGivesBackItsAttempts) {
  Machine& machine = Assigned("ada");
  Container& busy = Idle(machine, FunctionOf("ada", "f"));
  const auto running = Attempt();
  machines.Occupy(machine, busy, running, 1000);
  const auto promised = Attempt();
  machines.AddContainer(machine, FunctionOf("ada", "g"), promised);
  Idle(machine, FunctionOf("ada", "h"));
  EXPECT_EQ(machines.Condemn(machine, "lost"), (std::vector{running, promised}));
  EXPECT_EQ(machines.Condemn(machine, "lost"), std::vector<AttemptKey>{}) << "once";
  EXPECT_EQ(machines.FindIdle(VersionOf(FunctionOf("ada", "h"))).second, nullptr);
  EXPECT_EQ(Count<DestroyMachine>(), 1);
  EXPECT_EQ(Wrong(), "");
}

TEST_F(MachinesTest, WhatIsDueIsTakenOnceInTheOrderOfTime) {
  Machine& starting = machines.Add(0, UserId(), "image", false, 500);
  Machine& machine = Assigned("ada");
  const Function function = FunctionOf("ada", "f");
  Container& container = Idle(machine, function);
  machines.Occupy(machine, container, Attempt(), 200);
  EXPECT_FALSE(machines.TakeDue());
  Pass(500);
  const auto first = machines.TakeDue();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->container, &container);
  const auto second = machines.TakeDue();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->machine, &starting);
  EXPECT_EQ(second->container, nullptr);
  EXPECT_FALSE(machines.TakeDue());
}

// A warm container is looked at where it was to be due once, and is due when its present state has lasted too long.
TEST_F(MachinesTest, WhatIsDueLaterThanItWasIsLeftAloneUntilThen) {
  Machine& machine = Assigned("ada");
  Container& container = Idle(machine, FunctionOf("ada", "f"));
  machines.Occupy(machine, container, Attempt(), 1000);
  machines.Release(container);
  machines.AwaitCheck(machine, container, Usage());
  machines.TurnIdle(machine, container, "ready");
  Pass(900);
  machines.Occupy(machine, container, Attempt(), 1000);
  EXPECT_EQ(Wrong(), "");
  Pass(200);
  EXPECT_FALSE(machines.TakeDue()) << "the first run was to be over by now";
  EXPECT_EQ(Wrong(), "");
  EXPECT_EQ(container.look_us(), container.due_us());
  Pass(799);
  EXPECT_FALSE(machines.TakeDue());
  Pass(1);
  const auto due = machines.TakeDue();
  ASSERT_TRUE(due);
  EXPECT_EQ(due->container, &container);
  EXPECT_FALSE(machines.TakeDue());
  EXPECT_EQ(Wrong(), "");
}

TEST_F(MachinesTest, AnEmptyMachineIsKeptForAsLongAsItsUserMay) {
  Machine& adas = Assigned("ada");
  Machine& bobs = Assigned("bob");
  for (Machine* machine : {&adas, &bobs}) {
    const Function function = FunctionOf(machine->user().value.c_str(), "f");
    machines.Forget(*machine, Idle(*machine, function), "gone");
  }
  EXPECT_EQ(adas.due_us(), context.After(context.settings().machine_idle_ms));
  EXPECT_EQ(bobs.due_us(), context.After(2000));
  machines.AddContainer(bobs, FunctionOf("bob", "f"), Attempt());
  EXPECT_EQ(bobs.due_us(), 0);
}

TEST_F(MachinesTest, SparesAreTheCheapestFirst) {
  const auto own_pool = Warm(0).number();
  const auto other_pool = Warm(1).number();
  Pass(10);
  Machine& later = Assigned("ada");
  Machine& sooner = Assigned("bob");
  Machine& working = Assigned("eve");
  Idle(sooner, FunctionOf("bob", "f"));
  Pass(10);
  Idle(later, FunctionOf("ada", "f"));
  machines.AddContainer(working, FunctionOf("eve", "f"), Attempt());
  std::vector<std::uint64_t> numbers;
  const std::vector<std::int32_t> others{kMaxPool, 0};
  for (const Spare& spare : machines.Spares({.missing_mib = 10'000, .keep = others})) numbers.push_back(spare.number);
  EXPECT_EQ(numbers, (std::vector{other_pool, sooner.number(), later.number()}));
  EXPECT_EQ(machines.Spares({.missing_mib = 1, .keep = others}).size(), 1U) << "no more than it takes";
  EXPECT_EQ(machines.Spares({.missing_mib = 1, .keep = {0, 0}}).front().number, own_pool);
}

TEST_F(MachinesTest, WhoHasOthersBesidesGivesOneUpBeforeAnybodyGivesUpTheOnlyOne) {
  Machine& only = Assigned("bob");
  Pass(10);
  std::vector<std::uint64_t> adas;
  for (int i = 0; i < 3; ++i) {
    adas.push_back(Assigned("ada").number());
    Pass(10);
  }
  const auto spares = [&](const SpareQuery& query) {
    std::vector<std::uint64_t> numbers;
    for (const Spare& spare : machines.Spares(query)) numbers.push_back(spare.number);
    return numbers;
  };
  EXPECT_EQ(spares({.missing_mib = 10'000}), (std::vector{adas[0], adas[1], only.number(), adas[2]}))
      << "the last of ada's is her only one then";
  EXPECT_EQ(spares({.missing_mib = 10'000, .several_idle_ms = 25, .only_idle_ms = 1000}), (std::vector{adas[0]}))
      << "the others were in use a moment ago";
  EXPECT_EQ(spares({.missing_mib = 10'000, .several_idle_ms = 1000, .only_idle_ms = 35}), (std::vector{only.number()}));
  EXPECT_EQ(Wrong(), "");
}

TEST_F(MachinesTest, AMachineHasAPlaceAmongThoseOfItsUser) {
  Machine& first = Assigned("ada");
  const auto second = Assigned("ada").number();
  EXPECT_EQ(Assigned("bob").rank(), 0) << "others' count for nothing";
  EXPECT_EQ(first.rank(), 0);
  EXPECT_EQ(machines.Get(second).rank(), 1);
  EXPECT_EQ(Assigned("ada").rank(), 2);
  machines.Drain(machines.Get(second), "test");
  EXPECT_EQ(Assigned("ada").rank(), 1) << "the place of one that is gone";
  EXPECT_EQ(Assigned("ada").rank(), 3);
  const auto* mark = std::get_if<MarkOwner>(
      &*std::ranges::find_if(effects, [](const auto& one) { return std::holds_alternative<MarkOwner>(one); }));
  EXPECT_EQ(mark->rank, 0);
}

TEST_F(MachinesTest, APoolKeepsItsOwnUntilNothingElseIsLeft) {
  const auto oldest = Warm().number();
  const auto kept = Warm().number();
  const auto bobs = Assigned("bob").number();
  std::vector<std::uint64_t> numbers;
  for (const Spare& spare : machines.Spares({.missing_mib = 10'000, .keep = {1, 0}})) numbers.push_back(spare.number);
  EXPECT_EQ(numbers, (std::vector{oldest, bobs}));
  numbers.clear();
  for (const Spare& spare : machines.Spares({.missing_mib = 10'000, .keep = {1, 0}, .keep_at_last = {0, 0}})) {
    numbers.push_back(spare.number);
  }
  EXPECT_EQ(numbers, (std::vector{oldest, bobs, kept}));
}

TEST_F(MachinesTest, AnAgentIsPingedUntilItAnswersAndMaySayLittleElse) {
  Machine& machine = Warm();
  EXPECT_EQ(machines.NextToPing(), nullptr);
  Pass(context.settings().ping_interval_ms);
  EXPECT_EQ(machines.NextToPing(), &machine);
  machines.Ping(machine);
  EXPECT_EQ(machines.NextToPing(), nullptr);
  EXPECT_EQ(machine.pings_missed(), 1);
  EXPECT_FALSE(machines.TakePong(machine, 7)) << "nobody asked";
  EXPECT_TRUE(machines.TakePong(machine, 1));
  EXPECT_FALSE(machines.TakePong(machine, 1)) << "twice";
  for (int i = 0; i < kMaxUnaskedFrames; ++i) EXPECT_TRUE(machines.TolerateUnasked(machine));
  EXPECT_FALSE(machines.TolerateUnasked(machine));
  machines.Ping(machine);
  EXPECT_TRUE(machines.TolerateUnasked(machine)) << "the count begins anew";
}

TEST_F(MachinesTest, DispatchersAreToldOfTheLastChangeOfEachSlot) {
  Machine& machine = Assigned("ada");
  Container& container = Idle(machine, FunctionOf("ada", "f"));
  auto changes = machines.TakeChanges();
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_TRUE(changes[0].container.empty());
  EXPECT_EQ(changes[0].memory_mib, 300);
  EXPECT_EQ(changes[1].state, link::SlotState::kIdle);
  EXPECT_EQ(machines.TakeChanges().size(), 0U);
  EXPECT_EQ(machines.Slots().size(), 2U) << "all of them, changed or not";
  machines.Occupy(machine, container, Attempt(), 1000);
  changes = machines.TakeChanges();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].state, link::SlotState::kBusy);
}

// Whatever is done, in whatever order: every index is the one that the machines would give.
TEST_F(MachinesTest, EveryIndexIsWholeAfterEveryStep) {
  const std::vector<const char*> users = {"ada", "bob", "eve"};
  const std::vector<const char*> functions = {"f", "g"};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    const auto roll = [&](std::size_t most) { return static_cast<std::size_t>(random() % most); };
    for (int step = 0; step < 400; ++step) {
      Pass(static_cast<std::int64_t>(roll(300)));
      effects.clear();
      if (machines.all().size() < 8 && roll(4) == 0) {
        machines.Add(roll(2), UserId(roll(2) == 0 ? "" : users[roll(3)]), "image", roll(2) == 0, 1000);
      }
      if (machines.all().empty()) continue;
      const auto at = static_cast<std::ptrdiff_t>(roll(machines.all().size()));
      Machine& machine = machines.Get(std::next(machines.all().begin(), at)->first);
      Container* container = nullptr;
      if (const auto count = machine.containers().size(); count > 0) {
        container =
            machine.Find(std::next(machine.containers().begin(), static_cast<std::ptrdiff_t>(roll(count)))->first);
      }
      const auto dice = roll(12);
      if (machine.state() == MachineState::kCreating) {
        if (dice < 6) machines.TurnWarm(machine, StartPath::kBoot, {});
        if (dice == 7) machines.MeanFor(machine, UserId(users[roll(3)]));
        if (dice == 8) std::ignore = machines.Condemn(machine, "random");
      } else if (machine.state() == MachineState::kWarm) {
        if (dice < 4) machines.Assign(machine, UserId(users[roll(3)]));
        if (dice == 4) machines.Unclaim();
        if (dice == 5) machines.Drain(machine, "random");
      } else if (machine.state() != MachineState::kAssigned) {
        if (dice < 6) machines.Erase(machine);
      } else if (dice < 3 && machine.free_mib() >= 100) {
        machines.AddContainer(machine, FunctionOf(machine.user().value.c_str(), functions[roll(2)]), Attempt());
      } else if (dice == 3) {
        std::ignore = machines.Condemn(machine, "random");
      } else if (container != nullptr) {
        if (container->state() == ContainerState::kCreating && dice < 6) {
          machines.SendCreate(machine, *container, FunctionOf(machine.user().value.c_str(), "f"));
        } else if (dice == 6) {
          machines.Remove(machine, *container, "random");
        } else if (dice == 7) {
          machines.Forget(machine, *container, "random");
        } else if (container->state() == ContainerState::kBusy && dice == 8) {
          machines.Release(*container);
          machines.AwaitGone(machine, *container, "random");
        } else if (container->state() == ContainerState::kBusy) {
          machines.AwaitCheck(machine, *container, Usage());
        } else if (container->state() == ContainerState::kIdle) {
          machines.Occupy(machine, *container, Attempt(), 500);
        } else if (container->state() != ContainerState::kGone) {
          machines.Release(*container);
          machines.TurnIdle(machine, *container, "random");
        }
      }
      if (roll(10) == 0) std::ignore = machines.TakeDue();
      if (Machine* silent = roll(10) == 0 ? machines.NextToPing() : nullptr; silent != nullptr) machines.Ping(*silent);
      const auto wrong = Wrong();
      ASSERT_EQ(wrong, "") << "seed " << seed << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace hearth::executor
