// Shares and reserves by themselves.
#include "dispatcher/core/shares.h"

#include <gtest/gtest.h>

namespace hearth::dispatcher {
namespace {

using Held = std::array<std::int64_t, kRequestClasses>;
constexpr auto kRt = RequestClass::kRealtime;
constexpr auto kStd = RequestClass::kStandard;
constexpr auto kBatch = RequestClass::kBatch;

TEST(Shares, IsTheCreditDividedByThoseWhoWantAndOneWhoMayCome) {
  EXPECT_EQ(ShareOf(16, 2), 5);
  EXPECT_EQ(ShareOf(16, 3), 4);
  EXPECT_EQ(ShareOf(1000, 9), 100);
  EXPECT_EQ(ShareOf(16, 1'000'000), 1) << "one place everybody may hold";
  EXPECT_EQ(ShareOf(0, 2), 1);
  EXPECT_EQ(ShareOf(16, 1), INT64_MAX) << "nobody else wants one";
}

TEST(Reserves, AreRoundedDownAndAtMostHalfOfTheCredit) {
  EXPECT_EQ(ReserveOf(16, true), (Reserve{2, 1, 1}));
  EXPECT_EQ(ReserveOf(16, false), (Reserve{2, 0, 1})) << "nobody is granted rt";
  EXPECT_EQ(ReserveOf(7, true), (Reserve{0, 0, 0})) << "a small house is used whole";
  for (std::int64_t credit = 0; credit < 1000; ++credit) {
    const Reserve reserve = ReserveOf(credit, true);
    EXPECT_LE(reserve.newcomers + reserve.realtime + reserve.standard, credit / 2);
  }
}

// How many places of 16 a class gets that takes long, where nobody else holds any.
std::int64_t Most(RequestClass request_class, bool newcomer, Held held = {}) {
  std::int64_t most = 0;
  while (LeavesReserve(ReserveOf(16, true), 16, held, request_class, newcomer)) {
    ++held[static_cast<std::size_t>(request_class)];
    ++most;
  }
  return most;
}

TEST(Reserves, LongRunsOfAClassNeverHoldWhatIsKeptForOthers) {
  EXPECT_EQ(Most(kBatch, false), 12);
  EXPECT_EQ(Most(kStd, false), 13);
  EXPECT_EQ(Most(kRt, false), 14);
  EXPECT_EQ(Most(kBatch, true), 14) << "newcomers may have what is kept for them";
  EXPECT_EQ(Most(kRt, true), 16);
}

TEST(Reserves, WhatAClassHoldsComesOutOfWhatIsKeptForIt) {
  EXPECT_EQ(Most(kBatch, false, {0, 1, 0}), 12) << "and 13 with the one of std";
  EXPECT_EQ(Most(kBatch, false, {1, 1, 0}), 12);
  EXPECT_EQ(Most(kBatch, false, {0, 8, 0}), 5);
  EXPECT_EQ(Most(kStd, false, {8, 0, 0}), 6);
}

TEST(Reserves, WithoutCreditOnePlaceMayStillBeTried) {
  EXPECT_TRUE(LeavesReserve(ReserveOf(0, true), 0, {}, kBatch, false));
}

}  // namespace
}  // namespace hearth::dispatcher
