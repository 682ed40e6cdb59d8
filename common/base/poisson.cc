#include "common/base/poisson.h"

#include <algorithm>
#include <cmath>

namespace hearth {

std::int32_t PoissonQuantile(double expected, double probability, std::int32_t most) {
  constexpr double kNormalFrom = 500;  // from there on e^-mean has few digits left, and the normal form is as good
  if (!(expected > 0) || most <= 0) return 0;
  if (expected >= most) return most;
  if (expected >= kNormalFrom) {
    // Never too few: beyond k deviations lies less than e^(-k²/2) of a normal distribution.
    const double deviations = std::sqrt(-2 * std::log(1 - probability));
    return static_cast<std::int32_t>(std::min<double>(most, std::ceil(expected + deviations * std::sqrt(expected))));
  }
  double term = std::exp(-expected);
  double sum = term;
  std::int32_t n = 0;
  while (sum < probability && n < most) {
    ++n;
    term *= expected / n;
    sum += term;
  }
  return n;
}

std::int32_t MachinesForWait(double per_second, double refill_ms, double wish_ms, double probability,
                             std::int32_t most) {
  if (!(refill_ms > wish_ms) || most <= 0) return 0;
  const double expected = per_second * (refill_ms - wish_ms) / 1000;
  return 1 + PoissonQuantile(expected, probability, most - 1);
}

}  // namespace hearth
