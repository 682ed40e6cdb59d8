#include "tools/hearth/batch_ranges.h"

#include <algorithm>
#include <utility>

namespace hearth::tool {

void JoinNearest(std::vector<OffsetRange>& ranges, std::size_t most) {
  if (ranges.size() <= most) return;
  // What lies between a range and the one before it, and which range that is.
  std::vector<std::pair<std::int64_t, std::size_t>> gaps;
  gaps.reserve(ranges.size() - 1);
  for (std::size_t i = 1; i < ranges.size(); ++i) gaps.emplace_back(ranges[i].first - ranges[i - 1].last, i);
  const auto joined = static_cast<std::ptrdiff_t>(ranges.size() - most);
  std::ranges::nth_element(gaps, gaps.begin() + joined - 1);
  std::vector<bool> joins(ranges.size());
  for (auto gap = gaps.begin(); gap != gaps.begin() + joined; ++gap) joins[gap->second] = true;
  std::size_t last = 0;
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (joins[i]) {
      ranges[last].last = ranges[i].last;
    } else {
      ranges[++last] = ranges[i];
    }
  }
  ranges.resize(last + 1);
}

void RangeCollector::Add(std::int64_t offset) {
  if (!ranges_.empty() && ranges_.back().last + 1 == offset) {
    ranges_.back().last = offset;
    return;
  }
  if (ranges_.size() >= kKept * most_) JoinNearest(ranges_, most_);
  ranges_.push_back({partition_, offset, offset});
}

std::vector<OffsetRange> RangeCollector::Finish() {
  JoinNearest(ranges_, most_);
  return std::move(ranges_);
}

}  // namespace hearth::tool
