// Pieces of partitions, read by position: at a real broker, and before brokers that are away.
#include <librdkafka/rdkafka.h>
#include <sys/resource.h>
// after the former
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <optional>
#include <vector>

#include "common/kafka/chunks.h"
#include "tests/integration/kafka/broker.h"

namespace hearth::kafka {
namespace {

constexpr const char* kNowhere = "127.0.0.1:1";
constexpr std::size_t kMebibyte = 1 << 20;

using MockCluster = std::unique_ptr<rd_kafka_mock_cluster_t, Deleter<rd_kafka_mock_cluster_destroy>>;

// What it writes lies in the order of writing, also where the library had to send it again.
Client MakeWriter(const std::string& bootstrap, std::vector<Setting> settings = {}) {
  settings.emplace_back("enable.idempotence", "true");
  auto conf = MakeConf(bootstrap, "it-writer", settings);
  EXPECT_TRUE(conf);
  auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  EXPECT_TRUE(client);
  return std::move(*client);
}

// Each value begins with the number of its record in this call.
void Write(rd_kafka_t* writer, const PartitionId& partition, int count, std::size_t bytes = 0) {
  for (int i = 0; i < count; ++i) {
    std::string value = std::to_string(i);
    if (value.size() < bytes) value.append(bytes - value.size(), '.');
    const auto sent =
        rd_kafka_producev(writer, RD_KAFKA_V_TOPIC(partition.topic.c_str()), RD_KAFKA_V_PARTITION(partition.partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value.data(), value.size()),
                          RD_KAFKA_V_HEADER("name", "text", 4), RD_KAFKA_V_END);
    ASSERT_EQ(sent, RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  ASSERT_EQ(rd_kafka_flush(writer, kPatienceMs), RD_KAFKA_RESP_ERR_NO_ERROR);
}

std::vector<std::int64_t> OffsetsOf(const Chunk& chunk) {
  std::vector<std::int64_t> offsets;
  for (const auto& record : chunk.records) offsets.push_back(record->offset);
  return offsets;
}

std::vector<std::int64_t> Range(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(to - from));
  std::iota(offsets.begin(), offsets.end(), from);
  return offsets;
}

std::int64_t ProcessorUs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

class ChunksTest : public BrokerTest {
 protected:
  void Open(const std::string& bootstrap) {
    auto created = ChunkReader::Create(loop_, bootstrap, "it-chunks");
    ASSERT_TRUE(created) << created.error().message;
    reader_ = std::move(*created);
  }
  void SetUp() override {
    BrokerTest::SetUp();
    if (!HasFatalFailure()) Open(bootstrap_);
  }
  Result<Chunk> Read(const PartitionId& partition, std::int64_t offset, std::int64_t most = INT64_MAX) {
    std::optional<Result<Chunk>> answer;
    reader_->Read(partition, offset, most, [&answer](Result<Chunk> told) {
      EXPECT_FALSE(answer.has_value()) << "told twice";
      answer = std::move(told);
    });
    if (!Until([&answer] { return answer.has_value(); })) return Fail(Code::kDeadline, "never told");
    return std::move(*answer);
  }
  // Until a chunk is empty: `next` is then the end of the partition.
  Chunk ReadAll(const PartitionId& partition, std::int64_t offset) {
    Chunk all;
    all.next = offset;
    while (true) {
      auto chunk = Read(partition, all.next);
      EXPECT_TRUE(chunk) << chunk.error().message;
      if (!chunk) return all;
      EXPECT_GE(chunk->next, all.next);
      all.next = chunk->next;
      if (chunk->records.empty()) return all;
      EXPECT_LT(chunk->records.back()->offset, chunk->next);
      all.records.insert(all.records.end(), chunk->records.begin(), chunk->records.end());
    }
  }
  void DeleteRecordsBelow(const PartitionId& partition, std::int64_t offset) const {
    const auto client = MakeWriter(bootstrap_);
    const Queue answers(rd_kafka_queue_new(client.get()));
    const auto list = ListOf({partition});
    list->elems[0].offset = offset;
    rd_kafka_DeleteRecords_t* order = rd_kafka_DeleteRecords_new(list.get());
    rd_kafka_DeleteRecords(client.get(), &order, 1, nullptr, answers.get());
    rd_kafka_DeleteRecords_destroy(order);
    const Event event(rd_kafka_queue_poll(answers.get(), kPatienceMs));
    ASSERT_NE(event, nullptr);
    ASSERT_EQ(rd_kafka_event_error(event.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  std::unique_ptr<ChunkReader> reader_;
};

TEST_F(ChunksTest, PartitionsInTurnAreEachReadWholeAndInOrder) {
  constexpr int kPartitions = 3;
  constexpr int kRecords = 2000;
  const std::string topic = MakeTopic(kPartitions);
  const auto writer = MakeWriter(bootstrap_);
  for (int i = 0; i < kPartitions; ++i) Write(writer.get(), {topic, i}, kRecords + i, 1500);
  std::vector<std::vector<std::int64_t>> offsets(kPartitions);
  std::vector<std::int64_t> next(kPartitions, 0);
  for (int ended = 0; ended < kPartitions;) {
    ended = 0;
    for (int i = 0; i < kPartitions; ++i) {
      const auto chunk = Read({topic, i}, next[i]);
      ASSERT_TRUE(chunk) << chunk.error().message;
      ended += chunk->records.empty() ? 1 : 0;
      for (const auto& record : chunk->records) {
        EXPECT_EQ(record->partition, (PartitionId{topic, i}));
        EXPECT_EQ(record->value.substr(0, record->value.find('.')), std::to_string(record->offset));
        EXPECT_EQ(record->headers, (std::vector<Header>{{"name", "text"}}));
        EXPECT_GT(record->timestamp_ms, 0);
        offsets[i].push_back(record->offset);
      }
      next[i] = chunk->next;
    }
  }
  for (int i = 0; i < kPartitions; ++i) {
    EXPECT_EQ(next[i], kRecords + i);
    EXPECT_EQ(offsets[i], Range(0, kRecords + i));
  }
}

TEST_F(ChunksTest, ForthAndBackEachChunkBeginsWhereItIsAsked) {
  constexpr int kRecords = 3000;
  const PartitionId partition{MakeTopic(1), 0};
  Write(MakeWriter(bootstrap_).get(), partition, kRecords, 1500);
  for (const std::int64_t offset : {1500, 0, 2999, 7, 7, 2000, 1, 2500, 1499, 3000, 700}) {
    const auto chunk = Read(partition, offset);
    ASSERT_TRUE(chunk) << chunk.error().message;
    ASSERT_EQ(OffsetsOf(*chunk), Range(offset, chunk->next));
    EXPECT_EQ(chunk->records.empty(), offset == kRecords);
  }
}

TEST_F(ChunksTest, NoMoreThanIsWantedComesWhereverItIsReadOnFrom) {
  const std::string topic = MakeTopic(2);
  const auto writer = MakeWriter(bootstrap_);
  for (int i = 0; i < 2; ++i) Write(writer.get(), {topic, i}, 3000);
  const auto expect = [&](int number, std::int64_t offset, std::int64_t most, std::int64_t end) {
    const auto chunk = Read({topic, number}, offset, most);
    ASSERT_TRUE(chunk) << chunk.error().message;
    EXPECT_EQ(OffsetsOf(*chunk), Range(offset, end));
    EXPECT_EQ(chunk->next, end);
  };
  expect(0, 0, 10, 10);
  expect(0, 10, 1, 11);
  expect(0, 5, 3, 8);  // what was told is told again
  expect(0, 200, 100, 300);
  expect(1, 200, 100, 300);  // of another partition nothing is kept
  expect(0, 300, 2000, 2300);
  expect(0, 2990, 100, 3000);
  expect(0, 3000, 100, 3000);
  for (std::int64_t next = 0; next < 3000; next += 100) expect(0, next, 100, next + 100);
}

TEST_F(ChunksTest, AChunkEndsAtItsBytesHoweverSmallTheyWereOnTheWay) {
  const PartitionId partition{MakeTopic(1), 0};
  Write(MakeWriter(bootstrap_, {{"compression.codec", "gzip"}, {"linger.ms", "100"}}).get(), partition, 3000, 1000);
  const auto chunk = Read(partition, 0);
  ASSERT_TRUE(chunk) << chunk.error().message;
  EXPECT_LE(chunk->records.size(), kMebibyte / 1000 + 1);
  EXPECT_EQ(OffsetsOf(ReadAll(partition, chunk->next)), Range(chunk->next, 3000));
}

TEST_F(ChunksTest, LargeRecordsComeAndOneThatIsLargerThanAChunk) {
  const PartitionId partition{MakeTopic(1), 0};
  const auto writer = MakeWriter(bootstrap_, {{"message.max.bytes", "4000000"}});
  Write(writer.get(), partition, 5, kMebibyte);
  Write(writer.get(), partition, 1, 3 * kMebibyte);
  Write(writer.get(), partition, 2);
  const Chunk all = ReadAll(partition, 0);
  EXPECT_EQ(all.next, 8);
  EXPECT_EQ(OffsetsOf(all), Range(0, 8));
  EXPECT_EQ(all.records[5]->value.size(), 3 * kMebibyte);
  const auto back = Read(partition, 5);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(OffsetsOf(*back), std::vector<std::int64_t>{5});
}

TEST_F(ChunksTest, ControlRecordsAndAbortedOnesArePassed) {
  const PartitionId partition{MakeTopic(1), 0};
  const auto writer = MakeWriter(bootstrap_, {{"transactional.id", Unique("writer")}});
  const auto fine = [](rd_kafka_error_t* error) { return error == nullptr; };  // never more than once in a test
  ASSERT_TRUE(fine(rd_kafka_init_transactions(writer.get(), kPatienceMs)));
  ASSERT_TRUE(fine(rd_kafka_begin_transaction(writer.get())));
  Write(writer.get(), partition, 2);
  ASSERT_TRUE(fine(rd_kafka_commit_transaction(writer.get(), kPatienceMs)));
  for (int i = 0; i < 3; ++i) {  // several answers of the broker without a record
    ASSERT_TRUE(fine(rd_kafka_begin_transaction(writer.get())));
    Write(writer.get(), partition, 900, 1000);
    ASSERT_TRUE(fine(rd_kafka_abort_transaction(writer.get(), kPatienceMs)));
  }
  constexpr std::int64_t kAborted = 3;  // behind two records and a control record
  constexpr std::int64_t kBehind = kAborted + 3 * 901;
  const auto only_aborted = Read(partition, kAborted);
  ASSERT_TRUE(only_aborted) << only_aborted.error().message;
  EXPECT_TRUE(only_aborted->records.empty());
  EXPECT_EQ(only_aborted->next, kBehind);
  ASSERT_TRUE(fine(rd_kafka_begin_transaction(writer.get())));
  Write(writer.get(), partition, 1);
  ASSERT_TRUE(fine(rd_kafka_commit_transaction(writer.get(), kPatienceMs)));
  const Chunk all = ReadAll(partition, 0);
  EXPECT_EQ(OffsetsOf(all), (std::vector<std::int64_t>{0, 1, kBehind}));
  EXPECT_EQ(all.next, kBehind + 2);
}

TEST_F(ChunksTest, BelowTheStartOfTheLogReadingBeginsAtItsStart) {
  const PartitionId partition{MakeTopic(1), 0};
  Write(MakeWriter(bootstrap_).get(), partition, 10);
  ASSERT_TRUE(Read(partition, 2));
  DeleteRecordsBelow(partition, 6);
  const auto chunk = Read(partition, 2);
  ASSERT_TRUE(chunk) << chunk.error().message;
  EXPECT_EQ(OffsetsOf(*chunk), Range(6, 10));
  EXPECT_EQ(chunk->next, 10);
  DeleteRecordsBelow(partition, 10);
  const auto none = Read(partition, 2);
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_TRUE(none->records.empty());
  EXPECT_EQ(none->next, 10);
}

TEST_F(ChunksTest, AtTheEndIsNothingAndBeyondItIsNoOffset) {
  const PartitionId partition{MakeTopic(1), 0};
  const auto writer = MakeWriter(bootstrap_);
  Write(writer.get(), partition, 10);
  const auto at_end = Read(partition, 10);
  ASSERT_TRUE(at_end) << at_end.error().message;
  EXPECT_TRUE(at_end->records.empty());
  EXPECT_EQ(at_end->next, 10);
  const auto beyond = Read(partition, 11);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Code::kInvalid) << beyond.error().message;
  Write(writer.get(), partition, 3);
  const auto there = Read(partition, 11);
  ASSERT_TRUE(there) << there.error().message;
  EXPECT_EQ(OffsetsOf(*there), Range(11, 13));
}

TEST_F(ChunksTest, APartitionThatIsNotThereIsNotFoundAndOthersAreRead) {
  const std::string topic = MakeTopic(1);
  Write(MakeWriter(bootstrap_).get(), {topic, 0}, 1);
  for (const PartitionId& missing : {PartitionId{topic, 1}, PartitionId{Unique("missing"), 0}}) {
    const auto none = Read(missing, 0);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::kNotFound) << none.error().message;
    EXPECT_NE(none.error().message.find(missing.topic), std::string::npos);
    EXPECT_TRUE(Read({topic, 0}, 0));
  }
}

TEST_F(ChunksTest, ABrokerThatIsAwayIsUnavailableAndReadAgainWhenItIsBack) {
  constexpr const char* kTopic = "requests";
  constexpr int kBrokers = 3;
  const auto owner = MakeWriter("");
  const MockCluster cluster(rd_kafka_mock_cluster_new(owner.get(), kBrokers));
  rd_kafka_mock_topic_create(cluster.get(), kTopic, kBrokers, 1);
  for (int i = 0; i < kBrokers; ++i) rd_kafka_mock_partition_set_leader(cluster.get(), kTopic, i, i + 1);
  const std::string bootstrap = rd_kafka_mock_cluster_bootstraps(cluster.get());
  const auto writer = MakeWriter(bootstrap);
  for (int i = 0; i < kBrokers; ++i) Write(writer.get(), {kTopic, i}, 5);
  Open(bootstrap);
  for (int i = 0; i < kBrokers; ++i) {
    const std::int64_t before_us = ReadClocks().mono_us;
    const auto chunk = Read({kTopic, i}, 2);
    ASSERT_TRUE(chunk) << chunk.error().message;
    EXPECT_EQ(OffsetsOf(*chunk), Range(2, chunk->next));
    EXPECT_FALSE(chunk->records.empty());
    std::printf("first chunk of broker %d: %.1f ms\n", i + 1,
                static_cast<double>(ReadClocks().mono_us - before_us) / 1000);
  }
  rd_kafka_mock_broker_set_down(cluster.get(), 2);
  const auto away = Read({kTopic, 1}, 0);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Code::kUnavailable) << away.error().message;
  EXPECT_EQ(OffsetsOf(ReadAll({kTopic, 0}, 0)), Range(0, 5)) << "others are there";
  rd_kafka_mock_broker_set_up(cluster.get(), 2);
  std::optional<Result<Chunk>> back;
  ASSERT_TRUE(Until([&] {
    if (!back || !*back) back = Read({kTopic, 1}, 1);
    return back->has_value();
  }));
  EXPECT_EQ(OffsetsOf(ReadAll({kTopic, 1}, 1)), Range(1, 5));
}

TEST_F(ChunksTest, AReaderThatEndsInTheMiddleTellsNothing) {
  const PartitionId partition{MakeTopic(1), 0};
  Write(MakeWriter(bootstrap_).get(), partition, 3000, 1500);
  for (int i = 0; i < 10; ++i) {
    Open(bootstrap_);
    if (i % 2 == 1) {
      ASSERT_TRUE(Read(partition, 0));
    }
    reader_->Read(partition, 1000, INT64_MAX, [](const Result<Chunk>&) { ADD_FAILURE() << "it is gone"; });
    EXPECT_TRUE(reader_->reading());
    reader_.reset();
  }
  Open(kNowhere);
  reader_->Read(partition, 0, INT64_MAX, [](const Result<Chunk>&) { ADD_FAILURE() << "it is gone"; });
  reader_.reset();
  bool turned = false;
  loop_.Post([&turned] { turned = true; });
  EXPECT_TRUE(Until([&turned] { return turned; }));
}

TEST_F(ChunksTest, NowhereIsUnavailable) {
  Open(kNowhere);
  const auto none = Read({"topic", 0}, 0);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kUnavailable) << none.error().message;
  EXPECT_FALSE(reader_->reading());
}

// A measurement: what is printed is to be looked at.
TEST_F(ChunksTest, WhatManyChunksCost) {
  constexpr int kPartitions = 4;
  constexpr int kChunks = 200;
  constexpr int kRecords = 700;  // in a chunk
  constexpr int kChunksEach = 10;
  const std::string topic = MakeTopic(kPartitions);
  const auto writer = MakeWriter(bootstrap_, {{"batch.size", "32768"}});
  for (int i = 0; i < kPartitions; ++i) Write(writer.get(), {topic, i}, kChunksEach * kRecords, 1460);
  const std::int64_t first_us = ReadClocks().mono_us;
  ASSERT_TRUE(Read({topic, 0}, 0));
  const std::int64_t before_us = ReadClocks().mono_us;
  const std::int64_t processor_us = ProcessorUs();
  std::vector<std::int64_t> took_us;
  std::size_t records = 0;
  for (int i = 0; i < kChunks; ++i) {
    const std::int64_t begun_us = ReadClocks().mono_us;
    const std::int64_t offset = static_cast<std::int64_t>(i * 7 % kChunksEach) * kRecords;
    const auto chunk = Read({topic, i % kPartitions}, offset);
    ASSERT_TRUE(chunk) << chunk.error().message;
    ASSERT_EQ(OffsetsOf(*chunk), Range(offset, chunk->next));
    records += chunk->records.size();
    took_us.push_back(ReadClocks().mono_us - begun_us);
  }
  const std::int64_t spent_us = ProcessorUs() - processor_us;
  const std::int64_t wall_us = ReadClocks().mono_us - before_us;
  std::ranges::sort(took_us);
  std::printf(
      "first chunk %.1f ms; then %d chunks, %zu records: wall %.2f ms, processor %.2f ms a chunk (%.2f us a record); "
      "p50 %.2f ms, p99 %.2f ms, slowest %.2f ms\n",
      static_cast<double>(before_us - first_us) / 1000, kChunks, records, static_cast<double>(wall_us) / 1000 / kChunks,
      static_cast<double>(spent_us) / 1000 / kChunks, static_cast<double>(spent_us) / static_cast<double>(records),
      static_cast<double>(took_us[kChunks / 2]) / 1000, static_cast<double>(took_us[kChunks * 99 / 100]) / 1000,
      static_cast<double>(took_us.back()) / 1000);
}

}  // namespace
}  // namespace hearth::kafka
