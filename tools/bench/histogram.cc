#include "tools/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace hearth::bench {
namespace {

constexpr int kStepBits = 7;  // 128 buckets for each doubling
constexpr std::uint64_t kSteps = 1U << kStepBits;

// Below kSteps each duration has a bucket of its own; from there on each doubling has kSteps of equal width.
std::size_t BucketOf(std::int64_t micros) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(micros, 0));
  if (value < kSteps) return value;
  const int shift = static_cast<int>(std::bit_width(value)) - 1 - kStepBits;
  return static_cast<std::size_t>(shift) * kSteps + (value >> shift);
}

// The largest duration of the bucket.
std::int64_t EndOf(std::size_t bucket) {
  if (bucket < 2 * kSteps) return static_cast<std::int64_t>(bucket);
  const auto shift = bucket / kSteps - 1;
  const std::uint64_t step = bucket - shift * kSteps;
  return static_cast<std::int64_t>(((step + 1) << shift) - 1);
}

}  // namespace

void Histogram::Add(std::int64_t micros) {
  const std::size_t bucket = BucketOf(micros);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
  largest_ = std::max(largest_, micros);
}

void Histogram::Add(const Histogram& other) {
  counts_.resize(std::max(counts_.size(), other.counts_.size()));
  for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  largest_ = std::max(largest_, other.largest_);
}

double Histogram::At(double share) const {
  constexpr double kMicrosInMilli = 1000;
  if (count_ == 0) return 0;
  const auto rank = std::max<std::int64_t>(1, std::llround(std::ceil(share * static_cast<double>(count_))));
  std::int64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return static_cast<double>(std::min(EndOf(bucket), largest_)) / kMicrosInMilli;
  }
  return static_cast<double>(largest_) / kMicrosInMilli;
}

}  // namespace hearth::bench
