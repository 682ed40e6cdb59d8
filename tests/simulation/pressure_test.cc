// What one user does to another, under virtual time.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "tests/simulation/world.h"

namespace hearth::simulation {
namespace {

// One user floods with runs of many seconds, by far more than fit, and its own bound lets it have every place. The
// others' short requests find one: there is a share while they wait, and a reserve before they come.
TEST(Pressure, WhoFloodsWithLongRunsHoldsNobodyElseUp) {
  constexpr std::int64_t kBoundUs = 3'000'000;  // new users wait for a machine
  std::int64_t worst_us = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Options options;
    options.seed = seed;
    options.users = 4;
    options.invocations = 400;
    options.flood_in_thousand = 900;
    options.partitions = 4;
    options.dispatchers = 1;
    options.executors = 2;
    options.functions = {{3, "default", 128, 60'000, 0, true}, {3, "default", 128, 60'000, 0, false}};
    options.credit = 8;
    options.user_concurrency = 1000;
    options.memory_mib = 32 * 512;
    options.pool_min = 4;
    options.pool_max = 8;
    options.load_us = 60'000'000;
    options.longest_run_us = 50'000;
    options.code_fails = false;
    options.faults[Fault::kSlowCode] = 1000;  // every run of a slow function
    World world(options);
    const auto history = world.Run();
    EXPECT_EQ(Describe(Check(history)), "") << "seed " << seed;
    std::map<std::string, std::int64_t> sent;
    for (const auto& each : history.sent) {
      if (each.user != "user0") sent[each.id] = each.at_us;
    }
    ASSERT_GT(sent.size(), 20U);
    for (const auto& outcome : history.outcomes) {
      const auto found = sent.find(outcome.id);
      if (found == sent.end()) continue;
      worst_us = std::max(worst_us, outcome.at_us - found->second);
      EXPECT_LE(outcome.at_us - found->second, kBoundUs) << "seed " << seed << " " << outcome.id;
    }
  }
  std::cout << "  slowest of the others: " << worst_us / 1000 << " ms\n";
}

}  // namespace
}  // namespace hearth::simulation
