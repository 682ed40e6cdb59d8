#include "executor/core/states.h"

#include <gtest/gtest.h>

#include <array>

namespace hearth::executor {
namespace {

TEST(States, NothingLeadsFromAnAssignedMachineBackToThePool) {
  using enum MachineState;
  EXPECT_FALSE(CanMove(kAssigned, kWarm));
  for (const auto state : std::array{kDraining, kSuspect, kGone}) {
    EXPECT_FALSE(CanMove(state, kWarm));
    EXPECT_FALSE(CanMove(state, kAssigned));
  }
  EXPECT_TRUE(CanMove(kWarm, kAssigned));
}

TEST(States, ABusyContainerEndsIdleOrGone) {
  using enum ContainerState;
  EXPECT_TRUE(CanMove(kBusy, kIdle));
  EXPECT_TRUE(CanMove(kBusy, kGone));
  EXPECT_FALSE(CanMove(kBusy, kCreating));
  EXPECT_FALSE(CanMove(kGone, kIdle));
}

}  // namespace
}  // namespace hearth::executor
