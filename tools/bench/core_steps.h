// What one kind of step of a core takes: time and allocations of many.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tools/bench/allocations.h"

namespace hearth::bench {

class Steps {
 public:
  explicit Steps(std::string name) : name_(std::move(name)) {}
  // Calls and measures it.
  template <class Step>
  void Measure(Step&& step) {
    const std::int64_t allocations = Allocations();
    const auto begin = std::chrono::steady_clock::now();
    step();
    const auto took = std::chrono::steady_clock::now() - begin;
    allocations_ += Allocations() - allocations;
    nanos_.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::size_t count() const { return nanos_.size(); }
  [[nodiscard]] double MicrosAt(double share) const;  // 0.5: the median
  [[nodiscard]] double AllocationsEach() const;

 private:
  std::string name_;
  std::vector<std::int64_t> nanos_;
  std::int64_t allocations_ = 0;
};

// The size of the world in which a dispatcher's core is measured.
struct DispatcherWorldSize {
  int users = 10;
  int executors = 10;
  int waiting = 0;  // records of functions that no executor has a place for
};
struct DispatcherFigures {
  int filled = 0;            // of the waiting records, and fewer than there were to be where the time was not enough
  std::vector<Steps> steps;  // one for each kind; empty where the time was not enough
};
// `most_seconds` to fill the world, and so long again to measure, with fewer samples where that is not enough.
DispatcherFigures MeasureDispatcherCore(const DispatcherWorldSize& size, int samples, double most_seconds);
// `machines`, each of another user with a warm container.
std::vector<Steps> MeasureExecutorCore(int machines, int samples);

}  // namespace hearth::bench
