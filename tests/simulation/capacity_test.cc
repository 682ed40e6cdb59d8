// What executors keep for users who have no machine, with both cores and all that lies between them.
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <set>
#include <string>

#include "tests/simulation/world.h"

namespace hearth::simulation {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;

// Twenty users, each of whom comes once in a while, in a house of eight machines that are all idle. The share, in
// hundred, of the requests that found a container or a machine of the pool.
double ReadyOfHundred(std::int32_t pool_min, std::uint64_t seed) {
  constexpr std::int64_t kWarmUpUs = 30 * kSecondUs;
  Options options;
  options.seed = seed;
  options.users = 20;
  options.invocations = 150;
  options.partitions = 4;
  options.executors = 1;
  options.load_us = 900 * kSecondUs;
  options.arrive_us = 600 * kSecondUs;
  options.limit_us = 1200 * kSecondUs;
  options.memory_mib = 8 * 512;
  options.pool_min = pool_min;
  options.pool_max = 1;
  options.code_fails = false;
  World world(options);
  const auto history = world.Run();
  EXPECT_EQ(Describe(Check(history)), "");
  auto [paths, starts] = StartsSince(history, kWarmUpUs);
  for (const auto& [path, count] : paths) std::cout << "  " << path << ": " << count << " of " << starts << "\n";
  EXPECT_GT(starts, 100);
  return 100.0 * (paths["container"] + paths["cached"] + paths["instance"] + paths["pool"]) / std::max(1, starts);
}

TEST(Capacity, WhoComesIntoAHouseFullOfIdleMachinesFindsThePool) {
  // The others come within the second in which the pool is filled again.
  for (std::uint64_t seed = 1; seed <= 3; ++seed) EXPECT_GE(ReadyOfHundred(1, seed), 95) << "seed " << seed;
}

// The same house that keeps nothing: the measure is able to object.
TEST(Capacity, WithoutAMinimumManyWaitForAMachine) {
  EXPECT_LT(ReadyOfHundred(0, 1), 90);
}

}  // namespace
}  // namespace hearth::simulation
