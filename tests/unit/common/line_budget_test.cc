// What happens for each record does not fill the log.
#include "common/log/line_budget.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(LineBudget, WritesTheFirstOfEachSecondAndCountsTheOthers) {
  LineBudget budget;
  std::int64_t written = 0;
  constexpr std::int64_t kStartUs = 5'000'000;
  for (std::int64_t i = 0; i < 3000; ++i) written += budget.Take(kStartUs + i * 1000) ? 1 : 0;  // in three seconds
  EXPECT_EQ(written, 3 * kLinesOfAKindPerSecond);
  EXPECT_EQ(budget.TakeLeftOut(), 3000 - written);
  EXPECT_EQ(budget.TakeLeftOut(), 0) << "told once";
}

TEST(LineBudget, LeavesOutNothingOfAFew) {
  LineBudget budget;
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_TRUE(budget.Take(i * 200'000 + 1'000'000));
  EXPECT_EQ(budget.TakeLeftOut(), 0);
}

}  // namespace
}  // namespace hearth
