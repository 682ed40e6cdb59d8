// The pages of ledgers at a real broker: what was written is read, whoever wrote what else to the topic.
#include "dispatcher/pages.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dispatcher/core/ledger_page.h"
#include "dispatcher/core/status_page.h"
#include "tests/integration/kafka/broker.h"

namespace hearth::dispatcher {
namespace {

using kafka::kPatienceMs;

constexpr std::int64_t kShortSilenceMs = 1000;
constexpr int kPartitions = 8;

class PagesTest : public kafka::BrokerTest {
 protected:
  void SetUp() override {
    BrokerTest::SetUp();
    if (HasFatalFailure()) return;
    auto producer = kafka::Producer::Create(loop_, bootstrap_, "it-pages");
    ASSERT_TRUE(producer) << producer.error().message;
    producer_ = std::move(*producer);
  }

  void Open(const std::string& topic, std::int64_t silence_ms = kPatienceMs, std::size_t most_bytes = kMostPageBytes) {
    topic_ = topic;
    store_ = std::make_unique<PageStore>(loop_, *producer_,
                                         PageTopic{bootstrap_, "it-pages", topic, silence_ms, most_bytes});
  }
  std::string MakeLedger(int partitions = kPartitions) const {
    return MakeTopic(partitions, {{"cleanup.policy", "compact"}});
  }

  // What the store answers; an own code where it answers nothing in time.
  Result<void> Write(const PageKey& key, std::string value) {
    std::optional<Result<void>> answer;
    store_->Write(key, std::move(value), [&](Result<void> result) { answer = std::move(result); });
    if (!Until([&] { return answer.has_value(); })) return Fail(Code::kDeadline, "no answer");
    return *answer;
  }
  Result<StoredPages> ReadAll(const PartitionId& partition) {
    std::optional<Result<StoredPages>> answer;
    store_->Read(partition, [&](Result<StoredPages> pages) { answer = std::move(pages); });
    if (!Until([&] { return answer.has_value(); })) return Fail(Code::kDeadline, "no answer");
    return std::move(*answer);
  }
  // Where none lack.
  Result<std::vector<StoredPage>> Read(const PartitionId& partition) {
    auto answer = ReadAll(partition);
    if (!answer) return std::unexpected(answer.error());
    EXPECT_EQ(answer->lacking, 0U);
    return std::move(answer->pages);
  }
  // By a producer of somebody else, into the partition where the pages of `partition` are.
  void WriteRubbish(const PartitionId& partition, const std::string& key, const std::string& value) {
    OutRecord record{topic_, key, value, {}};
    record.partition = PagePartition(partition, kPartitions);
    bool written = false;
    producer_->Send(std::move(record), [&](const Result<std::int64_t>& result) { written = result.has_value(); });
    ASSERT_TRUE(Until([&] { return written; }));
  }

  std::string topic_;
  std::unique_ptr<kafka::Producer> producer_;
  std::unique_ptr<PageStore> store_;
  const PartitionId std0_{"hearth.invoke.std", 0};
};

std::string Page(std::int64_t start, std::int64_t length) {
  return EncodeLedgerPage({{start, length}});
}

TEST_F(PagesTest, WhatIsWrittenIsReadAndOfEachKeyTheLast) {
  Open(MakeLedger());
  const PageKey first{std0_, 77, 0, 1};
  const PageKey second{std0_, 77, 1, 1};
  const auto nothing = Read(std0_);
  ASSERT_TRUE(nothing) << nothing.error().message;
  ASSERT_TRUE(nothing->empty());
  ASSERT_TRUE(Write(second, Page(5, 1)));
  ASSERT_TRUE(Write(first, Page(0, 10)));
  ASSERT_TRUE(Write(first, Page(0, 20)));
  const auto pages = Read(std0_);
  ASSERT_TRUE(pages) << pages.error().message;
  EXPECT_EQ(*pages, (std::vector<StoredPage>{{first, Page(0, 20)}, {second, Page(5, 1)}}));
  EXPECT_EQ(store_->writing(), 0U);
}

TEST_F(PagesTest, AnotherDispatcherReadsThemToo) {
  Open(MakeLedger());
  const PageKey key{std0_, 77, 0, 1};
  ASSERT_TRUE(Write(key, Page(0, 10)));
  Open(topic_);
  EXPECT_EQ(Read(std0_).value(), (std::vector<StoredPage>{{key, Page(0, 10)}}));
}

TEST_F(PagesTest, WhatHasATombstoneIsNotTold) {
  Open(MakeLedger());
  const PageKey gone{std0_, 77, 0, 1};
  const PageKey stays{std0_, 77, 1, 1};
  const PageKey back{std0_, 77, 2, 1};
  for (const auto& key : {gone, stays, back}) ASSERT_TRUE(Write(key, Page(1, 1)));
  ASSERT_TRUE(Write(gone, ""));
  ASSERT_TRUE(Write(back, ""));
  ASSERT_TRUE(Write(back, Page(2, 2)));
  EXPECT_EQ(Read(std0_).value(), (std::vector<StoredPage>{{stays, Page(1, 1)}, {back, Page(2, 2)}}));
}

TEST_F(PagesTest, EpochsAndGenerationsStandBesideEachOther) {
  Open(MakeLedger());
  std::vector<StoredPage> wanted;
  for (const std::int64_t generation : {5, 77}) {
    for (const std::int64_t epoch : {1, 2, 10}) {
      wanted.push_back({{std0_, generation, 3, epoch}, Page(epoch, generation)});
      ASSERT_TRUE(Write(wanted.back().key, wanted.back().value));
    }
  }
  EXPECT_EQ(Read(std0_).value(), wanted);
}

TEST_F(PagesTest, RequestPartitionsThatShareAPartitionOfTheTopicAreReadApart) {
  Open(MakeLedger(1));
  const PartitionId std1{"hearth.invoke.std", 1};
  const PartitionId none{"hearth.invoke.std", 11};
  const PageKey of0{std0_, 7, 0, 1};
  const PageKey of1{std1, 7, 0, 1};
  ASSERT_TRUE(Write(of0, Page(0, 1)));
  ASSERT_TRUE(Write(of1, Page(1, 1)));
  // All at once, one of them twice, as after a take-over.
  std::vector<std::pair<PartitionId, Result<StoredPages>>> answers;
  for (const auto& partition : {std0_, std1, none, std0_}) {
    store_->Read(partition, [&answers, partition](Result<StoredPages> pages) {
      answers.emplace_back(partition, std::move(pages));
    });
  }
  EXPECT_TRUE(answers.empty()) << "not before the call has returned";
  ASSERT_TRUE(Until([&] { return answers.size() == 4; }));
  for (const auto& [partition, pages] : answers) {
    ASSERT_TRUE(pages) << pages.error().message;
    std::vector<StoredPage> wanted;
    if (partition == std0_) wanted = {{of0, Page(0, 1)}};
    if (partition == std1) wanted = {{of1, Page(1, 1)}};
    EXPECT_EQ(pages->pages, wanted) << kafka::Name(partition);
  }
}

TEST_F(PagesTest, AllPartitionsOfTheTopicAreUsedAndReadInOneRound) {
  Open(MakeLedger());
  std::set<std::int32_t> used;
  constexpr int kRequestPartitions = 24;
  int written = 0;
  for (std::int32_t i = 0; i < kRequestPartitions; ++i) {
    const PartitionId partition{"hearth.invoke.std", i};
    used.insert(PagePartition(partition, kPartitions));
    store_->Write({partition, 7, 0, 1}, Page(i, 1), [&](const Result<void>& result) { written += result ? 1 : 0; });
  }
  ASSERT_TRUE(Until([&] { return written == kRequestPartitions; }));
  EXPECT_GT(used.size(), 4U);
  int right = 0;
  for (std::int32_t i = 0; i < kRequestPartitions; ++i) {
    const PartitionId partition{"hearth.invoke.std", i};
    store_->Read(partition, [&right, partition, i](const Result<StoredPages>& pages) {
      right += pages && pages->pages == std::vector<StoredPage>{{{partition, 7, 0, 1}, Page(i, 1)}} ? 1 : 0;
    });
  }
  EXPECT_TRUE(Until([&] { return right == kRequestPartitions; })) << right;
}

// What a page takes in memory while it is read.
std::size_t BytesOf(const PageKey& key, const std::string& value) {
  return PageKeyText(key).size() + value.size() + kafka::kBytesBesideValue;
}

PageKey OfBatch(const std::string& batch, std::int64_t page) {
  return {{"hearth.batches", 3}, 0, page, 1, {UserId("ada"), BatchId(batch)}};
}

TEST_F(PagesTest, PagesOfBatchesAreReadWithTheirPartitionAndMayBeLargerThanThoseOfALedger) {
  Open(MakeLedger());
  const PageKey large = OfBatch("a", 0);
  const PageKey other = OfBatch("b", 1);
  const std::string value(kMaxStatusPageBytes, 'x');
  ASSERT_TRUE(Write(large, value));
  ASSERT_TRUE(Write(other, "y"));
  EXPECT_EQ(Read(large.partition).value(), (std::vector<StoredPage>{{large, value}, {other, "y"}}));
  WriteRubbish(large.partition, PageKeyText(OfBatch("c", 0)), value + "x");
  EXPECT_EQ(Read(large.partition).value().size(), 2U);
  EXPECT_TRUE(Until([&] { return store_->unreadable() == 1; }));
}

// A take-over waits for what it reads: it must come to an end whatever batches have left.
TEST_F(PagesTest, OfTooManyPagesOfBatchesTheOnesThatWereWrittenLastAreRead) {
  const std::string value(1000, 'v');
  Open(MakeLedger(), kPatienceMs, 3 * BytesOf(OfBatch("a", 0), value));
  for (int page = 0; page < 4; ++page) ASSERT_TRUE(Write(OfBatch("a", page), value));
  ASSERT_TRUE(Write(OfBatch("a", 1), value)) << "it is the last now";
  ASSERT_TRUE(Write(OfBatch("a", 4), value));
  const auto pages = ReadAll(OfBatch("a", 0).partition);
  ASSERT_TRUE(pages) << pages.error().message;
  EXPECT_EQ(pages->pages,
            (std::vector<StoredPage>{{OfBatch("a", 1), value}, {OfBatch("a", 3), value}, {OfBatch("a", 4), value}}));
  EXPECT_GE(pages->lacking, 2U);
}

TEST_F(PagesTest, WhatWasTakenAwayNeedsNoRoom) {
  const std::string value(1000, 'v');
  Open(MakeLedger(), kPatienceMs, 2 * BytesOf(OfBatch("a", 0), value));
  ASSERT_TRUE(Write(OfBatch("a", 0), value));
  ASSERT_TRUE(Write(OfBatch("a", 1), value));
  ASSERT_TRUE(Write(OfBatch("a", 1), ""));
  ASSERT_TRUE(Write(OfBatch("a", 2), value));
  EXPECT_EQ(Read(OfBatch("a", 0).partition).value(),
            (std::vector<StoredPage>{{OfBatch("a", 0), value}, {OfBatch("a", 2), value}}));
}

TEST_F(PagesTest, TheLedgersOwnPagesAreReadWholeWhateverBatchesLeave) {
  const std::string value(1000, 'v');
  const PageKey own{{"hearth.batches", 3}, 7, 0, 1};
  Open(MakeLedger(), kPatienceMs, 2 * BytesOf(OfBatch("a", 0), value));
  ASSERT_TRUE(Write(own, Page(0, 10)));
  for (int page = 0; page < 4; ++page) ASSERT_TRUE(Write(OfBatch("a", page), value));
  const auto pages = ReadAll(own.partition);
  ASSERT_TRUE(pages) << pages.error().message;
  EXPECT_EQ(pages->pages, (std::vector<StoredPage>{{OfBatch("a", 3), value}, {own, Page(0, 10)}}));
  EXPECT_EQ(pages->lacking, 3U);
}

TEST_F(PagesTest, ALedgerThatIsTooLargeIsNotReadInPart) {
  const PageKey first{std0_, 7, 0, 1};
  const PageKey second{std0_, 7, 1, 1};
  Open(MakeLedger(), kPatienceMs, BytesOf(first, Page(0, 10)));
  ASSERT_TRUE(Write(first, Page(0, 10)));
  EXPECT_EQ(Read(std0_).value().size(), 1U);
  ASSERT_TRUE(Write(second, Page(0, 10)));
  const auto pages = Read(std0_);
  ASSERT_FALSE(pages);
  EXPECT_EQ(pages.error().code, Code::kExhausted) << pages.error().message;
}

TEST_F(PagesTest, ATopicThatIsNotThereIsNotFoundAndIsFoundOnceItIs) {
  Open(Unique("absent"));
  const PageKey key{std0_, 7, 0, 1};
  const auto pages = Read(std0_);
  ASSERT_FALSE(pages);
  EXPECT_EQ(pages.error().code, Code::kNotFound) << pages.error().message;
  const auto written = Write(key, Page(0, 1));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kNotFound) << written.error().message;
  EXPECT_EQ(store_->writing(), 0U);
  ASSERT_TRUE(kafka::CreateTopics(bootstrap_, {{topic_, kPartitions, 1, {}}}, kPatienceMs));
  ASSERT_TRUE(Write(key, Page(0, 1)));
  EXPECT_EQ(Read(std0_).value(), (std::vector<StoredPage>{{key, Page(0, 1)}}));
}

TEST_F(PagesTest, NobodyAnswersWhereNoBrokerIs) {
  auto producer = kafka::Producer::Create(loop_, "127.0.0.1:1", "it-pages");
  ASSERT_TRUE(producer);
  producer_ = std::move(*producer);
  bootstrap_ = "127.0.0.1:1";
  Open("hearth.ledger");
  const auto pages = Read(std0_);
  ASSERT_FALSE(pages);
  EXPECT_EQ(pages.error().code, Code::kUnavailable) << pages.error().message;
  const auto written = Write({std0_, 7, 0, 1}, Page(0, 1));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kUnavailable) << written.error().message;
}

TEST_F(PagesTest, RubbishOfOthersIsLeftOutAndCounted) {
  Open(MakeLedger());
  const PageKey key{std0_, 7, 0, 1};
  ASSERT_TRUE(Write(key, Page(0, 1)));
  WriteRubbish(std0_, "not a key", "value");
  WriteRubbish(std0_, "", "an empty key");
  WriteRubbish(std0_, "hearth.invoke.std/0/7/0/01", "value");
  WriteRubbish(std0_, std::string("hearth.invoke.std/0/7/0/1\0", 26), "value");
  WriteRubbish(std0_, PageKeyText(key), std::string(kMaxLedgerPageBytes + 1, 'x'));
  EXPECT_EQ(Read(std0_).value(), (std::vector<StoredPage>{{key, Page(0, 1)}}));
  EXPECT_TRUE(Until([&] { return store_->unreadable() == 5; })) << store_->unreadable();
}

TEST_F(PagesTest, OfWritesUnderOneKeyTheNewestFollowsTheOneUnderWay) {
  Open(MakeLedger());
  const PageKey key{std0_, 7, 0, 1};
  std::vector<int> told;
  for (int i = 1; i <= 50; ++i) {
    store_->Write(key, Page(0, i), [&told, i](const Result<void>& result) {
      if (result) told.push_back(i);
    });
  }
  ASSERT_TRUE(Until([&] { return told.size() == 50; }));
  EXPECT_TRUE(std::ranges::is_sorted(told));
  EXPECT_EQ(Read(std0_).value(), (std::vector<StoredPage>{{key, Page(0, 50)}}));
}

TEST_F(PagesTest, TooManyWritesAreRefused) {
  Open(MakeLedger());
  std::size_t refused = 0, written = 0;
  for (std::size_t i = 0; i < kMostPageWrites + 3; ++i) {
    store_->Write({std0_, 7, static_cast<std::int64_t>(i), 1}, Page(0, 1), [&](const Result<void>& result) {
      if (!result && result.error().code == Code::kExhausted) ++refused;
      if (result) ++written;
    });
  }
  EXPECT_EQ(refused, 0U) << "not before the call has returned";
  EXPECT_TRUE(Until([&] { return refused + written == kMostPageWrites + 3; }));
  EXPECT_EQ(refused, 3U);
}

// Pages that are acknowledged stand behind a transaction that is open: to say that they are not there would be wrong.
TEST_F(PagesTest, AnOpenTransactionOfSomebodyMakesReadingFailUntilItHasEnded) {
  Open(MakeLedger(), kShortSilenceMs);
  const PageKey key{std0_, 7, 0, 1};
  const PageKey aborted{std0_, 7, 1, 1};
  auto conf = kafka::MakeConf(bootstrap_, "it-stranger", {{"transactional.id", Unique("stranger")}});
  ASSERT_TRUE(conf);
  const auto stranger = kafka::MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  ASSERT_TRUE(stranger);
  const auto fine = [](rd_kafka_error_t* error) { return error == nullptr; };  // never more than once in a test
  ASSERT_TRUE(fine(rd_kafka_init_transactions(stranger->get(), kPatienceMs)));
  ASSERT_TRUE(fine(rd_kafka_begin_transaction(stranger->get())));
  std::string name = PageKeyText(aborted);
  std::string value = Page(0, 9);
  ASSERT_EQ(rd_kafka_producev(stranger->get(), RD_KAFKA_V_TOPIC(topic_.c_str()),
                              RD_KAFKA_V_PARTITION(PagePartition(std0_, kPartitions)),
                              RD_KAFKA_V_KEY(name.data(), name.size()), RD_KAFKA_V_VALUE(value.data(), value.size()),
                              RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(rd_kafka_flush(stranger->get(), kPatienceMs), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_TRUE(Write(key, Page(0, 1)));
  const auto hidden = Read(std0_);
  ASSERT_FALSE(hidden);
  EXPECT_EQ(hidden.error().code, Code::kUnavailable) << hidden.error().message;
  ASSERT_TRUE(fine(rd_kafka_abort_transaction(stranger->get(), kPatienceMs)));
  // The broker may end a transaction a moment after it has said so.
  Result<std::vector<StoredPage>> pages = Read(std0_);
  for (int again = 0; !pages && again < 10; ++again) pages = Read(std0_);
  EXPECT_EQ(pages.value(), (std::vector<StoredPage>{{key, Page(0, 1)}}));
}

TEST_F(PagesTest, TheStoreMayGoWhileItIsAsked) {
  Open(MakeLedger());
  int told = 0;
  store_->Read(std0_, [&](const Result<StoredPages>&) { ++told; });
  store_->Write({std0_, 7, 0, 1}, Page(0, 1), [&](const Result<void>&) { ++told; });
  store_.reset();
  Open(topic_);
  ASSERT_TRUE(Write({std0_, 7, 1, 1}, Page(0, 1)));
  EXPECT_EQ(told, 0);
}

TEST_F(PagesTest, TwoThousandPagesOfTheWorstKindAreReadInSeconds) {
  constexpr int kPages = 2000;
  constexpr std::int64_t kMostMs = 10'000;
  Open(MakeLedger());
  std::vector<LedgerRange> alternate;
  for (std::int64_t i = 1; i < kPageOffsets; i += 2) alternate.push_back({i, 1});
  const std::string worst = EncodeLedgerPage(alternate);
  int written = 0;
  for (int i = 0; i < kPages; ++i) {
    store_->Write({std0_, 7, i, 1}, worst, [&](const Result<void>& result) { written += result ? 1 : 0; });
  }
  ASSERT_TRUE(Until([&] { return written == kPages; }));
  for (const char* what : {"first", "second"}) {
    const std::int64_t began_us = ReadClocks().mono_us;
    const auto pages = Read(std0_);
    const std::int64_t took_ms = (ReadClocks().mono_us - began_us) / kMicrosPerMilli;
    ASSERT_TRUE(pages) << pages.error().message;
    std::printf("%s reading of %d pages, %zu bytes each: %lld ms\n", what, kPages, worst.size(),
                static_cast<long long>(took_ms));
    EXPECT_LT(took_ms, kMostMs);
    ASSERT_EQ(pages->size(), static_cast<std::size_t>(kPages));
    for (int i = 0; i < kPages; ++i) {
      EXPECT_EQ((*pages)[static_cast<std::size_t>(i)].key, (PageKey{std0_, 7, i, 1}));
    }
    EXPECT_EQ(pages->back().value, worst);
  }
}

}  // namespace
}  // namespace hearth::dispatcher
