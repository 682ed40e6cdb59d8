// Many records into one partition, and reading a partition by position, with a real broker.
#include "common/kafka/bulk_sender.h"

#include <gmock/gmock.h>

#include <vector>

#include "common/kafka/partition_reader.h"
#include "schemas/limits.h"
#include "tests/integration/kafka/broker.h"

namespace hearth::kafka {
namespace {

using testing::HasSubstr;

constexpr std::int32_t kPartition = 1;

class BulkTest : public BrokerTest {
 protected:
  void SetUp() override {
    BrokerTest::SetUp();
    topic_ = MakeTopic(2);
  }
  BulkSender Sender() {
    auto sender = BulkSender::Open(bootstrap_, "bulk-test", {topic_, kPartition},
                                   [this](std::int64_t offset) { offsets_.push_back(offset); });
    EXPECT_TRUE(sender);
    return std::move(*sender);
  }
  PartitionReader Reader() {
    auto reader = PartitionReader::Open(bootstrap_, "bulk-test", {topic_, kPartition}, kPatienceMs);
    EXPECT_TRUE(reader) << reader.error().message;
    return std::move(*reader);
  }
  // Up to the end of what there is when it is called.
  std::vector<Record> ReadFrom(PartitionReader& reader, std::int64_t offset) {
    const auto bounds = reader.Bounds(kPatienceMs);
    EXPECT_TRUE(bounds && reader.Seek(offset));
    std::vector<Record> records;
    while (bounds && reader.position() < bounds->end) {
      auto record = reader.Next(kPatienceMs);
      EXPECT_TRUE(record) << record.error().message;
      if (!record) return records;
      if (*record) records.push_back(std::move(**record));
    }
    return records;
  }
  [[nodiscard]] OutRecord Numbered(std::size_t i) const {
    return {topic_, "key", std::to_string(i), {{"number", std::to_string(i)}}};
  }
  std::string topic_;
  std::vector<std::int64_t> offsets_;
};

TEST_F(BulkTest, MoreThanTheQueueTakesLiesInOrderWhereItSays) {
  constexpr std::size_t kRecords = 2 * kBulkQueueRecords + 1000;
  auto sender = Sender();
  for (std::size_t i = 0; i < kRecords; ++i) ASSERT_TRUE(sender.Send(Numbered(i)));
  ASSERT_TRUE(sender.Finish());
  ASSERT_EQ(offsets_.size(), kRecords);
  auto reader = Reader();
  const auto records = ReadFrom(reader, 0);
  ASSERT_EQ(records.size(), kRecords);
  for (std::size_t i = 0; i < kRecords; ++i) {
    ASSERT_EQ(records[i].offset, offsets_[i]);
    ASSERT_EQ(records[i].value, std::to_string(i));
  }
  EXPECT_EQ(records[7].headers.at(0).value, "7");
}

TEST_F(BulkTest, OneThatIsTooLargeEndsIt) {
  auto sender = Sender();
  auto large = Numbered(0);
  large.value.assign(kMaxTopicRecordBytes, 'x');
  const auto sent = sender.Send(large);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::kExhausted);
  EXPECT_THAT(sent.error().message, HasSubstr(topic_ + "/1"));
}

TEST_F(BulkTest, OneThatTheBrokerRefusesEndsItToo) {
  topic_ = MakeTopic(2, {{"max.message.bytes", "1000"}});
  auto sender = Sender();
  auto large = Numbered(0);
  large.value.assign(5000, 'x');
  ASSERT_TRUE(sender.Send(large));
  const auto finished = sender.Finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::kExhausted);
  EXPECT_TRUE(offsets_.empty());
}

TEST_F(BulkTest, APartitionIsReadFromAnyPositionAndFollowed) {
  auto sender = Sender();
  for (std::size_t i = 0; i < 10; ++i) ASSERT_TRUE(sender.Send(Numbered(i)));
  ASSERT_TRUE(sender.Finish());
  auto reader = Reader();
  EXPECT_EQ(ReadFrom(reader, 7).size(), 3U);
  EXPECT_EQ(reader.position(), 10);
  ASSERT_TRUE(sender.Send(Numbered(10)) && sender.Finish());
  std::optional<Record> record;
  while (!record) record = reader.Next(kPatienceMs).value();
  EXPECT_EQ(record->value, "10");
  EXPECT_EQ(ReadFrom(reader, 2).size(), 9U);
}

TEST_F(BulkTest, WhatIsNotThereIsAnError) {
  EXPECT_EQ(PartitionReader::Open(bootstrap_, "bulk-test", {Unique("none"), 0}, kPatienceMs).error().code,
            Code::kNotFound);
  EXPECT_THAT(PartitionReader::Open(bootstrap_, "bulk-test", {topic_, 2}, kPatienceMs).error().message,
              HasSubstr("has 2 partitions, and none with the number 2"));
  auto reader = Reader();
  ASSERT_TRUE(reader.Seek(1000));
  Result<std::optional<Record>> read = std::nullopt;
  while (read) read = reader.Next(kPatienceMs);
  EXPECT_EQ(read.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace hearth::kafka
