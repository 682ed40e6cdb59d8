// Shares of many durations: how near they come, and what is added up.
#include "tools/bench/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace hearth::bench {
namespace {

TEST(Histogram, OfNothingIsZero) {
  EXPECT_EQ(Histogram().count(), 0);
  EXPECT_EQ(Histogram().At(0.5), 0);
}

TEST(Histogram, SmallDurationsAreExact) {
  Histogram histogram;
  for (int micros = 1; micros <= 100; ++micros) histogram.Add(micros);
  EXPECT_DOUBLE_EQ(histogram.At(0), 0.001);
  EXPECT_DOUBLE_EQ(histogram.At(0.5), 0.050);
  EXPECT_DOUBLE_EQ(histogram.At(0.99), 0.099);
  EXPECT_DOUBLE_EQ(histogram.At(1), 0.100);
}

TEST(Histogram, AnyShareIsKnownToOnePartIn128) {
  std::mt19937_64 random(1);
  std::vector<std::int64_t> all;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    const auto micros = static_cast<std::int64_t>(std::exp2(std::uniform_real_distribution<>(0, 36)(random)));
    all.push_back(micros);
    histogram.Add(micros);
  }
  std::ranges::sort(all);
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(all.size())));
    const double exact = static_cast<double>(all[rank - 1]) / 1000;
    EXPECT_GE(histogram.At(share), exact) << share;
    EXPECT_LE(histogram.At(share), exact * (1 + 1.0 / 128)) << share;
  }
  EXPECT_DOUBLE_EQ(histogram.At(1), static_cast<double>(all.back()) / 1000);
}

TEST(Histogram, TwoAddUp) {
  Histogram a;
  Histogram b;
  a.Add(10);
  b.Add(1'000'000);
  b.Add(2'000'000);
  a.Add(b);
  EXPECT_EQ(a.count(), 3);
  EXPECT_DOUBLE_EQ(a.At(0.3), 0.010);
  EXPECT_DOUBLE_EQ(a.At(1), 2000);
}

TEST(Histogram, AClockThatGoesBackCountsAsNoTime) {
  Histogram histogram;
  histogram.Add(-5);
  EXPECT_EQ(histogram.count(), 1);
  EXPECT_EQ(histogram.At(1), 0);
}

}  // namespace
}  // namespace hearth::bench
