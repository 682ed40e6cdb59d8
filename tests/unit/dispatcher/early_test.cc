// Of what is told of a record that was not read yet, what says most is kept.
#include "dispatcher/core/early.h"

#include <gtest/gtest.h>

namespace hearth::dispatcher {
namespace {

const ExecutorId kFirst("e1");
const ExecutorId kSecond("e2");

link::AttemptRef Ref(std::int32_t attempt, std::int64_t offset = 5) {
  link::AttemptRef ref;
  ref.offset = offset;
  ref.attempt = attempt;
  return ref;
}

EarlyEnd End(const ExecutorId& executor, std::int32_t attempt, link::Outcome outcome, std::int64_t offset = 5) {
  link::Done done;
  done.ref = Ref(attempt, offset);
  done.outcome = outcome;
  return {executor, done};
}

EarlyRun Running(const ExecutorId& executor, std::int32_t attempt) {
  link::Running run;
  run.ref = Ref(attempt);
  return {executor, run};
}

TEST(EarlyReports, TheLaterEndIsKept) {
  EarlyReports early;
  EXPECT_FALSE(early.NoteEnd(End(kFirst, 1, link::Outcome::kFailed)).end);
  const auto superseded = early.NoteEnd(End(kSecond, 2, link::Outcome::kFailed));
  ASSERT_TRUE(superseded.end);
  EXPECT_EQ(superseded.end->executor, kFirst);
  EXPECT_EQ(early.NoteEnd(End(kFirst, 1, link::Outcome::kFailed)).end->executor, kFirst) << "it is older";
  EXPECT_EQ(early.FindEnd(5)->executor, kSecond);
}

TEST(EarlyReports, WhatWasPublishedSaysMoreThanALaterFailure) {
  EarlyReports early;
  early.NoteEnd(End(kFirst, 1, link::Outcome::kPublished));
  EXPECT_EQ(early.NoteEnd(End(kSecond, 2, link::Outcome::kFailed)).end->executor, kSecond);
  EXPECT_EQ(early.TakeEnd(5)->executor, kFirst);
  EXPECT_FALSE(early.TakeEnd(5));
}

TEST(EarlyReports, WhatFailedBeforeIsKeptWithTheLaterEnd) {
  for (const bool in_order : {true, false}) {
    EarlyReports early;
    const auto failed = End(kFirst, 1, link::Outcome::kFailed);
    const auto expired = End(kSecond, 3, link::Outcome::kExpired);
    early.NoteEnd(in_order ? failed : expired);
    EXPECT_EQ(early.NoteEnd(in_order ? expired : failed).end->executor, kFirst) << "it is owed all the same";
    early.NoteEnd(End(kFirst, 2, link::Outcome::kFailed));
    ASSERT_TRUE(early.FindEnd(5)->failed);
    EXPECT_EQ(early.FindEnd(5)->failed->ref.attempt, 2);
    EXPECT_EQ(early.FindEnd(5)->done.ref.attempt, 3);
  }
}

TEST(EarlyReports, TheSameEndToldTwiceIsOwedOnce) {
  EarlyReports early;
  early.NoteEnd(End(kFirst, 1, link::Outcome::kFailed));
  EXPECT_FALSE(early.NoteEnd(End(kFirst, 1, link::Outcome::kFailed)).end);
}

TEST(EarlyReports, TheSameEndToldUnderTwoEpochsIsOneEnd) {
  for (const auto outcome : {link::Outcome::kFailed, link::Outcome::kPublished}) {
    EarlyReports early;
    auto end = End(kFirst, 1, outcome);
    end.done.ref.epoch = 3;
    EXPECT_FALSE(early.NoteEnd(end).end);
    end.done.ref.epoch = 4;
    const auto superseded = early.NoteEnd(end);
    EXPECT_FALSE(superseded.end) << "it is not owed twice, and acknowledged with its record only";
    EXPECT_FALSE(superseded.run);
    ASSERT_NE(early.FindEnd(5), nullptr);
    EXPECT_FALSE(early.FindEnd(5)->failed) << "it is no failure before itself";
  }
}

TEST(EarlyReports, TheSameAttemptToldUnderTwoEpochsRunsOn) {
  EarlyReports early;
  auto run = Running(kFirst, 1);
  run.run.ref.epoch = 3;
  EXPECT_FALSE(early.NoteRun(run));
  run.run.ref.epoch = 4;
  EXPECT_FALSE(early.NoteRun(run)) << "it would be dropped, and nobody would run it";
  EXPECT_TRUE(early.HasRun(5));
  auto end = End(kFirst, 1, link::Outcome::kFailed);
  end.done.ref.epoch = 5;
  EXPECT_FALSE(early.NoteEnd(end).run) << "it is this one that has ended";
}

TEST(EarlyReports, WhatIsToldOfAnOffsetIsKnownUntilItIsTaken) {
  EarlyReports early;
  EXPECT_FALSE(early.Knows(5));
  early.NoteRun(Running(kFirst, 1));
  EXPECT_TRUE(early.Knows(5));
  EXPECT_TRUE(early.TakeRun(5));
  EXPECT_FALSE(early.Knows(5));
  early.NoteEnd(End(kFirst, 1, link::Outcome::kFailed));
  EXPECT_TRUE(early.Knows(5));
  EXPECT_TRUE(early.TakeEnd(5));
  EXPECT_FALSE(early.Knows(5));
}

TEST(EarlyReports, OfTwoThatRunTheEarlierRunsForNobody) {
  EarlyReports early;
  EXPECT_FALSE(early.NoteRun(Running(kFirst, 1)));
  EXPECT_FALSE(early.NoteRun(Running(kFirst, 1))) << "told again";
  EXPECT_EQ(early.NoteRun(Running(kSecond, 2))->executor, kFirst);
  EXPECT_EQ(early.NoteRun(Running(kFirst, 1))->executor, kFirst);
  EXPECT_EQ(early.TakeRun(5)->executor, kSecond);
}

TEST(EarlyReports, AnEndTakesTheAttemptsThatItIsTheLastWordOn) {
  EarlyReports early;
  early.NoteRun(Running(kFirst, 2));
  EXPECT_FALSE(early.NoteEnd(End(kSecond, 1, link::Outcome::kFailed)).run);
  EXPECT_TRUE(early.HasRun(5)) << "a later attempt runs";
  EXPECT_FALSE(early.NoteEnd(End(kFirst, 2, link::Outcome::kFailed)).run) << "it is this one that has ended";
  EXPECT_FALSE(early.HasRun(5));
  EXPECT_TRUE(early.NoteRun(Running(kSecond, 1))) << "an earlier one runs for nobody";
  EXPECT_FALSE(early.NoteRun(Running(kSecond, 3)));
  const auto superseded = early.NoteEnd(End(kFirst, 1, link::Outcome::kPublished));
  ASSERT_TRUE(superseded.run) << "there is a result";
  EXPECT_EQ(superseded.run->executor, kSecond);
}

TEST(EarlyReports, EndsAreTakenBelowAnOffset) {
  EarlyReports early;
  for (const std::int64_t offset : {1, 2, 3}) early.NoteEnd(End(kFirst, 1, link::Outcome::kFailed, offset));
  const auto taken = early.TakeEndsBelow(3, [](std::int64_t offset) { return offset != 1; });
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].done.ref.offset, 2);
  EXPECT_NE(early.FindEnd(1), nullptr);
  EXPECT_NE(early.FindEnd(3), nullptr);
}

TEST(EarlyReports, WhatAnExecutorRanGoesWithIt) {
  EarlyReports early;
  early.NoteRun(Running(kFirst, 1));
  early.ForgetRunsOf(kSecond);
  EXPECT_TRUE(early.HasRun(5));
  early.ForgetRunsOf(kFirst);
  EXPECT_FALSE(early.HasRun(5));
}

}  // namespace
}  // namespace hearth::dispatcher
