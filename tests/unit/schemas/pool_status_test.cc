#include "schemas/pool_status.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth {
namespace {

TEST(PoolStatus, TravelsWhole) {
  PoolStatus pool;
  pool.executor = ExecutorId("ex");
  pool.profile = "default";
  pool.ready = 3;
  pool.arrivals_per_hour = 60;
  pool.boot_ms = 2500;
  const auto json = EncodePools({pool});
  EXPECT_NE(json.find(R"("arrivals_per_hour":60)"), std::string::npos) << json;
  const auto read = DecodePools(json, ExecutorId("ex"));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ((*read)[0].profile, "default");
  EXPECT_EQ((*read)[0].ready, 3);
  EXPECT_EQ((*read)[0].arrivals_per_hour, 60);
  EXPECT_EQ((*read)[0].boot_ms, 2500);
}

TEST(PoolStatus, ARecordIsItsKeysWhateverItSays) {
  const auto pools = DecodePools(R"([{"executor":"other","profile":"default","ready":3,"refill_ms":"soon","odd":[]}])",
                                 ExecutorId("ex"));
  ASSERT_TRUE(pools);
  ASSERT_EQ(pools->size(), 1U);
  EXPECT_EQ((*pools)[0].executor, ExecutorId("ex"));
  EXPECT_EQ((*pools)[0].ready, 3);
  EXPECT_EQ((*pools)[0].refill_ms, 0) << "no number";
  for (const auto* bad : {"", "{}", "[1]", "[{", "null"}) EXPECT_FALSE(DecodePools(bad, ExecutorId("ex"))) << bad;
}

}  // namespace
}  // namespace hearth
