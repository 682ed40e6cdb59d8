// What has finished: owed entries stay, others make room.
#include "executor/core/done_ring.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace hearth::executor {
namespace {

const PartitionId kPartition{"t", 0};

link::Done MakeDone(std::int64_t offset, std::size_t text = 0) {
  link::Done done;
  done.ref = {kPartition, offset, 1, 1};
  done.error_message = std::string(text, 'x');
  return done;
}

TEST(DoneRing, IsFullOfWhatIsOwedAndOfNothingElse) {
  DoneRing ring(3);
  for (std::int64_t offset = 0; offset < 3; ++offset) ring.Add(MakeDone(offset), 1);
  EXPECT_TRUE(ring.full());
  ring.Acknowledge(MakeDone(1).ref);
  EXPECT_FALSE(ring.full());
  ring.Add(MakeDone(3), 1);
  EXPECT_EQ(ring.size(), 3U) << "the acknowledged one made room";
  EXPECT_EQ(ring.Find(MakeDone(1).ref), nullptr);
  EXPECT_NE(ring.Find(MakeDone(0).ref), nullptr);
  EXPECT_EQ(ring.Report(kPartition, 0, 0, 2).size(), 3U);
}

TEST(DoneRing, IsBoundedByBytes) {
  DoneRing ring(1000, 10'000);
  for (std::int64_t offset = 0; offset < 5; ++offset) ring.Add(MakeDone(offset, 4096), 1);
  EXPECT_TRUE(ring.full());
  for (std::int64_t offset = 0; offset < 5; ++offset) ring.Acknowledge(MakeDone(offset).ref);
  EXPECT_FALSE(ring.full()) << "texts go with the debt";
}

TEST(DoneRing, ReportsCarryNoTexts) {
  DoneRing ring;
  ring.Add(MakeDone(0, 4096), 1);
  EXPECT_EQ(ring.Report(kPartition, 0, 0, 2)[0].error_message, "");
}

// Whatever the order in which they ended.
TEST(DoneRing, ReportsAreInTheOrderOfOffsetsAndAttempts) {
  DoneRing ring;
  for (const std::int64_t offset : {70'000, 3, 12, 5, 1}) ring.Add(MakeDone(offset), 1);
  link::Done again = MakeDone(5);
  again.ref.attempt = 2;
  ring.Add(again, 1);
  std::vector<std::pair<std::int64_t, std::int32_t>> order;
  for (const auto& done : ring.Report(kPartition, 0, 2, 2)) order.emplace_back(done.ref.offset, done.ref.attempt);
  EXPECT_EQ(order, (std::vector<std::pair<std::int64_t, std::int32_t>>{{3, 1}, {5, 1}, {5, 2}, {12, 1}, {70'000, 1}}));
}

TEST(DoneRing, APartitionThatIsEmptyAgainIsUsedAgain) {
  DoneRing ring(1);
  const auto in = [](std::int32_t partition) {
    link::Done done = MakeDone(7);
    done.ref.partition.partition = partition;
    return done;
  };
  for (const std::int32_t partition : {0, 1, 0}) {
    ring.Add(in(partition), 1);
    ring.Acknowledge(in(partition).ref);
    EXPECT_EQ(ring.size(), 1U);
  }
  EXPECT_NE(ring.Find(in(0).ref), nullptr);
  EXPECT_EQ(ring.Find(in(1).ref), nullptr);
}

TEST(DoneRing, WhatNobodyAsksForIsLetGoInTheEnd) {
  DoneRing ring(2);
  ring.Add(MakeDone(0), 1);
  ring.Add(MakeDone(1), 1 + kOwedForUs / 2);
  EXPECT_TRUE(ring.full());
  ring.Add(MakeDone(2), 2 + kOwedForUs);
  EXPECT_EQ(ring.Report(kPartition, 0, 0, 2).size(), 2U);
}

}  // namespace
}  // namespace hearth::executor
