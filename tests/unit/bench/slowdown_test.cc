// How a neighbour's answers compare with those of a raw echo.
#include "tools/bench/slowdown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::bench {
namespace {

using testing::HasSubstr;

NeighbourFigures Figures(std::int64_t request_us, std::int64_t echo_us) {
  NeighbourFigures figures;
  for (auto [one, micros] : {std::pair(&figures.requests, request_us), std::pair(&figures.echoes, echo_us)}) {
    one->sent = 3;
    one->ok = 2;
    one->unanswered = 1;
    for (int i = 0; i < 2; ++i) one->latency.Add(micros);
  }
  return figures;
}

TEST(Slowdown, WhatTheMachineCostsIsTakenOut) {
  const auto slowdown = SlowdownAt(0.5, Figures(4000, 2000), Figures(24'000, 6000));
  EXPECT_NEAR(slowdown.requests, 6, 0.1);
  EXPECT_NEAR(slowdown.echoes, 3, 0.1);
  EXPECT_NEAR(slowdown.remaining, 2, 0.1);
}

TEST(Slowdown, WithoutAnEchoNothingIsKnownOfTheRest) {
  auto before = Figures(4000, 2000);
  before.echoes = {};
  const auto slowdown = SlowdownAt(0.99, before, Figures(8000, 2000));
  EXPECT_NEAR(slowdown.requests, 2, 0.1);
  EXPECT_EQ(slowdown.echoes, 0);
  EXPECT_EQ(slowdown.remaining, 0);
}

TEST(Slowdown, TheTextHasBothInBothParts) {
  const auto text = NeighbourText(Figures(4000, 2000), Figures(24'000, 6000), {"before", "during"}, true);
  EXPECT_THAT(text, HasSubstr("the other user, before"));
  EXPECT_THAT(text, HasSubstr("raw Kafka echo, during"));
  EXPECT_THAT(text, HasSubstr("p99: the other user 6.00 ×, raw echo 3.00 ×, the one ÷ the other 2.00\n"));
}

}  // namespace
}  // namespace hearth::bench
