// The arithmetic of the benches: quantiles, ratios of pairs, bounds, tables.
#include "tools/bench/figures.h"

#include <gtest/gtest.h>

namespace hearth::bench {
namespace {

Series Of(std::initializer_list<std::int64_t> micros) {
  Series series;
  for (const auto each : micros) series.Add(each);
  return series;
}

TEST(Series, QuantilesAreValuesThatWereMeasured) {
  const Series series = Of({5000, 1000, 3000, 2000, 4000});
  EXPECT_DOUBLE_EQ(series.At(0), 1.0);
  EXPECT_DOUBLE_EQ(series.At(0.2), 1.0);
  EXPECT_DOUBLE_EQ(series.At(0.21), 2.0);
  EXPECT_DOUBLE_EQ(series.At(0.5), 3.0);
  EXPECT_DOUBLE_EQ(series.At(0.99), 5.0);
  EXPECT_DOUBLE_EQ(series.At(1), 5.0);
}

TEST(Series, OneSlowSampleOfThirtyIsTheP99AndOneOfAHundredAndOneIsNot) {
  Series series;
  for (int i = 0; i < 29; ++i) series.Add(1000);
  series.Add(9000);
  EXPECT_DOUBLE_EQ(series.At(0.5), 1.0);
  EXPECT_DOUBLE_EQ(series.At(0.99), 9.0);
  for (int i = 0; i < 71; ++i) series.Add(1000);
  EXPECT_EQ(series.size(), 101U);
  EXPECT_DOUBLE_EQ(series.At(0.99), 1.0);
}

TEST(Series, NothingMeasuredIsNoFigure) {
  EXPECT_DOUBLE_EQ(Series().At(0.5), 0);
  Series series;
  series.AddSpan(0, 7000);
  series.AddSpan(7000, 0);
  EXPECT_EQ(series.size(), 0U);
  series.AddSpan(7000, 9000);
  EXPECT_DOUBLE_EQ(series.At(0.5), 2.0);
}

TEST(MedianRatio, ComparesPairByPair) {
  // The host was busy during the second pair: both sides doubled, and the ratio stays.
  EXPECT_DOUBLE_EQ(MedianRatio(Of({1500, 3000, 1500}), Of({1000, 2000, 1000})), 1.5);
  EXPECT_DOUBLE_EQ(MedianRatio(Of({1000, 2000}), Of({1000, 1000})), 1.5) << "between the two in the middle";
}

TEST(MedianRatio, IgnoresWhatHasNoPartner) {
  EXPECT_DOUBLE_EQ(MedianRatio(Of({2000, 9000, 9000}), Of({1000})), 2.0);
  EXPECT_DOUBLE_EQ(MedianRatio(Of({2000, 4000}), Of({0, 1000})), 4.0) << "nothing is divided by zero";
  EXPECT_DOUBLE_EQ(MedianRatio(Of({1000}), Series()), 0);
}

TEST(Bound, HoldsOnItsOwnSide) {
  EXPECT_TRUE((Bound{"p99", 100, 100, false, "ms"}.held()));
  EXPECT_FALSE((Bound{"p99", 100.01, 100, false, "ms"}.held()));
  EXPECT_TRUE((Bound{"speed", 15, 15, true, "×"}.held()));
  EXPECT_FALSE((Bound{"speed", 14.9, 15, true, "×"}.held()));
  EXPECT_TRUE(AllHeld({}));
  EXPECT_FALSE(AllHeld({{"a", 1, 2, false, ""}, {"b", 3, 2, false, ""}}));
}

TEST(Bound, ATextNamesTheVerdict) {
  const auto text = BoundsText({{"a p99", 12.345, 100, false, "ms"}, {"b", 3, 15, true, "×"}}, true);
  EXPECT_NE(text.find("| 12.35 ms |"), std::string::npos) << text;
  EXPECT_NE(text.find("| ≤ 100 ms |"), std::string::npos) << text;
  EXPECT_NE(text.find("≥ 15 × | NOT held |"), std::string::npos) << text;
}

TEST(Table, LinesUpWhatIsNotAscii) {
  Table table({"stage", "n"}, false);
  table.Add({"a → b", "1"});
  table.Add({"longer name", "10"});
  EXPECT_EQ(table.Text(), "stage         n\na → b         1\nlonger name  10\n");
}

TEST(Table, IsMarkdownWhereAsked) {
  Table table({"stage", "n"}, true);
  table.Add({"a", "1"});
  table.Add({"b"});
  EXPECT_EQ(table.Text(), "| stage | n |\n| --- | ---: |\n| a     | 1 |\n| b     |   |\n");
}

}  // namespace
}  // namespace hearth::bench
