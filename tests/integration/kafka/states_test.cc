// The states of batches at a real broker: those of one partition are read whole, whatever else lies there.
#include "dispatcher/states.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kafka/producer.h"
#include "schemas/limits.h"
#include "tests/integration/kafka/broker.h"

namespace hearth::dispatcher {
namespace {

using kafka::kPatienceMs;

constexpr int kPartitions = 4;
constexpr std::int32_t kOurs = 3;

BatchState Running(std::int64_t total) {
  BatchState state;
  state.phase = BatchPhase::kRunning;
  state.function = FunctionName("f");
  state.version = 1;
  state.total = total;
  state.counts[ItemStatus::kPending] = total;
  state.digest = std::string(64, 'd');
  state.epoch = 1;
  return state;
}

class StatesTest : public kafka::BrokerTest {
 protected:
  void SetUp() override {
    BrokerTest::SetUp();
    if (HasFatalFailure()) return;
    auto producer = kafka::Producer::Create(loop_, bootstrap_, "it-states");
    ASSERT_TRUE(producer) << producer.error().message;
    producer_ = std::move(*producer);
    Open(MakeTopic(kPartitions, {{"cleanup.policy", "compact"}}));
  }
  void Open(const std::string& topic, std::size_t most_bytes = kMostStateBytes) {
    topic_ = topic;
    store_ = std::make_unique<StateStore>(loop_, StateTopic{bootstrap_, "it-states", topic, kPatienceMs, most_bytes});
  }
  // A tombstone where the value is empty.
  void Put(const std::string& key, const std::string& value, std::int32_t partition = kOurs) {
    OutRecord record{topic_, key, value, {}};
    record.null_value = value.empty();
    record.partition = partition;
    producer_->Send(std::move(record), [this](const Result<std::int64_t>& result) { written_ += result ? 1 : 0; });
    ++sent_;
  }
  void Write(const BatchRef& batch, const BatchState& state, std::int32_t partition = kOurs) {
    Put(FormatBatchRef(batch), EncodeBatchState(state), partition);
  }
  Result<StoredStates> Read(std::int32_t partition = kOurs) {
    EXPECT_TRUE(Until([&] { return written_ == sent_; }));
    std::optional<Result<StoredStates>> answer;
    store_->Read(partition, [&](Result<StoredStates> states) { answer = std::move(states); });
    EXPECT_FALSE(answer.has_value()) << "not before the call has returned";
    if (!Until([&] { return answer.has_value(); })) return Fail(Code::kDeadline, "no answer");
    return std::move(*answer);
  }
  static std::vector<std::pair<BatchRef, std::int64_t>> Totals(const StoredStates& stored) {
    std::vector<std::pair<BatchRef, std::int64_t>> totals;
    for (const auto& each : stored.states) totals.emplace_back(each.batch, each.state.total);
    return totals;
  }
  using All = std::vector<std::pair<BatchRef, std::int64_t>>;

  std::string topic_;
  std::unique_ptr<kafka::Producer> producer_;
  std::unique_ptr<StateStore> store_;
  int sent_ = 0;
  int written_ = 0;
  const BatchRef ada_{UserId("ada"), BatchId("nightly")};
  const BatchRef bob_{UserId("bob"), BatchId("x.1")};
};

TEST_F(StatesTest, OfEachBatchOfThePartitionTheLastStateIsRead) {
  Write(ada_, Running(1));
  Write(bob_, Running(2));
  Write(ada_, Running(3));
  Write({UserId("eve"), BatchId("elsewhere")}, Running(4), kOurs - 1);
  const auto stored = Read();
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(Totals(*stored), (All{{ada_, 3}, {bob_, 2}}));
  EXPECT_EQ(stored->states[0].state, Running(3));
  EXPECT_EQ(stored->lacking, 0U);
  EXPECT_TRUE(Read(0).value().states.empty());
}

TEST_F(StatesTest, TheyAreToldByBatch) {
  const BatchRef longer{UserId("ada-2"), BatchId("a")};
  Write(longer, Running(2));
  Write(ada_, Running(1));
  EXPECT_EQ(Totals(Read().value()), (All{{ada_, 1}, {longer, 2}})) << "their keys stand the other way round";
}

TEST_F(StatesTest, ABatchThatWasTakenAwayIsNotTold) {
  Write(ada_, Running(1));
  Write(bob_, Running(2));
  Put(FormatBatchRef(ada_), "");
  EXPECT_EQ(Totals(Read().value()), (All{{bob_, 2}}));
}

TEST_F(StatesTest, WhatCannotBeReadIsLeftOutAndSaid) {
  Write(ada_, Running(1));
  Put(FormatBatchRef(bob_), "{}");
  Put("no key of a batch", EncodeBatchState(Running(2)));
  Put("", EncodeBatchState(Running(2)));
  Put("eve/long", std::string(kMaxBatchStateBytes + 1, ' '));
  const auto stored = Read();
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(Totals(*stored), (All{{ada_, 1}}));
  EXPECT_EQ(stored->unreadable, 1U);
  EXPECT_TRUE(stored->why.starts_with("bob/x.1: ")) << stored->why;
  EXPECT_TRUE(Until([&] { return store_->strange() == 3; })) << store_->strange();
}

TEST_F(StatesTest, OfTooManyTheOnesThatWereWrittenLastAreRead) {
  const std::string value = EncodeBatchState(Running(1));
  Open(topic_, 2 * (FormatBatchRef(ada_).size() + value.size() + kafka::kBytesBesideValue));
  const BatchRef cat{UserId("cat"), BatchId("x.1")};
  Write(ada_, Running(1));
  Write(bob_, Running(1));
  Write(ada_, Running(2));
  Write(cat, Running(1));
  const auto stored = Read();
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(Totals(*stored), (All{{ada_, 2}, {cat, 1}}));
  EXPECT_EQ(stored->lacking, 1U);
}

TEST_F(StatesTest, WhatIsNotThereIsNotFound) {
  const auto beyond = Read(kPartitions);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Code::kNotFound) << beyond.error().message;
  Open(Unique("absent"));
  const auto absent = Read();
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound) << absent.error().message;
}

TEST_F(StatesTest, SeveralPartitionsAreReadInOneRound) {
  for (std::int32_t i = 0; i < kPartitions; ++i) Write(ada_, Running(i + 1), i);
  ASSERT_TRUE(Until([&] { return written_ == sent_; }));
  int right = 0;
  for (std::int32_t i = 0; i < kPartitions; ++i) {
    store_->Read(i, [&right, i, this](const Result<StoredStates>& stored) {
      right += stored && Totals(*stored) == All{{ada_, i + 1}} ? 1 : 0;
    });
  }
  EXPECT_TRUE(Until([&] { return right == kPartitions; })) << right;
}

TEST_F(StatesTest, ManyAreDecodedInTurnsOfTheLoopAndTheStoreMayGoMeanwhile) {
  constexpr int kMany = 20'000;
  for (int i = 0; i < kMany; ++i) Write({UserId("ada"), BatchId("b" + std::to_string(i))}, Running(i + 1));
  ASSERT_TRUE(Until([&] { return written_ == sent_; }));
  const std::int64_t began_us = ReadClocks().mono_us;
  const auto stored = Read();
  ASSERT_TRUE(stored) << stored.error().message;
  std::printf("%d states read in %lld ms\n", kMany,
              static_cast<long long>((ReadClocks().mono_us - began_us) / kMicrosPerMilli));
  EXPECT_EQ(stored->states.size(), static_cast<std::size_t>(kMany));
  bool told = false;
  store_->Read(kOurs, [&](const Result<StoredStates>&) { told = true; });
  store_.reset();
  Open(topic_);
  ASSERT_TRUE(Read(0));
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace hearth::dispatcher
