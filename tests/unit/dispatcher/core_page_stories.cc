// Stories of ledger pages: what a commit has no room for, and what the next owner learns of it.
#include <set>

#include "tests/unit/dispatcher/core_backlog_stories.h"

namespace hearth::dispatcher {
namespace {

using Kind = Trace::Kind;

class LedgerPages : public BacklogStory {
 protected:
  static constexpr std::int64_t kCut = 16;  // offsets that a commit has room for, and that a page tells of
  static constexpr std::int64_t kEnd = 40;

  LedgerPages() {
    map_bytes_ = 72;
    page_offsets_ = kCut;
    Start();
  }
  // Offset 0 runs on; what follows to below `end` has ended.
  void EndAllButTheFirst(std::int64_t end = kEnd) {
    Connect("e1", 64);
    Own("std/0");
    Forget();
    ReceiveAll("std/0", 0, end);
    Placed();
    for (std::int64_t offset = 1; offset < end; ++offset) End(offset);
  }
  // All that the commit has no room for is in pages, and acknowledged.
  void AllIsDurable() {
    ASSERT_TRUE(CommitNow("std/0").has_value());
    CommitEnds("std/0");
    Pass(10);
    PagesAreWritten();
  }
  std::set<std::int64_t> PagesUnderWay() const {
    std::set<std::int64_t> pages;
    for (const WritePage& write : writing_) pages.insert(write.key.page);
    return pages;
  }
};

TEST_F(LedgerPages, ACommitThatIsCutLeadsToPages) {
  EndAllButTheFirst();
  const auto commit = CommitNow("std/0");
  ASSERT_TRUE(commit.has_value());
  const auto map = DecodeLedgerMap(commit->metadata);
  EXPECT_EQ(map->span, kCut);
  EXPECT_EQ(map->position, kEnd);
  PassAlive(1'000);
  EXPECT_TRUE(PagesUnderWay().empty()) << "no durable commit says that there are some";
  CommitEnds("std/0");
  Pass(10);
  EXPECT_EQ(PagesUnderWay(), (std::set<std::int64_t>{1, 2}));
  PagesAreWritten();
  for (std::int64_t offset = kCut; offset < kEnd; ++offset) EXPECT_TRUE(PagesClaim("std/0", offset)) << offset;
  EXPECT_FALSE(PagesClaim("std/0", kEnd));
  EXPECT_EQ(Numbers().pages_written, 2);
  EXPECT_EQ(Numbers().maps_truncated, 1);
}

TEST_F(LedgerPages, APageClaimsNothingThatIsNotComplete) {
  Connect("e1", 64);
  Own("std/0");
  Forget();
  ReceiveAll("std/0", 0, kEnd);
  Placed();
  for (std::int64_t offset = 1; offset < kEnd; ++offset) {
    if (offset % 3 != 0) End(offset);
  }
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  Pass(10);
  PagesAreWritten();
  for (std::int64_t offset = kCut; offset < kEnd; ++offset) {
    EXPECT_EQ(PagesClaim("std/0", offset), offset % 3 != 0) << offset;
  }
}

TEST_F(LedgerPages, EndsAreAcknowledgedOnlyWhenTheCommitAndThePageAreDurable) {
  EndAllButTheFirst();
  ASSERT_TRUE(CommitNow("std/0").has_value());
  EXPECT_EQ(Acknowledged(), Offsets{});
  CommitEnds("std/0");
  EXPECT_EQ(Acknowledged(), FromTo(1, kCut)) << "what the commit has room for";
  Forget();
  Pass(10);
  EXPECT_EQ(Acknowledged(), Offsets{});
  ASSERT_FALSE(writing_.empty());
  PagesAreWritten();
  EXPECT_EQ(Acknowledged(), FromTo(kCut, kEnd));
}

TEST_F(LedgerPages, APageThatFailedIsWrittenAgainAndAcknowledgesNothingBefore) {
  EndAllButTheFirst();
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  Forget();
  Pass(10);
  PagesAreWritten(false);
  EXPECT_EQ(Acknowledged(), Offsets{});
  EXPECT_EQ(Numbers().page_failures, 2);
  Pass(kPageIntervalMs - 100);
  EXPECT_TRUE(writing_.empty()) << "not at once";
  Pass(200);
  EXPECT_EQ(PagesUnderWay(), (std::set<std::int64_t>{1, 2}));
  PagesAreWritten();
  EXPECT_EQ(Acknowledged(), FromTo(kCut, kEnd));
}

TEST_F(LedgerPages, WhatTheCommitHasPassedIsTakenAway) {
  EndAllButTheFirst();
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  Pass(10);
  PagesAreWritten();
  ASSERT_EQ(pages_.size(), 2U);
  End(0);
  ASSERT_TRUE(CommitNow("std/0").has_value());
  EXPECT_EQ(LastCommit("std/0")->offset, kEnd);
  EXPECT_EQ(pages_.size(), 2U) << "that commit is not durable";
  CommitEnds("std/0");
  Pass(10);
  EXPECT_EQ(pages_.size(), 1U) << "page 2 tells of offsets up to 47";
  EXPECT_EQ(pages_.begin()->first.page, 2);
  ReceiveAll("std/0", kEnd, 3 * kCut);
  for (const std::int64_t offset : Placed()) End(offset);
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  Pass(10);
  EXPECT_TRUE(pages_.empty());
}

TEST_F(LedgerPages, TheNextOwnerReadsPagesAfterTheReportsAndBeforeAnythingOfTheFormerOwnerIsPlaced) {
  EndAllButTheFirst();
  ReceiveAll("std/0", kEnd, kEnd + 2);  // placed by the former owner, and lost on the way
  Placed();
  AllIsDurable();
  TakeOver("std/0");
  EXPECT_FALSE(reading_.has_value()) << "pages may tell that it is complete";
  PassAlive(2'000);
  EXPECT_FALSE(asks_for_pages_.has_value()) << "before its last report an executor may lead to another page";
  Report("e1", "std/0", EpochOf("std/0"), {refs_.at(0)});
  ASSERT_TRUE(asks_for_pages_.has_value());
  Forget();
  Receive("std/0", kEnd + 2);
  EXPECT_EQ(Placed(), Offsets{kEnd + 2}) << "what is new does not wait";
  PassAlive(1'000);
  EXPECT_FALSE(reading_.has_value());
  PagesAreRead();
  ASSERT_TRUE(reading_.has_value());
  EXPECT_EQ(reading_->offset, 0);
  ReadAllBack();
  EXPECT_EQ(Placed(), (Offsets{kEnd, kEnd + 1}));
  EXPECT_EQ(Numbers().placed, 4) << "the first is adopted";
  EXPECT_EQ(Numbers().received, 4) << "what is in pages is not received again";
}

TEST_F(LedgerPages, PagesThatCannotBeReadAreAskedForAgainAndNothingIsPlacedBefore) {
  EndAllButTheFirst();
  AllIsDurable();
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {});
  Forget();
  PagesAreRead(false);
  EXPECT_FALSE(asks_for_pages_.has_value()) << "not at once";
  EXPECT_FALSE(reading_.has_value());
  PassAlive(kClaimRetryMs);
  EXPECT_EQ(Placed(), Offsets{});
  PagesAreRead();
  ReadAllBack();
  EXPECT_EQ(Placed(), Offsets{0});
}

// Its claim says no more than it knows, and that there are pages.
TEST_F(LedgerPages, AnOwnerThatDiesBeforeItHasReadPagesHidesThemFromNobody) {
  EndAllButTheFirst();
  AllIsDurable();
  map_bytes_ = kMaxLedgerMapBytes;  // there is room to say that nothing is known of the rest
  for (int owners = 0; owners < 2; ++owners) {
    TakeOver("std/0");
    const auto map = DecodeLedgerMap(kafka_.at("std/0").second);
    ASSERT_TRUE(map.has_value());
    EXPECT_EQ(map->span, kCut);
    EXPECT_EQ(map->position, kEnd);
  }
  Report("e1", "std/0", EpochOf("std/0"), {});
  PagesAreRead();
  ReadAllBack();
  EXPECT_EQ(Placed(), Offsets{0});
}

TEST_F(LedgerPages, PagesOfAnotherGenerationDoNotCountAndAreTakenAway) {
  EndAllButTheFirst();
  AllIsDurable();
  const auto ours = pages_;
  pages_.clear();
  for (const auto& [key, value] : ours) {
    PageKey other = key;
    ++other.generation;
    pages_[other] = value;
  }
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {});
  PagesAreRead();
  Forget();
  ReadAllBack();
  Offsets expected = FromTo(kCut, kEnd);
  expected.insert(expected.begin(), 0);
  EXPECT_EQ(Placed(), expected) << "nothing above the span is known to be complete";
  PassAlive(1'000);
  PagesAreWritten();
  PassAlive(1'000);
  for (const auto& [key, value] : pages_) EXPECT_EQ(key.generation, refs_.at(0).generation);
}

TEST_F(LedgerPages, PagesOfABatchSayNothingOfALedgerAndAreNotTakenAway) {
  EndAllButTheFirst();
  AllIsDurable();
  PageKey of_batch = pages_.begin()->first;
  of_batch.batch = {UserId("alice"), BatchId("b")};
  ++of_batch.generation;  // a ledger's page of another generation is taken away
  pages_[of_batch] = EncodeLedgerPage({{0, 5}});
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {});
  PagesAreRead();
  ReadAllBack();
  ReceiveAll("std/0", kEnd, kEnd + 1);
  for (int i = 0; i < 3; ++i) {
    PassAlive(1'000);
    PagesAreWritten();
  }
  EXPECT_TRUE(pages_.contains(of_batch));
}

TEST_F(LedgerPages, PagesOfEveryEpochOfTheGenerationCount) {
  EndAllButTheFirst();
  AllIsDurable();
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {refs_.at(0)});
  PagesAreRead();
  ReadAllBack();
  ReceiveAll("std/0", kEnd, kEnd + 5);
  Placed();
  for (std::int64_t offset = kEnd; offset < kEnd + 4; ++offset) End(offset);
  AllIsDurable();
  End(kEnd + 4);
  PassAlive(1'000);
  PagesAreWritten();
  std::set<std::int64_t> epochs;
  for (const auto& [key, value] : pages_) epochs.insert(key.epoch);
  EXPECT_EQ(epochs.size(), 2U);
  for (auto page = pages_.begin(); page != pages_.end();) {  // each has to say its own
    page = page->first.epoch == *epochs.rbegin() && page->first.page == 1 ? pages_.erase(page) : std::next(page);
  }
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {});
  PagesAreRead();
  Forget();
  ReadAllBack();
  EXPECT_EQ(Placed(), Offsets{0});
}

TEST_F(LedgerPages, TheEpochIsAboveEveryPages) {
  EndAllButTheFirst();
  AllIsDurable();
  PageKey key = pages_.begin()->first;
  key.epoch = 50;
  pages_[key] = pages_.begin()->second;
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {});
  Forget();
  PagesAreRead();
  ASSERT_TRUE(LastCommit("std/0").has_value());
  EXPECT_EQ(LastCommit("std/0")->epoch, 51);
  ReadAllBack();
  EXPECT_EQ(Placed(), Offsets{}) << "that is not claimed yet";
}

TEST_F(LedgerPages, APageThatCannotBeUnderstoodClaimsNothing) {
  EndAllButTheFirst();
  AllIsDurable();
  for (auto& [key, value] : pages_) {
    if (key.page == 1) value = "junk";
  }
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {});
  PagesAreRead();
  EXPECT_TRUE(Traced(Kind::kFenced, "unreadable_page"));
  Forget();
  ReadAllBack();
  Offsets expected = FromTo(kCut, 2 * kCut);
  expected.insert(expected.begin(), 0);
  EXPECT_EQ(Placed(), expected);
}

TEST_F(LedgerPages, AnAnswerToAnotherEpochsQuestionIsNone) {
  EndAllButTheFirst();
  AllIsDurable();
  TakeOver("std/0");
  Report("e1", "std/0", EpochOf("std/0"), {});
  ASSERT_TRUE(asks_for_pages_.has_value());
  const PagesRead late{Part("std/0"), asks_for_pages_->epoch - 1, {}, true};
  Forget();
  Step(late);
  EXPECT_FALSE(reading_.has_value());
  EXPECT_EQ(Placed(), Offsets{});
  PagesAreRead();
  EXPECT_TRUE(reading_.has_value());
}

TEST_F(LedgerPages, AReclaimAsksForPagesAnewAndBelievesNoOlderWrite) {
  EndAllButTheFirst();
  ASSERT_TRUE(CommitNow("std/0").has_value());
  CommitEnds("std/0");
  Forget();
  Pass(10);
  ASSERT_FALSE(writing_.empty());
  Stall(kSessionMs + 1);  // somebody else may have been there
  PagesAreWritten();
  EXPECT_EQ(Acknowledged(), Offsets{}) << "written under an epoch that has passed";
  CommitEnds("std/0");
  HaveNothingToReport("std/0");
  ASSERT_TRUE(Numbers().partitions == 1);
  Forget();
  PassAlive(1'000);
  if (LastCommit("std/0")) CommitEnds("std/0");
  PassAlive(1'000);
  PagesAreWritten();
  const Offsets acknowledged = Acknowledged();
  for (std::int64_t offset = kCut; offset < kEnd; ++offset) {
    EXPECT_EQ(std::ranges::count(acknowledged, offset), 1) << offset;
  }
}

// A page that is written may lie beyond where the last durable commit says that reading has come: it does not claim
// what lies there. It has to be written again when a commit has told of it.
TEST_F(LedgerPages, WhatAPageMayNotClaimYetIsWrittenWhenACommitHasToldOfIt) {
  EndAllButTheFirst();
  AllIsDurable();
  PassAlive(1'000);
  ReceiveAll("std/0", kEnd, kEnd + 20);
  Placed();
  for (std::int64_t offset = kEnd; offset < kEnd + 20; ++offset) End(offset);
  Pass(10);           // the commit before says that reading has come to kEnd
  PagesAreWritten();  // of what lies above they say nothing
  for (int round = 0; round < 4; ++round) {
    PassAlive(1'000);
    if (LastCommit("std/0")) CommitEnds("std/0");
    PagesAreWritten();
  }
  for (std::int64_t offset = kEnd; offset < kEnd + 20; ++offset) EXPECT_TRUE(PagesClaim("std/0", offset)) << offset;
  const Offsets acknowledged = Acknowledged();
  for (std::int64_t offset = kEnd; offset < kEnd + 20; ++offset) {
    EXPECT_EQ(std::ranges::count(acknowledged, offset), 1) << offset;
  }
}

}  // namespace
}  // namespace hearth::dispatcher
