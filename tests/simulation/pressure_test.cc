// What one user does to another, under virtual time.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/world.h"

namespace hearth::simulation {
namespace {

// One user of four floods, and its own bound lets it have every place; the others send little.
Options Flood(std::uint64_t seed) {
  Options options;
  options.seed = seed;
  options.users = 4;
  options.partitions = 4;
  options.executors = 2;
  options.credit = 8;
  options.user_concurrency = 1000;
  options.memory_mib = 32 * 512;
  options.pool_min = 4;
  options.pool_max = 8;
  options.longest_run_us = 50'000;
  options.code_fails = false;
  return options;
}

// What came of the others, in order of their latencies.
std::vector<std::int64_t> LatenciesOfOthers(const Options& options) {
  World world(options);
  const auto history = world.Run();
  EXPECT_EQ(Describe(Check(history)), "") << "seed " << options.seed;
  std::map<std::string, std::int64_t> sent;
  for (const auto& each : history.sent) {
    if (each.user != "user0") sent[each.id] = each.at_us;
  }
  std::vector<std::int64_t> latencies;
  for (const auto& outcome : history.outcomes) {
    const auto found = sent.find(outcome.id);
    if (found != sent.end()) latencies.push_back(outcome.at_us - found->second);
  }
  EXPECT_GT(latencies.size(), 20U);
  std::ranges::sort(latencies);
  return latencies;
}

// The flood is of runs of many seconds, by far more than fit. The others' short requests find a place: there is a share
// while they wait, and a reserve before they come.
TEST(Pressure, WhoFloodsWithLongRunsHoldsNobodyElseUp) {
  constexpr std::int64_t kBoundUs = 3'000'000;  // new users wait for a machine
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Options options = Flood(seed);
    options.invocations = 400;
    options.flood_in_thousand = 900;
    options.dispatchers = 1;
    options.functions = {{3, "default", 128, 60'000, 0, true}, {3, "default", 128, 60'000, 0, false}};
    options.load_us = 60'000'000;
    options.faults[Fault::kSlowCode] = 1000;  // every run of a slow function
    const auto latencies = LatenciesOfOthers(options);
    std::cout << "  slowest of the others: " << latencies.back() / 1000 << " ms\n";
    EXPECT_LE(latencies.back(), kBoundUs) << "seed " << seed;
  }
}

// The flood is of short runs, by far more of them than the executors can end. Who owns its partition knows nothing of
// users elsewhere: what they want is told by executors, which divide their credit.
TEST(Pressure, WhoFloodsOneDispatcherTakesNothingFromAnother) {
  constexpr std::int64_t kBoundUs = 700'000;  // a run takes up to 300 ms, and a container has to be made now and then
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Options options = Flood(seed);
    options.invocations = 4000;
    options.flood_in_thousand = 960;
    options.dispatchers = 3;
    options.functions = {{3, "default", 128, 60'000, 0, false}, {3, "default", 128, 60'000, 0, false}};
    options.load_us = 10'000'000;
    options.longest_run_us = 300'000;
    const auto latencies = LatenciesOfOthers(options);
    const std::int64_t p95 = latencies[latencies.size() * 95 / 100];
    std::cout << "  of the others: p50 " << latencies[latencies.size() / 2] / 1000 << " ms, p95 " << p95 / 1000
              << " ms\n";
    EXPECT_LE(p95, kBoundUs) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hearth::simulation
