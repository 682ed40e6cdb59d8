#include "tools/bench/item_tally.h"

#include <algorithm>

namespace hearth::bench {
namespace {

constexpr std::uint8_t kMany = 2;

}  // namespace

void ItemTally::Add(std::int64_t index, bool right_generation, bool ok) {
  if (!right_generation || index < 0 || index >= std::ssize(results_)) {
    ++strange_;
    return;
  }
  std::uint8_t& results = results_[static_cast<std::size_t>(index)];
  if (results < kMany) ++results;
  if (!ok) ++failed_;
}

std::int64_t ItemTally::missing() const {
  return std::ranges::count(results_, 0);
}

std::int64_t ItemTally::repeated() const {
  return std::ranges::count(results_, kMany);
}

std::int64_t LongestSilence(const std::vector<std::int64_t>& moments, std::int64_t from, std::int64_t to) {
  std::int64_t longest = 0;
  const auto behind = std::ranges::upper_bound(moments, from);
  for (auto later = std::max(behind, moments.begin() + std::min<std::ptrdiff_t>(1, std::ssize(moments)));
       later != moments.end() && *(later - 1) < to; ++later) {
    longest = std::max(longest, std::min(*later, to) - *(later - 1));
  }
  return longest;
}

}  // namespace hearth::bench
