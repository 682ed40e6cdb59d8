// How long things take in a simulated machine: what is written, and what is drawn.
#include "executor/simulated/delay.h"

#include <gtest/gtest.h>

namespace hearth::executor {
namespace {

constexpr int kDraws = 20'000;

struct Drawn {
  std::int64_t least = INT64_MAX;
  std::int64_t most = 0;
  double mean = 0;
};

Drawn DrawMany(const char* text, std::uint64_t seed = 1) {
  const auto delay = Delay::Parse(text);
  EXPECT_TRUE(delay) << text;
  Random random(seed);
  Drawn drawn;
  for (int i = 0; i < kDraws; ++i) {
    const std::int64_t micros = delay->DrawMicros(random);
    drawn.least = std::min(drawn.least, micros);
    drawn.most = std::max(drawn.most, micros);
    drawn.mean += static_cast<double>(micros) / kDraws;
  }
  return drawn;
}

TEST(Delay, AFixedTimeIsAlwaysTheSame) {
  for (const auto& [text, micros] : {std::pair("0", 0), std::pair("5", 5000), std::pair("0.25", 250)}) {
    const Drawn drawn = DrawMany(text);
    EXPECT_EQ(drawn.least, micros) << text;
    EXPECT_EQ(drawn.most, micros) << text;
  }
}

TEST(Delay, AUniformTimeLiesBetweenItsEnds) {
  const Drawn drawn = DrawMany("uniform:1..10");
  EXPECT_GE(drawn.least, 1000);
  EXPECT_LE(drawn.least, 1100);
  EXPECT_LE(drawn.most, 10'000);
  EXPECT_GE(drawn.most, 9900);
  EXPECT_NEAR(drawn.mean, 5500, 100);
}

TEST(Delay, AnExponentialTimeHasItsMean) {
  const Drawn drawn = DrawMany("exponential:5");
  EXPECT_NEAR(drawn.mean, 5000, 200);
  EXPECT_GT(drawn.most, 25'000) << "without a tail";
}

TEST(Delay, OneSeedDrawsTheSame) {
  EXPECT_EQ(DrawMany("exponential:5", 7).mean, DrawMany("exponential:5", 7).mean);
  EXPECT_NE(DrawMany("exponential:5", 7).mean, DrawMany("exponential:5", 8).mean);
}

TEST(Delay, WhatIsWrittenOtherwiseIsRefusedAndTheFormsAreNamed) {
  for (const char* text : {"",
                           " 5",
                           "5 ",
                           "-1",
                           "+1",
                           "5ms",
                           "1e3",
                           "0x5",
                           "nan",
                           "inf",
                           ".5",
                           "5.",
                           "1.2345",
                           "900001",
                           "uniform:",
                           "uniform:1",
                           "uniform:10..1",
                           "uniform:1...2",
                           "uniform:1..",
                           "uniform:1..2..3",
                           "exponential:",
                           "exponential:-1",
                           "normal:5",
                           "Uniform:1..2",
                           "99999999999999999999"}) {
    const auto delay = Delay::Parse(text);
    ASSERT_FALSE(delay) << text;
    EXPECT_EQ(delay.error().code, Code::kInvalid);
    EXPECT_NE(delay.error().message.find("\"uniform:1..10\""), std::string::npos) << delay.error().message;
  }
}

TEST(Chance, IsWhatItSays) {
  Random random(1);
  int hits = 0;
  for (int i = 0; i < kDraws; ++i) {
    hits += DrawChance(random, 250'000) ? 1 : 0;
    EXPECT_FALSE(DrawChance(random, 0));
    EXPECT_TRUE(DrawChance(random, 1'000'000));
  }
  EXPECT_NEAR(hits, kDraws / 4, kDraws / 50);
}

}  // namespace
}  // namespace hearth::executor
