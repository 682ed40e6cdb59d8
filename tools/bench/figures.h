// The arithmetic of a bench: what is made of samples, how two series of one run are compared, and the bounds. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hearth::bench {

// Durations of one kind, µs.
class Series {
 public:
  void Add(std::int64_t micros) { values_.push_back(micros); }
  // Where one of the ends did not happen (0), nothing is added.
  void AddSpan(std::int64_t from_us, std::int64_t to_us) {
    if (from_us != 0 && to_us != 0) Add(to_us - from_us);
  }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] const std::vector<std::int64_t>& values() const { return values_; }
  // The smallest value that at least `share` (0 to 1) of all do not pass, ms; 0 where there is none. At(0) is the
  // smallest of all, At(1) the largest.
  [[nodiscard]] double At(double share) const;

 private:
  std::vector<std::int64_t> values_;
};

// The median of a[i] / b[i] over the pairs that both have; 0 where there is none. Pairs are taken next to each other in
// time, so that a busy moment of the host weighs on both.
double MedianRatio(const Series& a, const Series& b);

// What one promise says, and what was measured.
struct Bound {
  std::string what;  // "pool p99", "restore ÷ boot"
  double value = 0;
  double limit = 0;
  bool at_least = false;  // else at most
  std::string unit;       // "ms", "×", "MB", "%"; may be empty
  [[nodiscard]] bool held() const { return at_least ? value >= limit : value <= limit; }
};

// Rows of text with numbers to the right of the first column; as a Markdown table, or with blanks for a terminal.
class Table {
 public:
  Table(std::vector<std::string> head, bool markdown) : markdown_(markdown) { rows_.push_back(std::move(head)); }
  // Fewer cells than the head has are filled up with empty ones.
  void Add(std::vector<std::string> cells);
  // name, count, min, p50, p99 of the series.
  void AddSeries(const std::string& name, const Series& series);
  [[nodiscard]] std::string Text() const;

 private:
  bool markdown_;
  std::vector<std::vector<std::string>> rows_;
};

std::string BoundsText(const std::vector<Bound>& bounds, bool markdown);
// Whether all are held.
bool AllHeld(const std::vector<Bound>& bounds);

}  // namespace hearth::bench
