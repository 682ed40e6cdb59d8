// The table of moves of a fleet's machine, whole.
#include "executor/machines/machine_stage.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace hearth::executor {
namespace {

using enum MachineStage;

constexpr MachineStage kAll[] = {kPreparing, kCreating,  kWaitingShell, kFilling,
                                 kGreeting,  kWarmingUp, kReady,        kRemoving};

TEST(MachineStages, EveryMoveIsInTheTableAndNoOther) {
  const std::map<MachineStage, std::set<MachineStage>> moves = {
      {kPreparing, {kCreating, kRemoving}},
      {kCreating, {kWaitingShell, kGreeting, kWarmingUp, kReady, kRemoving}},
      {kWaitingShell, {kFilling, kRemoving}},
      {kFilling, {kGreeting, kWarmingUp, kReady, kRemoving}},
      {kGreeting, {kWarmingUp, kReady, kRemoving}},
      {kWarmingUp, {kReady, kRemoving}},
      {kReady, {kRemoving}},
      {kRemoving, {}}};
  for (const auto from : kAll) {
    for (const auto to : kAll) {
      EXPECT_EQ(CanMove(from, to), moves.at(from).contains(to)) << StageName(from) << " to " << StageName(to);
    }
  }
}

TEST(MachineStages, AMachineIsRemovedFromAnyStageAndOnce) {
  for (const auto from : kAll) EXPECT_EQ(CanMove(from, kRemoving), from != kRemoving) << StageName(from);
}

// What was handed out has a user's code in it soon: it is never a shell, and never greeted again.
TEST(MachineStages, NothingLeadsBack) {
  for (const auto from : {kGreeting, kWarmingUp, kReady, kRemoving}) {
    for (const auto to : {kPreparing, kCreating, kWaitingShell, kFilling}) EXPECT_FALSE(CanMove(from, to));
  }
}

TEST(MachineStages, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const auto stage : kAll) EXPECT_TRUE(names.insert(StageName(stage)).second) << StageName(stage);
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace hearth::executor
