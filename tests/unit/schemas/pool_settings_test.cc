// What is set for pools: keys, bounds, and what overrides what.
#include "schemas/pool_settings.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(PoolSettings, KeysAreReadAndWritten) {
  for (const auto& key : {PoolKey{"default", {}}, PoolKey{"large", ExecutorId("ex-1")}}) {
    EXPECT_EQ(ParsePoolKey(FormatPoolKey(key)).value(), key);
  }
  EXPECT_EQ(ParsePoolKey("quota/ada").error().code, Code::kNotFound);
  EXPECT_EQ(ParsePoolKey("pool/").error().code, Code::kInvalid);
  EXPECT_EQ(ParsePoolKey("pool/a/b/c").error().code, Code::kInvalid);
}

TEST(PoolSettings, SurviveTheWayThroughKafka) {
  const PoolSettings settings{2, 9, kPoolUnset};
  EXPECT_EQ(DecodePoolSettings(EncodePoolSettings(settings)).value(), settings);
  EXPECT_FALSE(DecodePoolSettings("nonsense"));
}

TEST(PoolSettings, WhatMeansNothingIsRefusedByName) {
  const auto refused = [](PoolSettings settings, const std::string& named) {
    const auto valid = ValidatePoolSettings(settings);
    ASSERT_FALSE(valid) << named;
    EXPECT_NE(valid.error().message.find(named), std::string::npos) << valid.error().message;
    EXPECT_FALSE(DecodePoolSettings(EncodePoolSettings(settings))) << named;
  };
  refused({-2, kPoolUnset, kPoolUnset}, "min");
  refused({kPoolUnset, kMaxPoolSetting + 1, kPoolUnset}, "max");
  refused({kPoolUnset, kPoolUnset, -7}, "shells");
  refused({5, 4, kPoolUnset}, "less than min");
  EXPECT_TRUE(ValidatePoolSettings({5, kPoolUnset, 0}));
}

TEST(PoolSettings, OnlyWhatIsSetOverrides) {
  EXPECT_EQ(Override({1, 4, 2}, {kPoolUnset, 8, kPoolUnset}), (PoolSettings{1, 8, 2}));
}

}  // namespace
}  // namespace hearth
