// What reading and writing may cost: input of any shape, as large as it comes, against a plain parse of JSON that is as
// large, in the same process. Processor time of the thread: neither a busy host nor a sanitizer makes the difference.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>

#include "schemas/limits.h"

namespace hearth::fuzz {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kFullSize = kMaxRecordBytes / 4;  // all is slower by far, the floor too
#else
constexpr std::size_t kFullSize = kMaxRecordBytes;  // 1.15 MB
#endif
// With a floor of some 40 ms, on a host of 2023 that has nothing else to do, it is the 100 ms that a loop can bear.
constexpr double kMostFloors = 2.5;

inline double CpuMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// `part` again and again, up to `bytes`.
inline std::string Repeat(std::string_view part, std::size_t bytes) {
  std::string text;
  text.reserve(bytes);
  while (!part.empty() && text.size() + part.size() <= bytes) text += part;
  return text;
}

// Arrays in arrays: what costs a plain parser most.
inline double FloorMs() {
  static const double floor = [] {
    constexpr std::size_t kDepth = 25;
    const std::string element = "," + std::string(kDepth, '[') + std::string(kDepth, ']');
    const std::string text = "[0" + Repeat(element, kFullSize - 3) + "]";
    double least = 1e9;
    for (int i = 0; i < 5; ++i) {
      const double began = CpuMs();
      (void)nlohmann::json::parse(text, nullptr, false).size();
      least = std::min(least, CpuMs() - began);
    }
    return least;
  }();
  return floor;
}

// Judges what happens while it lives: `steps` times reading or writing.
class Bounded {
 public:
  explicit Bounded(int steps) : steps_(steps) {}
  Bounded(const Bounded&) = delete;
  Bounded& operator=(const Bounded&) = delete;
  ~Bounded() {
    const double spent = CpuMs() - began_;
    if (spent < kNotWorthLooking || spent < steps_ * kMostFloors * FloorMs()) return;
    std::fprintf(stderr, "broken: it took %.0f ms, %d steps; the floor of one is %.0f ms\n", spent, steps_, FloorMs());
    std::abort();
  }

 private:
  static constexpr double kNotWorthLooking = 20;
  const int steps_;
  const double began_ = CpuMs();
};

// A piece of `seed`, chosen by `number`, repeated where it stands until the whole has `bytes`: what small inputs do not
// show because it grows with the square of their size.
inline std::string Grow(std::string_view seed, unsigned number, std::size_t bytes) {
  if (seed.empty() || seed.size() >= bytes) return std::string(seed.substr(0, bytes));
  std::minstd_rand random(number + 1);
  const std::size_t begin = random() % seed.size();
  const std::size_t length = 1 + random() % std::min<std::size_t>(seed.size() - begin, 64);
  const std::string_view part = seed.substr(begin, length);
  return std::string(seed.substr(0, begin + length)) + Repeat(part, bytes - seed.size()) +
         std::string(seed.substr(begin + length));
}

}  // namespace hearth::fuzz
