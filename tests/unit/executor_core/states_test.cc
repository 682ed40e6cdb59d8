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
  EXPECT_FALSE(CanMove(kBusy, kIdle)) << "it is checked first";
  EXPECT_TRUE(CanMove(kBusy, kChecking));
  EXPECT_TRUE(CanMove(kBusy, kGone));
  EXPECT_TRUE(CanMove(kChecking, kIdle));
  EXPECT_FALSE(CanMove(kChecking, kBusy));
  EXPECT_TRUE(CanMove(kChecking, kGone));
  EXPECT_FALSE(CanMove(kBusy, kCreating));
  EXPECT_FALSE(CanMove(kGone, kIdle));
}

TEST(States, AnAttemptNeverGoesBackAndEndsFromEveryPhaseButTheFirst) {
  using enum AttemptPhase;
  const std::array phases{kArrived, kWaiting, kPromised, kRunning, kPublishing, kEnded};
  for (const auto from : phases) {
    for (const auto to : phases) {
      if (to <= from) {
        EXPECT_FALSE(CanMove(from, to));
      }
    }
    EXPECT_EQ(CanMove(from, kEnded), from != kArrived && from != kEnded);
  }
  EXPECT_TRUE(CanMove(kArrived, kRunning)) << "the warm way";
  EXPECT_FALSE(CanMove(kArrived, kPublishing));
}

}  // namespace
}  // namespace hearth::executor
