// How long something takes in a simulated machine: always the same, or drawn anew each time.
#pragma once

#include <cstdint>
#include <random>
#include <string_view>

#include "common/base/result.h"

namespace hearth::executor {

using Random = std::mt19937_64;
// From 0 to below 1; the same for the same seed with every library.
double DrawShare(Random& random);
// True in so many of a million draws.
bool DrawChance(Random& random, std::int64_t ppm);

constexpr double kMaxDelayMs = 900'000;  // the longest that a run may take

class Delay {
 public:
  Delay() = default;  // nothing at all
  // One of three forms, in ms, each number with at most three digits behind the point: "5" is always 5 ms,
  // "uniform:1..10" is evenly between the two, "exponential:5" has 5 ms as its mean. kInvalid: it is none of them.
  static Result<Delay> Parse(std::string_view text);
  static Delay Fixed(double ms) { return {Kind::kFixed, ms, 0}; }
  [[nodiscard]] std::int64_t DrawMicros(Random& random) const;

 private:
  enum class Kind : std::uint8_t { kFixed, kUniform, kExponential };
  Delay(Kind kind, double first_ms, double second_ms) : kind_(kind), first_ms_(first_ms), second_ms_(second_ms) {}

  Kind kind_ = Kind::kFixed;
  double first_ms_ = 0;   // the time, the least, or the mean
  double second_ms_ = 0;  // uniform: the most
};

}  // namespace hearth::executor
