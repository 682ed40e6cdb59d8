// From offsets that were acknowledged to the ranges of a spec.
#include "tools/hearth/batch_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace hearth::tool {
namespace {

using Ranges = std::vector<OffsetRange>;
constexpr std::int32_t kHome = 5;

Ranges Collect(const std::vector<std::int64_t>& offsets, std::size_t most = kMaxBatchRanges) {
  RangeCollector collector(kHome, most);
  for (const auto offset : offsets) collector.Add(offset);
  return collector.Finish();
}

std::vector<std::int64_t> PlacesOf(const Ranges& ranges) {
  std::vector<std::int64_t> offsets;
  for (const auto& range : ranges) {
    for (std::int64_t offset = range.first; offset <= range.last; ++offset) offsets.push_back(offset);
  }
  return offsets;
}

TEST(BatchRanges, NeighboursAreOneRangeAndAGapBeginsAnother) {
  EXPECT_EQ(Collect({}), Ranges{});
  EXPECT_EQ(Collect({7}), (Ranges{{kHome, 7, 7}}));
  EXPECT_EQ(Collect({0, 1, 2, 4, 5, 9}), (Ranges{{kHome, 0, 2}, {kHome, 4, 5}, {kHome, 9, 9}}));
}

TEST(BatchRanges, TooManyAreJoinedOverTheSmallestGapsFirst) {
  //                               2     1     4      1      3
  const std::vector<std::int64_t> offsets{0, 3, 5, 10, 12, 16};
  EXPECT_EQ(Collect(offsets, 4), (Ranges{{kHome, 0, 0}, {kHome, 3, 5}, {kHome, 10, 12}, {kHome, 16, 16}}));
  EXPECT_EQ(Collect(offsets, 3), (Ranges{{kHome, 0, 5}, {kHome, 10, 12}, {kHome, 16, 16}}));
  EXPECT_EQ(Collect(offsets, 2), (Ranges{{kHome, 0, 5}, {kHome, 10, 16}}));
  EXPECT_EQ(Collect(offsets, 1), (Ranges{{kHome, 0, 16}}));
}

TEST(BatchRanges, AsManyAsASpecMayHaveAreLeftAsTheyAre) {
  RangeCollector collector(kHome);
  for (std::size_t i = 0; i < kMaxBatchRanges; ++i) collector.Add(static_cast<std::int64_t>(2 * i));
  EXPECT_EQ(collector.Finish().size(), kMaxBatchRanges);
}

TEST(BatchRanges, OfAnyOffsetsEachIsInARangeAndTheyAreApart) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const std::size_t most = 1 + random() % 8;
    std::vector<std::int64_t> offsets;
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < 200 + random() % 200; ++i) {
      offset += 1 + (random() % 3 == 0 ? random() % 5 : 0);
      offsets.push_back(offset);
    }
    const Ranges ranges = Collect(offsets, most);
    ASSERT_LE(ranges.size(), most);
    for (std::size_t i = 1; i < ranges.size(); ++i) ASSERT_GT(ranges[i].first, ranges[i - 1].last + 1);
    const auto places = PlacesOf(ranges);
    ASSERT_TRUE(std::ranges::includes(places, offsets));
    ASSERT_EQ(places.front(), offsets.front());
    ASSERT_EQ(places.back(), offsets.back());
    ASSERT_EQ(PlacesOf(Collect(offsets, offsets.size())), offsets);
  }
}

}  // namespace
}  // namespace hearth::tool
