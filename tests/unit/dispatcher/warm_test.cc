#include "dispatcher/core/warm.h"

#include <gtest/gtest.h>

namespace hearth::dispatcher {
namespace {

const UserId kAda("ada");
const ExecutorId kE1("e1");
const FunctionName kSum("sum");

link::Slot Machine(const char* machine, std::int32_t room) {
  link::Slot slot;
  slot.user = kAda;
  slot.machine = MachineId(machine);
  slot.memory_mib = room;
  return slot;
}
link::Slot Container(const char* machine, int number, std::int64_t version,
                     link::SlotState state = link::SlotState::kIdle) {
  link::Slot slot = Machine(machine, 128);
  slot.container = ContainerId(std::string(machine) + "/" + std::to_string(number));
  slot.function = kSum;
  slot.version = version;
  slot.state = state;
  return slot;
}

TEST(Warm, CountsContainersOfTheVersionAndRoom) {
  Warm warm;
  for (const auto& slot : {Machine("m1", 100), Container("m1", 1, 1), Container("m1", 2, 2), Machine("m2", 300),
                           Container("m2", 1, 2, link::SlotState::kBusy)}) {
    warm.Apply(kE1, slot);
  }
  EXPECT_EQ(warm.Of(kAda, kE1, kSum, 1, 128).containers, 1);
  EXPECT_EQ(warm.Of(kAda, kE1, kSum, 2, 128).containers, 2);
  EXPECT_EQ(warm.Of(kAda, kE1, kSum, 2, 128).machine_room_mib, 300);
  EXPECT_TRUE(warm.Of(kAda, kE1, kSum, 2, 128).code_cached);
  EXPECT_FALSE(warm.Of(kAda, kE1, kSum, 1, 128).code_cached) << "m1 has the code but no room";
  EXPECT_EQ(warm.Of(UserId("bob"), kE1, kSum, 2, 128).containers, 0);
  EXPECT_EQ(warm.Of(kAda, ExecutorId("e2"), kSum, 2, 128).machine_room_mib, 0);
}

TEST(Warm, GoneRemoves) {
  Warm warm;
  warm.Apply(kE1, Container("m1", 1, 1));
  EXPECT_TRUE(warm.Has(kE1, Container("m1", 1, 1)));
  warm.Apply(kE1, Container("m1", 1, 1, link::SlotState::kGone));
  EXPECT_FALSE(warm.Has(kE1, Container("m1", 1, 1)));
  EXPECT_TRUE(warm.SlotsOf(kAda).empty());
  warm.Apply(kE1, Container("m1", 1, 1, link::SlotState::kGone));  // again changes nothing
}

TEST(Warm, AHelloReplacesAllAndTellsWhatVanished) {
  Warm warm;
  warm.Apply(kE1, Container("m1", 1, 1));
  warm.Apply(kE1, Container("m1", 2, 1));
  const auto changes = warm.Replace(kE1, {Container("m1", 2, 1), Container("m3", 1, 1)});
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes[0].container, ContainerId("m1/1"));
  EXPECT_EQ(changes[0].state, link::SlotState::kGone);
  EXPECT_EQ(warm.SlotsOf(kAda).size(), 2U);
  warm.Drop(kE1);
  EXPECT_TRUE(warm.SlotsOf(kAda).empty());
}

}  // namespace
}  // namespace hearth::dispatcher
