// Which pages of one partition are written when, and what is acknowledged with them.
#include "dispatcher/core/page_writer.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kOffsets = 10;  // of a page
constexpr std::int64_t kIntervalUs = kPageIntervalMs * kMicrosPerMilli;

class PageWriterTest : public testing::Test {
 protected:
  std::vector<std::int64_t> Due() {
    std::vector<std::int64_t> due;
    while (const auto page = pages_.TakeDue(now_us_)) due.push_back(*page);
    return due;
  }
  static Owed OwedOf(std::int64_t offset) {
    Owed owed;
    owed.executor = ExecutorId("e1");
    owed.ref.offset = offset;
    return owed;
  }
  static std::vector<std::int64_t> OffsetsOf(const std::vector<Owed>& owed) {
    std::vector<std::int64_t> offsets;
    for (const Owed& one : owed) offsets.push_back(one.ref.offset);
    return offsets;
  }
  // A commit that had room for so much is durable.
  void CutAndTold(std::int64_t told, std::int64_t next) {
    pages_.Cut(told, next, kOffsets);
    pages_.Told(next);
  }

  PageWriter pages_;
  std::int64_t now_us_ = 1'000'000'000;
};

using Pages = std::vector<std::int64_t>;

TEST_F(PageWriterTest, NothingIsWrittenBeforeADurableCommitSaysThatThereArePages) {
  pages_.MarkDirty(5, kOffsets);
  EXPECT_EQ(pages_.position(), std::nullopt);
  pages_.Cut(25, 60, kOffsets);
  EXPECT_EQ(pages_.position(), std::nullopt);
  EXPECT_EQ(Due(), Pages{}) << "that commit is not durable";
  pages_.Told(60);
  EXPECT_EQ(pages_.position(), 60);
  EXPECT_EQ(Due(), (Pages{2, 3, 4, 5})) << "all that the commit has no room for";
}

TEST_F(PageWriterTest, WhereTheCommitHasRoomForAllNoPageIsWritten) {
  CutAndTold(25, 60);
  pages_.Whole();
  EXPECT_EQ(pages_.position(), std::nullopt);
  EXPECT_EQ(Due(), Pages{});
  pages_.ToldWhole();
  pages_.Cut(25, 60, kOffsets);
  EXPECT_EQ(Due(), Pages{}) << "what an older commit has said does not count";
  pages_.Told(60);
  EXPECT_EQ(Due(), (Pages{2, 3, 4, 5}));
}

TEST_F(PageWriterTest, APageIsWrittenAgainWhenMoreIsCompleteInItAndAfterItsInterval) {
  CutAndTold(20, 40);
  ASSERT_EQ(Due(), (Pages{2, 3}));
  (void)pages_.End(2, true);
  (void)pages_.End(3, true);
  pages_.MarkDirty(33, kOffsets);
  now_us_ += kIntervalUs - 1;
  EXPECT_EQ(Due(), Pages{});
  ++now_us_;
  EXPECT_EQ(Due(), Pages{3});
  (void)pages_.End(3, true);
  now_us_ += kIntervalUs;
  EXPECT_EQ(Due(), Pages{}) << "nothing has changed";
}

TEST_F(PageWriterTest, OfAPageOneWriteIsUnderWay) {
  CutAndTold(30, 40);
  ASSERT_EQ(Due(), Pages{3});
  EXPECT_TRUE(pages_.is_writing(3));
  pages_.MarkDirty(33, kOffsets);
  now_us_ += 10 * kIntervalUs;
  EXPECT_EQ(Due(), Pages{});
  (void)pages_.End(3, true);
  EXPECT_FALSE(pages_.is_writing(3));
  EXPECT_EQ(Due(), Pages{3});
}

TEST_F(PageWriterTest, WhatTheCommitTellsOfByNowIsNotWritten) {
  CutAndTold(20, 60);
  pages_.Cut(41, 60, kOffsets);
  EXPECT_EQ(Due(), (Pages{4, 5})) << "page 4 is cut in the middle";
}

TEST_F(PageWriterTest, APageThatCouldNotBeWrittenIsWrittenAgain) {
  CutAndTold(30, 40);
  ASSERT_EQ(Due(), Pages{3});
  pages_.Cover(3, OwedOf(31));
  EXPECT_FALSE(pages_.failing());
  EXPECT_EQ(OffsetsOf(pages_.End(3, false)), Pages{31}) << "it is owed still";
  EXPECT_TRUE(pages_.failing());
  EXPECT_EQ(Due(), Pages{}) << "not at once";
  now_us_ += kIntervalUs;
  ASSERT_EQ(Due(), Pages{3});
  (void)pages_.End(3, true);
  EXPECT_FALSE(pages_.failing());
}

TEST_F(PageWriterTest, AWriteAcknowledgesWhatItCovers) {
  CutAndTold(30, 50);
  ASSERT_EQ(Due(), (Pages{3, 4}));
  pages_.Cover(3, OwedOf(31));
  pages_.Cover(4, OwedOf(44));
  pages_.Cover(3, OwedOf(35));
  EXPECT_EQ(OffsetsOf(pages_.End(3, true)), (Pages{31, 35}));
  EXPECT_EQ(OffsetsOf(pages_.End(3, true)), Pages{}) << "once";
  EXPECT_EQ(OffsetsOf(pages_.End(4, true)), Pages{44});
}

TEST_F(PageWriterTest, ANewEpochWritesAnewAndBelievesNoOlderCommit) {
  CutAndTold(30, 50);
  ASSERT_EQ(Due(), (Pages{3, 4}));
  pages_.Cover(3, OwedOf(31));
  (void)pages_.End(4, true);
  EXPECT_EQ(OffsetsOf(pages_.Restart()), Pages{31});
  EXPECT_FALSE(pages_.is_writing(3));
  EXPECT_EQ(OffsetsOf(pages_.End(3, true)), Pages{}) << "the answer to a write of the older epoch";
  now_us_ += kIntervalUs;
  EXPECT_EQ(Due(), Pages{});
  CutAndTold(30, 50);
  EXPECT_EQ(Due(), Pages{3}) << "page 4 stands as it is";
}

}  // namespace
}  // namespace hearth::dispatcher
