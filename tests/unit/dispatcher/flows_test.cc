// Flows: how the batches of a user, and its single requests beside them, take turns.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/unit/dispatcher/turns_fixture.h"

namespace hearth::dispatcher {
namespace {

// Records of two flows, and single requests, all of one user.
TEST_F(TurnsTest, FlowsOfAUserTakeTurnsByTheirWeights) {
  std::int64_t high = 0, low = 0;
  const auto enter = [&](std::int64_t* flow, std::int32_t weight, const FunctionName& function, Number from) {
    for (Number number = from; number < from + 300; ++number) {
      turns_.Enter(RequestClass::kBatch, kAda, function, turns_.NextTicket(kAda, number, flow, weight), Need());
    }
  };
  enter(&high, 75, kSum, 0);
  EXPECT_EQ(Take(100).size(), 100U);
  enter(&low, 25, kMul, 1000);
  enter(nullptr, 50, kSum, 2000);
  std::map<Number, int> counts;
  for (const Number number : Take(120)) ++counts[number / 1000];
  EXPECT_NEAR(counts[0], 60, 1);
  EXPECT_NEAR(counts[1], 20, 1);
  EXPECT_NEAR(counts[2], 40, 1);
}

TEST_F(TurnsTest, AFlowSavesUpNothingWhileItHasNothing) {
  std::int64_t busy = 0, idle = 0;
  Number number = 0;
  const auto enter = [&](std::int64_t* flow, Number count) {
    for (Number i = 0; i < count; ++i, ++number) {
      turns_.Enter(RequestClass::kBatch, kAda, kSum, turns_.NextTicket(kAda, number, flow, 50), Need());
    }
  };
  enter(&busy, 500);
  EXPECT_EQ(Take(400).size(), 400U);
  enter(&idle, 500);
  const auto taken = Take(100);
  EXPECT_NEAR(static_cast<double>(std::ranges::count_if(taken, [](Number each) { return each >= 500; })), 50, 1);
}

}  // namespace
}  // namespace hearth::dispatcher
