#include "executor/simulated/delay.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <string>

namespace hearth::executor {
namespace {

constexpr std::string_view kUniform = "uniform:";
constexpr std::string_view kExponential = "exponential:";
constexpr std::string_view kRange = "..";
constexpr std::size_t kDigitsBehindPoint = 3;
constexpr double kMicrosInMilli = 1000;

// Digits, and perhaps a point with digits behind it: no sign, no exponent, no blank.
std::optional<double> ParseMs(std::string_view text) {
  const auto point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view behind = point == std::string_view::npos ? "0" : text.substr(point + 1);
  const auto is_digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (!is_digits(whole) || !is_digits(behind) || behind.size() > kDigitsBehindPoint) return std::nullopt;
  double ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + text.size() || ms > kMaxDelayMs) return std::nullopt;
  return ms;
}

}  // namespace

double DrawShare(Random& random) {
  constexpr int kUnusedBits = 11;  // a double holds 53 of the 64
  return std::ldexp(static_cast<double>(random() >> kUnusedBits), -53);
}

bool DrawChance(Random& random, std::int64_t ppm) {
  return ppm > 0 && DrawShare(random) * 1e6 < static_cast<double>(ppm);
}

Result<Delay> Delay::Parse(std::string_view text) {
  if (text.starts_with(kUniform)) {
    const std::string_view range = text.substr(kUniform.size());
    if (const auto dots = range.find(kRange); dots != std::string_view::npos) {
      const auto least = ParseMs(range.substr(0, dots));
      const auto most = ParseMs(range.substr(dots + kRange.size()));
      if (least && most && *least <= *most) return Delay(Kind::kUniform, *least, *most);
    }
  } else if (text.starts_with(kExponential)) {
    if (const auto mean = ParseMs(text.substr(kExponential.size()))) return Delay(Kind::kExponential, *mean, 0);
  } else if (const auto ms = ParseMs(text)) {
    return Fixed(*ms);
  }
  return Fail(
      Code::kInvalid,
      fmt::format("must be a time in ms as \"5\", \"uniform:1..10\" or \"exponential:5\", each number at most {} "
                  "and with at most {} digits behind the point",
                  kMaxDelayMs, kDigitsBehindPoint));
}

std::int64_t Delay::DrawMicros(Random& random) const {
  double ms = first_ms_;
  if (kind_ == Kind::kUniform) ms += (second_ms_ - first_ms_) * DrawShare(random);
  if (kind_ == Kind::kExponential) ms *= -std::log1p(-DrawShare(random));
  return std::llround(ms * kMicrosInMilli);
}

}  // namespace hearth::executor
