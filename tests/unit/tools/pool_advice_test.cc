// hearth pool advise: from what executors say to a number of machines.
#include "tools/hearth/pool_advice.h"

#include <gtest/gtest.h>

namespace hearth::tool {
namespace {

PoolStatus Pool(std::int64_t per_hour, std::int64_t refill_ms) {
  PoolStatus pool;
  pool.executor = ExecutorId("ex");
  pool.machine_mib = 512;
  pool.arrivals_per_hour = per_hour;
  pool.refill_ms = refill_ms;
  return pool;
}

TEST(PoolAdvice, CoversTheArrivalsOfOneRefillLessTheWish) {
  // One a second, replaced in 3 s: within 2.9 s at most 7 come in 99 of 100 cases; the eighth is for who asks.
  const auto advice = Advise(Pool(3600, 3000), 100);
  EXPECT_EQ(advice.machines, 8);
  EXPECT_EQ(advice.memory_mib, 8 * 512);
  EXPECT_FALSE(advice.assumed);
}

TEST(PoolAdvice, WhoMayWaitForTheReplacementNeedsNoPool) {
  EXPECT_EQ(Advise(Pool(3600, 3000), 3000).machines, 0);
  EXPECT_LE(Advise(Pool(3600, 3000), 2000).machines, Advise(Pool(3600, 3000), 100).machines);
}

TEST(PoolAdvice, OneMachineWhereNobodyCameYetAndTheTimeIsAssumed) {
  const auto advice = Advise(Pool(0, 0), 100);
  EXPECT_EQ(advice.machines, 1);
  EXPECT_TRUE(advice.assumed);
}

}  // namespace
}  // namespace hearth::tool
