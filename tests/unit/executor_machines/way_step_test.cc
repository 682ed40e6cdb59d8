// The table of moves between the steps in which a way is found, whole.
#include "executor/machines/way_step.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace hearth::executor {
namespace {

using enum WayStep;

constexpr WayStep kAll[] = {kQueued, kDescribing, kLoading, kMaking, kKeeping, kTrying, kInUse};

TEST(WaySteps, EveryMoveIsInTheTableAndNoOther) {
  const std::map<WayStep, std::set<WayStep>> moves = {{kQueued, {kDescribing, kInUse}},
                                                      {kDescribing, {kDescribing, kLoading, kInUse}},
                                                      {kLoading, {kMaking, kTrying}},
                                                      {kMaking, {kMaking, kKeeping, kDescribing, kInUse}},
                                                      {kKeeping, {kTrying, kDescribing, kInUse}},
                                                      {kTrying, {kMaking, kDescribing, kInUse}},
                                                      {kInUse, {kQueued}}};
  for (const auto from : kAll) {
    for (const auto to : kAll) {
      EXPECT_EQ(CanMove(from, to), moves.at(from).contains(to)) << StepName(from) << " to " << StepName(to);
    }
  }
}

// Nothing but a trial shows that a way works; without one machines are booted.
TEST(WaySteps, WhatWasLoadedOrKeptIsTriedBeforeItIsInUse) {
  EXPECT_FALSE(CanMove(kLoading, kInUse));
  EXPECT_TRUE(CanMove(kLoading, kTrying));
  EXPECT_TRUE(CanMove(kKeeping, kTrying));
}

}  // namespace
}  // namespace hearth::executor
