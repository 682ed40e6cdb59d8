// Where a key's records lie. Every client has to agree on it, so the values are those of Kafka's own tests.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "common/kafka/compacted.h"

namespace hearth::kafka {
namespace {

// So many partitions that the number shows the whole hash, without its sign.
constexpr std::int32_t kWholeHash = std::numeric_limits<std::int32_t>::max();

std::int32_t WithoutSign(std::int32_t hash) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(hash) & 0x7fffffffU);
}

TEST(PartitionOfKey, IsThatOfTheJavaPartitioner) {
  EXPECT_EQ(PartitionOfKey("21", kWholeHash), WithoutSign(-973932308));
  EXPECT_EQ(PartitionOfKey("foobar", kWholeHash), WithoutSign(-790332482));
  EXPECT_EQ(PartitionOfKey("a-little-bit-long-string", kWholeHash), WithoutSign(-985981536));
  EXPECT_EQ(PartitionOfKey("a-little-bit-longer-string", kWholeHash), WithoutSign(-1486304829));
  EXPECT_EQ(PartitionOfKey("abc", kWholeHash), 479470107);
}

// The batches of a user lie there, and schemas/README.md says so of alice.
TEST(PartitionOfKey, OfAUserDependsOnTheNumberOfPartitions) {
  EXPECT_EQ(PartitionOfKey("alice", 8), 5);
  EXPECT_EQ(PartitionOfKey("bob", 8), 6);
  EXPECT_EQ(PartitionOfKey("alice", 10'000), 7749);
  EXPECT_EQ(PartitionOfKey("alice", 1), 0);
}

}  // namespace
}  // namespace hearth::kafka
