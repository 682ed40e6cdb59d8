// The quantile against sums done another way, and its edges.
#include "common/base/poisson.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace hearth {
namespace {

double AtMost(double expected, std::int32_t n) {
  double sum = 0;
  for (std::int32_t k = 0; k <= n; ++k) sum += std::exp(k * std::log(expected) - expected - std::lgamma(k + 1.0));
  return sum;
}

TEST(Poisson, TheQuantileIsTheLeastThatCovers) {
  for (const double expected : {0.01, 0.2, 1.0, 3.7, 25.0, 180.0, 499.0}) {
    for (const double probability : {0.5, 0.9, 0.99, 0.999}) {
      const auto n = PoissonQuantile(expected, probability, 10'000);
      EXPECT_GE(AtMost(expected, n), probability - 1e-9) << expected << " " << probability;
      if (n == 0) continue;
      EXPECT_LT(AtMost(expected, n - 1), probability + 1e-9) << expected << " " << probability;
    }
  }
}

TEST(Poisson, ALargeMeanIsCoveredAndNotByMuchMoreThanItTakes) {
  for (const double expected : {500.0, 2000.0, 90'000.0}) {
    const auto n = PoissonQuantile(expected, 0.99, 1'000'000);
    EXPECT_GE(AtMost(expected, n), 0.99);
    EXPECT_LT(n, expected + 4 * std::sqrt(expected));
  }
}

TEST(Poisson, EdgesAreNumbersToo) {
  EXPECT_EQ(PoissonQuantile(0, 0.99, 10), 0);
  EXPECT_EQ(PoissonQuantile(-1, 0.99, 10), 0);
  EXPECT_EQ(PoissonQuantile(std::nan(""), 0.99, 10), 0);
  EXPECT_EQ(PoissonQuantile(std::numeric_limits<double>::infinity(), 0.99, 10), 10);
  EXPECT_EQ(PoissonQuantile(5, 0.99, 0), 0);
  EXPECT_EQ(PoissonQuantile(5, 0.99, 3), 3);
  EXPECT_EQ(MachinesForWait(1, 1000, 1000, 0.99, 10), 0);
  EXPECT_EQ(MachinesForWait(0, 1000, 0, 0.99, 10), 1);
  EXPECT_EQ(MachinesForWait(1e9, 1000, 0, 0.99, 10), 10);
}

}  // namespace
}  // namespace hearth
