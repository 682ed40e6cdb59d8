// Producer, follower, tail reader and admin at a real broker.
#include <algorithm>
#include <map>
#include <optional>

#include "common/kafka/follower.h"
#include "common/kafka/producer.h"
#include "common/kafka/tail.h"
#include "tests/integration/kafka/broker.h"

namespace hearth::kafka {
namespace {

constexpr const char* kNowhere = "127.0.0.1:1";
constexpr std::int64_t kShortMs = 1000;

class RecordsTest : public BrokerTest {
 protected:
  void SetUp() override {
    BrokerTest::SetUp();
    if (HasFatalFailure()) return;
    auto created = Producer::Create(loop_, bootstrap_, "it-producer");
    ASSERT_TRUE(created) << created.error().message;
    producer_ = std::move(*created);
  }
  // What became of one record.
  Result<std::int64_t> Send(OutRecord record) {
    std::optional<Result<std::int64_t>> outcome;
    producer_->Send(std::move(record), [&outcome](Result<std::int64_t> result) {
      EXPECT_FALSE(outcome.has_value()) << "told twice";
      outcome = std::move(result);
    });
    if (!Until([&outcome] { return outcome.has_value(); })) return Fail(Code::kDeadline, "never told");
    return *outcome;
  }

  std::unique_ptr<Producer> producer_;
};

struct Follower {
  Follower(Loop& loop, const std::string& bootstrap, const std::string& topic) {
    TopicFollower::Callbacks callbacks;
    callbacks.record = [this](const Record& record) {
      told.emplace_back(record.key, record.value);
      if (caught_up == 0) ++before_the_end;
    };
    callbacks.caught_up = [this] { ++caught_up; };
    callbacks.alarm = [this](const std::string& what) { alarms.push_back(what); };
    auto created = TopicFollower::Create(loop, bootstrap, "it-follower", topic, std::move(callbacks));
    EXPECT_TRUE(created) << created.error().message;
    follower = std::move(*created);
  }
  std::vector<std::pair<std::string, std::string>> told;
  std::vector<std::string> alarms;
  std::size_t before_the_end = 0;
  int caught_up = 0;
  std::unique_ptr<TopicFollower> follower;
};

TEST_F(RecordsTest, ARecordArrivesWithItsKeyHeadersAndBytes) {
  const std::string topic = MakeTopic(1);
  auto reader = TailReader::Open(bootstrap_, "it-reader", topic, kPatienceMs);
  ASSERT_TRUE(reader) << reader.error().message;
  const OutRecord sent{topic, "key", std::string("a\0b", 3), {{"name", "text"}, {"empty", ""}, {"name", "again"}}};
  ASSERT_TRUE(Send(sent));
  const auto read = reader->Next(kPatienceMs);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->key, sent.key);
  EXPECT_EQ((*read)->value, sent.value);
  EXPECT_EQ((*read)->headers, sent.headers);
  EXPECT_EQ(producer_->outstanding(), 0U);
}

TEST_F(RecordsTest, WhatLiesUnsentIsPurgedAtOnceAndToldSo) {
  auto cut_off = Producer::Create(loop_, kNowhere, "it-cut-off");
  ASSERT_TRUE(cut_off);
  std::vector<Error> told;
  for (int i = 0; i < 3; ++i) {
    (*cut_off)->Send({"topic", "key", "value", {}}, [&told](const Result<std::int64_t>& result) {
      ASSERT_FALSE(result);
      told.push_back(result.error());
    });
  }
  (*cut_off)->PurgeUnsent();
  ASSERT_TRUE(Until([&told] { return told.size() == 3; }));
  EXPECT_EQ((*cut_off)->outstanding(), 0U);
  for (const auto& error : told) {
    EXPECT_TRUE(IsPurged(error)) << error.message;
    EXPECT_FALSE(IsPermanent(error));
  }
}

TEST_F(RecordsTest, EachOfManyIsToldOnceAndInOrder) {
  constexpr int kMany = 5000;
  const std::string topic = MakeTopic(1);
  auto reader = TailReader::Open(bootstrap_, "it-reader", topic, kPatienceMs);
  ASSERT_TRUE(reader);
  std::vector<int> told(kMany, 0);
  for (int i = 0; i < kMany; ++i) {
    producer_->Send({topic, "k", std::to_string(i), {}}, [&told, i](const Result<std::int64_t>& result) {
      ASSERT_TRUE(result) << result.error().message;
      EXPECT_EQ(*result, i) << "where it lies";
      ++told[static_cast<std::size_t>(i)];
    });
  }
  EXPECT_TRUE(producer_->Flush(kPatienceMs));
  ASSERT_TRUE(Until([this] { return producer_->outstanding() == 0; }));
  EXPECT_TRUE(std::ranges::all_of(told, [](int times) { return times == 1; }));
  for (int i = 0; i < kMany; ++i) {
    const auto read = reader->Next(kPatienceMs);
    ASSERT_TRUE(read && *read);
    ASSERT_EQ((*read)->value, std::to_string(i));
  }
}

TEST_F(RecordsTest, ATopicThatDoesNotExistIsRefusedAndNeverMade) {
  const std::string topic = Unique("missing");
  const auto refused = Send({topic, "k", "v", {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kNotFound);
  EXPECT_NE(refused.error().message.find(topic), std::string::npos);
  const auto topics = ListTopics(bootstrap_, kPatienceMs);
  ASSERT_TRUE(topics);
  EXPECT_TRUE(std::ranges::none_of(*topics, [&](const TopicInfo& each) { return each.name == topic; }));
}

// A dead letter is the record as it was: what has no value keeps having none.
TEST_F(RecordsTest, NoValueIsNotAnEmptyOne) {
  const std::string topic = MakeTopic(1);
  std::vector<Record> got;
  TopicFollower::Callbacks callbacks;
  callbacks.record = [&got](const Record& record) { got.push_back(record); };
  callbacks.caught_up = [] {};
  callbacks.alarm = [](const std::string&) {};
  OutRecord none{topic, "", "", {{"null", "", true}, {"empty", ""}}};
  none.null_key = true;
  none.null_value = true;
  ASSERT_TRUE(Send(none));
  ASSERT_TRUE(Send({topic, "", "", {}}));
  auto follower = TopicFollower::Create(loop_, bootstrap_, "it-nulls", topic, std::move(callbacks));
  ASSERT_TRUE(follower);
  ASSERT_TRUE(Until([&got] { return got.size() == 2; }));
  EXPECT_TRUE(got[0].null_key);
  EXPECT_TRUE(got[0].null_value);
  EXPECT_EQ(got[0].headers, none.headers);
  EXPECT_FALSE(got[1].null_key);
  EXPECT_FALSE(got[1].null_value);
}

TEST_F(RecordsTest, WhatIsTooLargeIsRefusedAndTheNextGoesThrough) {
  const std::string topic = MakeTopic(1, {{"max.message.bytes", "2000"}});
  const auto by_the_broker = Send({topic, "k", std::string(3000, 'x'), {}});
  ASSERT_FALSE(by_the_broker);
  EXPECT_EQ(by_the_broker.error().code, Code::kExhausted);
  const auto by_the_client = Send({topic, "k", std::string(5 << 20, 'x'), {}});
  ASSERT_FALSE(by_the_client);
  EXPECT_EQ(by_the_client.error().code, Code::kExhausted);
  EXPECT_TRUE(Send({topic, "k", "small", {}}));
  EXPECT_EQ(producer_->outstanding(), 0U);
}

TEST_F(RecordsTest, AFollowerReadsACompactedTopicToItsEndAndFollowsIt) {
  const std::string topic = MakeTopic(2, {{"cleanup.policy", "compact"}});
  for (const auto& [key, value] : {std::pair{"a", "1"}, {"b", "1"}, {"c", "1"}, {"a", "2"}}) {
    ASSERT_TRUE(Send({topic, key, value, {}}));
  }
  producer_->SendTombstone(topic, "b", {});
  ASSERT_TRUE(Until([this] { return producer_->outstanding() == 0; }));
  Follower follower(loop_, bootstrap_, topic);
  ASSERT_TRUE(Until([&] { return follower.caught_up == 1; }));
  EXPECT_EQ(follower.before_the_end, 5U);
  std::map<std::string, std::string> state;
  for (const auto& [key, value] : follower.told) state[key] = value;
  EXPECT_EQ(state, (std::map<std::string, std::string>{{"a", "2"}, {"b", ""}, {"c", "1"}}));
  ASSERT_TRUE(Send({topic, "d", "1", {}}));
  ASSERT_TRUE(Until([&] { return follower.told.size() == 6; }));
  EXPECT_EQ(follower.told.back(), (std::pair<std::string, std::string>{"d", "1"}));
  EXPECT_EQ(follower.caught_up, 1);
}

TEST_F(RecordsTest, AFollowerOfAnEmptyTopicIsAtItsEndAtOnce) {
  Follower follower(loop_, bootstrap_, MakeTopic(3));
  EXPECT_TRUE(Until([&] { return follower.caught_up == 1; }));
  EXPECT_TRUE(follower.told.empty());
}

TEST_F(RecordsTest, AFollowerWaitsForATopicThatIsMadeLater) {
  const std::string topic = Unique("later");
  Follower follower(loop_, bootstrap_, topic);
  ASSERT_TRUE(Until([&] { return !follower.alarms.empty(); }));
  EXPECT_NE(follower.alarms.front().find(topic), std::string::npos);
  ASSERT_TRUE(CreateTopics(bootstrap_, {{topic, 1, 1, {}}}, kPatienceMs));
  EXPECT_TRUE(Until([&] { return follower.caught_up == 1; }));
}

TEST_F(RecordsTest, TopicsAreMadeOnceAndLeftAloneAfterwards) {
  const std::string topic = Unique("made");
  auto created = CreateTopics(bootstrap_, {{topic, 3, 1, {{"retention.ms", "1234567"}}}}, kPatienceMs);
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(*created, std::vector<std::string>{topic});
  created = CreateTopics(bootstrap_, {{topic, 5, 1, {}}}, kPatienceMs);
  ASSERT_TRUE(created);
  EXPECT_TRUE(created->empty());
  const auto topics = ListTopics(bootstrap_, kPatienceMs);
  ASSERT_TRUE(topics);
  const auto found = std::ranges::find(*topics, topic, &TopicInfo::name);
  ASSERT_NE(found, topics->end());
  EXPECT_EQ(found->partitions, 3);
}

TEST_F(RecordsTest, TheAdminNamesWhatTheBrokerRefuses) {
  const std::string topic = Unique("refused");
  const auto refused = CreateTopics(bootstrap_, {{topic, 1, 1, {{"no.such.setting", "1"}}}}, kPatienceMs);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(topic), std::string::npos) << refused.error().message;
}

TEST_F(RecordsTest, NoBrokerIsUnavailable) {
  EXPECT_EQ(ListTopics(kNowhere, kShortMs).error().code, Code::kUnavailable);
  EXPECT_EQ(CreateTopics(kNowhere, {{"x", 1, 1, {}}}, kShortMs).error().code, Code::kUnavailable);
  EXPECT_EQ(TailReader::Open(kNowhere, "it-reader", "x", kShortMs).error().code, Code::kUnavailable);
  auto waiting = Producer::Create(loop_, kNowhere, "it-waiting");
  ASSERT_TRUE(waiting);
  (*waiting)->Send({"x", "k", "v", {}},
                   [](const Result<std::int64_t>&) { ADD_FAILURE() << "an outage fails nothing"; });
  EXPECT_FALSE((*waiting)->Flush(kShortMs));
  EXPECT_EQ((*waiting)->outstanding(), 1U);
}

TEST_F(RecordsTest, ATailReaderNamesTheTopicThatIsNotThere) {
  const std::string topic = Unique("absent");
  const auto opened = TailReader::Open(bootstrap_, "it-reader", topic, kPatienceMs);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kNotFound);
  EXPECT_NE(opened.error().message.find(topic), std::string::npos);
}

}  // namespace
}  // namespace hearth::kafka
