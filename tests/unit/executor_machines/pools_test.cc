// What the shell adds to the pools: what was set over what is configured, the host's shortage, the record in Redis.
#include <gtest/gtest.h>

#include "executor/host_pressure.h"
#include "executor/pool_overrides.h"

namespace hearth::executor {
namespace {

PoolOverrides MakeOverrides() {
  Profile profile;
  profile.name = "default";
  profile.pool_min = 1;
  profile.pool_max = 4;
  profile.shells = 2;
  return {ExecutorId("ex-1"), {profile}};
}

std::string Value(PoolSettings settings) {
  return EncodePoolSettings(settings);
}

TEST(PoolOverrides, TheOneExecutorsOverrideOfAllAndOfTheFile) {
  auto overrides = MakeOverrides();
  auto pool = overrides.Apply("pool/default", Value({2, 9, kPoolUnset})).value();
  ASSERT_TRUE(pool);
  EXPECT_EQ(std::tuple(pool->min, pool->max, pool->shells), std::tuple(2, 9, 2));
  pool = overrides.Apply("pool/default/ex-1", Value({kPoolUnset, 6, 0})).value();
  EXPECT_EQ(std::tuple(pool->min, pool->max, pool->shells), std::tuple(2, 6, 0));
  pool = overrides.Apply("pool/default", "").value();
  EXPECT_EQ(std::tuple(pool->min, pool->max, pool->shells), std::tuple(1, 6, 0));
  pool = overrides.Apply("pool/default/ex-1", "").value();
  EXPECT_EQ(std::tuple(pool->min, pool->max, pool->shells), std::tuple(1, 4, 2)) << "the file's again";
}

TEST(PoolOverrides, WhatConcernsOthersIsNothingAndWhatCannotBeReadChangesNothing) {
  auto overrides = MakeOverrides();
  EXPECT_FALSE(overrides.Apply("pool/default/ex-2", Value({5, 5, 5})).value());
  EXPECT_FALSE(overrides.Apply("pool/large", Value({5, 5, 5})).value());
  EXPECT_FALSE(overrides.Apply("quota/ada", "x").value());
  EXPECT_FALSE(overrides.Apply("pool/default", "nonsense"));
  EXPECT_EQ(overrides.Apply("pool/default", Value({kPoolUnset, kPoolUnset, 7})).value()->min, 1);
}

TEST(PoolOverrides, AMinAboveTheConfiguredMaxRaisesIt) {
  auto overrides = MakeOverrides();
  const auto pool = overrides.Apply("pool/default", Value({8, kPoolUnset, kPoolUnset})).value();
  EXPECT_EQ(pool->max, 8);
}

TEST(HostPressure, IsReadFromWhatLinuxSays) {
  EXPECT_EQ(ParseMemoryAvailableMib("MemTotal: 9 kB\nMemAvailable:    2097152 kB\nBuffers: 1 kB\n"), 2048);
  EXPECT_FALSE(ParseMemoryAvailableMib("MemTotal: 9 kB\n"));
  EXPECT_FALSE(ParseMemoryAvailableMib("MemAvailable: many kB\n"));
  const auto times = ParseCpuTimes("cpu  10 1 5 70 4 0 6 4 3 0\ncpu0 1 1 1 1\n");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->all, 100U);
  EXPECT_EQ(times->busy, 26U) << "neither idle nor waiting for a disk";
  EXPECT_FALSE(ParseCpuTimes("cpu0 1 2 3 4 5"));
  EXPECT_FALSE(ParseCpuTimes("cpu  1 2"));
}

}  // namespace
}  // namespace hearth::executor
