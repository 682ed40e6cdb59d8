// What counts on the way of an invocation: series of a family that are looked up once. A family's Add locks, allocates
// its labels and searches; a counter that is held costs one atomic addition. One thread counts; any may read the
// registry.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace hearth {

// Counters by the number of an enumeration's member. Those that are made at once read zero from the start, so that
// whoever asks by how much they grew sees the first event too; of a large set, each is made when it first counts.
template <std::size_t kCount>
class Counters {
 public:
  explicit Counters(prometheus::Family<prometheus::Counter>& family) : family_(family) {}
  // Makes all of them; `labels(index)` names one.
  template <class Labels>
  Counters(prometheus::Family<prometheus::Counter>& family, Labels labels) : family_(family) {
    for (std::size_t i = 0; i < kCount; ++i) counters_[i] = &family_.Add(labels(i));
  }
  void Count(std::size_t index) { counters_.at(index)->Increment(); }
  template <class Labels>
  void Count(std::size_t index, Labels labels) {
    prometheus::Counter*& counter = counters_.at(index);
    if (counter == nullptr) counter = &family_.Add(labels());
    counter->Increment();
  }

 private:
  prometheus::Family<prometheus::Counter>& family_;
  std::array<prometheus::Counter*, kCount> counters_{};
};

// Histograms of seconds with the label "stage", by the place of their name in `names`.
template <std::size_t kCount>
class Stages {
 public:
  Stages(prometheus::Registry& registry, const std::string& family, const std::string& help,
         const std::array<const char*, kCount>& names) {
    auto& made = prometheus::BuildHistogram().Name(family).Help(help).Register(registry);
    for (std::size_t i = 0; i < kCount; ++i) stages_[i] = &made.Add({{"stage", names[i]}}, Bounds());
  }
  // Nothing where the stage did not begin, or ended before it (clocks of others).
  void Observe(std::size_t stage, std::int64_t from_us, std::int64_t to_us) {
    if (from_us > 0 && to_us >= from_us) Took(stage, to_us - from_us);
  }
  void Took(std::size_t stage, std::int64_t micros) { stages_.at(stage)->Observe(static_cast<double>(micros) * 1e-6); }

 private:
  static prometheus::Histogram::BucketBoundaries Bounds() {
    return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
  }
  std::array<prometheus::Histogram*, kCount> stages_{};
};

}  // namespace hearth
