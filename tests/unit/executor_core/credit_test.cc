// How the credit is divided over dispatchers.
#include "executor/core/credit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace hearth::executor {
namespace {

using Told = std::vector<std::int32_t>;

TEST(Credit, OneDispatcherMayUseAll) {
  EXPECT_EQ(DivideCredit(16, {{0, 0}}), Told{16});
  EXPECT_EQ(DivideCredit(16, {{500, 16}}), Told{16});
  EXPECT_EQ(DivideCredit(1, {{1, 1}}), Told{1});
  EXPECT_EQ(DivideCredit(16, {}), Told{});
}

TEST(Credit, TwoWhoseUsersWantPlacesHaveThemByTheNumberOfThoseUsers) {
  EXPECT_EQ(DivideCredit(16, {{1, 0}, {1, 0}}), (Told{8, 8}));
  EXPECT_EQ(DivideCredit(16, {{3, 0}, {1, 0}}), (Told{12, 4}));
  EXPECT_EQ(DivideCredit(16, {{1'000'000, 0}, {1, 0}}), (Told{15, 1})) << "nobody who wants has nothing";
}

TEST(Credit, WhatAnotherOneDoesNotWantMayBeUsedButForALittle) {
  EXPECT_EQ(DivideCredit(16, {{1, 0}, {0, 0}}), (Told{14, 2}));
  EXPECT_EQ(DivideCredit(16, {{1, 14}, {0, 0}}), (Told{14, 2}));
  EXPECT_EQ(DivideCredit(16, {{0, 0}, {0, 0}}), (Told{15, 15}));
}

TEST(Credit, WhatIsHeldBeyondItsPartIsNotPromisedTwice) {
  EXPECT_EQ(DivideCredit(16, {{1, 15}, {1, 1}}), (Told{8, 1})) << "until the first gives some back";
  EXPECT_EQ(DivideCredit(16, {{1, 20}, {1, 0}}), (Told{8, 0}));
}

// Whoever has users that want a place is told at least its part less what others hold too much, and nobody is told more
// than there is.
TEST(Credit, HoldsWhateverIsWantedAndHeld) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same run each time
  for (int round = 0; round < 20'000; ++round) {
    const auto credit = static_cast<std::int32_t>(1 + random() % 64);
    std::vector<DispatcherUse> uses(1 + random() % 5);
    std::int32_t left = credit;
    for (auto& use : uses) {
      use.wanting = random() % 3 == 0 ? 0 : static_cast<std::int64_t>(random() % 20);
      use.active = left == 0 ? 0 : static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(left + 1));
      left -= use.active;
    }
    const Told told = DivideCredit(credit, uses);
    ASSERT_EQ(told.size(), uses.size());
    for (std::size_t i = 0; i < uses.size(); ++i) {
      EXPECT_GE(told[i], 0);
      EXPECT_LE(told[i], credit);
    }
    // Where all that want take what they were told, and nobody holds anything beside, it fits.
    const bool all_want = std::ranges::all_of(uses, [](const auto& use) { return use.wanting > 0; });
    const bool all_free = std::ranges::all_of(uses, [](const auto& use) { return use.active == 0; });
    if (all_want && all_free && credit >= static_cast<std::int32_t>(uses.size()) * 20) {
      EXPECT_LE(std::accumulate(told.begin(), told.end(), 0), credit + static_cast<std::int32_t>(uses.size()));
    }
  }
}

}  // namespace
}  // namespace hearth::executor
