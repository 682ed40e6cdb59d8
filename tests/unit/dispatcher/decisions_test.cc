// The decision log: what it keeps, and that it stays within its bounds.
#include "dispatcher/core/decisions.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::dispatcher {
namespace {

Decision Line(const std::string& id, std::int64_t offset = 0) {
  Decision decision;
  decision.id = InvocationId(id);
  decision.user = UserId("ada");
  decision.offset = offset;
  return decision;
}
DecisionStep Step(std::int32_t attempt, const std::string& constraint = "path") {
  DecisionStep step;
  step.what = "placed";
  step.attempt = attempt;
  step.constraint = constraint;
  return step;
}

TEST(Decisions, FindsTheNewestOfAnId) {
  Decisions log;
  const auto first = log.Open(Line("i", 1));
  const auto second = log.Open(Line("i", 2));
  EXPECT_NE(first, 0U);
  EXPECT_EQ(log.Find(InvocationId("i"))->offset, 2);
  EXPECT_EQ(log.At(first)->offset, 1);
  EXPECT_EQ(log.At(second)->offset, 2);
  EXPECT_EQ(log.Find(InvocationId("other")), nullptr);
  EXPECT_EQ(log.At(0), nullptr);
  EXPECT_EQ(log.At(second + 1), nullptr);
}

TEST(Decisions, TheOldestGoesFirst) {
  Decisions log(3);
  std::uint64_t numbers[5];
  for (int i = 0; i < 5; ++i) numbers[i] = log.Open(Line("i" + std::to_string(i), i));
  EXPECT_EQ(log.size(), 3U);
  EXPECT_EQ(log.Find(InvocationId("i1")), nullptr);
  EXPECT_EQ(log.At(numbers[1]), nullptr);
  EXPECT_EQ(log.Find(InvocationId("i2"))->offset, 2);
  log.Add(numbers[0], Step(1));  // forgotten: changes nothing
  EXPECT_EQ(log.size(), 3U);
}

TEST(Decisions, AForgottenLineDoesNotTakeANewerOneOfItsIdAlong) {
  Decisions log(2);
  log.Open(Line("i", 1));
  log.Open(Line("i", 2));
  log.Open(Line("j", 3));
  ASSERT_NE(log.Find(InvocationId("i")), nullptr);
  EXPECT_EQ(log.Find(InvocationId("i"))->offset, 2);
}

TEST(Decisions, BytesAreBoundedWhateverTheLinesHold) {
  constexpr std::size_t kMost = 64U << 10;
  Decisions log(1'000'000, kMost);
  for (int i = 0; i < 500; ++i) {
    const auto number = log.Open(Line(std::string(100, 'x') + std::to_string(i)));
    for (int step = 0; step < 20; ++step) {
      DecisionStep one = Step(step, std::string(500, 'c'));
      one.candidates.resize(kMaxDecisionCandidates);
      log.Add(number, std::move(one));
      ASSERT_LE(log.bytes(), kMost);
    }
  }
  EXPECT_GT(log.size(), 0U);
  EXPECT_LT(log.size(), 10U);
}

TEST(Decisions, TheFirstAndTheLastStepsOfALongStoryStay) {
  Decisions log;
  const auto number = log.Open(Line("i"));
  for (int i = 1; i <= 30; ++i) log.Add(number, Step(i));
  const Decision* line = log.Find(InvocationId("i"));
  ASSERT_EQ(line->steps.size(), kMaxDecisionSteps);
  EXPECT_EQ(line->steps.front().attempt, 1);
  EXPECT_EQ(line->steps.back().attempt, 30);
  EXPECT_EQ(line->steps_dropped, 30 - static_cast<int>(kMaxDecisionSteps));
}

}  // namespace
}  // namespace hearth::dispatcher
