// What is made of the results of a batch.
#include "tools/bench/item_tally.h"

#include <gtest/gtest.h>

namespace hearth::bench {
namespace {

TEST(ItemTally, EachItemHasOneResult) {
  ItemTally tally(3);
  for (const int index : {2, 0, 1}) tally.Add(index, true, true);
  EXPECT_EQ(tally.missing(), 0);
  EXPECT_EQ(tally.repeated(), 0);
  EXPECT_EQ(tally.strange(), 0);
  EXPECT_EQ(tally.failed(), 0);
}

TEST(ItemTally, WhatLacksComesAgainOrIsNoneOfItsOwnIsToldApart) {
  ItemTally tally(5);
  for (int i = 0; i < 300; ++i) tally.Add(1, true, true);  // more than a byte counts
  tally.Add(2, true, false);
  tally.Add(2, true, true);
  tally.Add(3, true, true);
  tally.Add(4, false, false);
  tally.Add(5, true, true);
  tally.Add(-1, true, true);
  EXPECT_EQ(tally.missing(), 2) << "0, and 4, whose result is of another generation";
  EXPECT_EQ(tally.repeated(), 2);
  EXPECT_EQ(tally.strange(), 3);
  EXPECT_EQ(tally.failed(), 1);
}

TEST(LongestSilence, OneThatBeganBeforeAndOneThatEndsBehindCount) {
  const std::vector<std::int64_t> moments = {0, 10, 50, 60, 90, 200};
  EXPECT_EQ(LongestSilence(moments, 20, 85), 40) << "10 to 50";
  EXPECT_EQ(LongestSilence(moments, 55, 89), 29) << "60 to 89: what is behind the end is not counted";
  EXPECT_EQ(LongestSilence(moments, 55, 120), 30) << "60 to 90, and 90 to 120";
  EXPECT_EQ(LongestSilence(moments, 55, 1000), 110);
  EXPECT_EQ(LongestSilence(moments, 10, 49), 39) << "a moment at the start is before it";
}

TEST(LongestSilence, WithoutTwoMomentsThereIsNone) {
  EXPECT_EQ(LongestSilence({}, 0, 10), 0);
  EXPECT_EQ(LongestSilence({5}, 0, 10), 0);
  EXPECT_EQ(LongestSilence({1, 2}, 5, 10), 0) << "all of them lie before";
}

}  // namespace
}  // namespace hearth::bench
