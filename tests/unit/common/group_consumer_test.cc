// A member of a consumer group before brokers that do not answer as they should: librdkafka's mock of a cluster, which
// can be told to.
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
// after the former
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/handle.h"
#include "common/base/time.h"
#include "tests/integration/executor/run_until.h"
#include "tests/integration/kafka/member.h"

namespace hearth::kafka {
namespace {

constexpr std::int64_t kPatienceMs = 30'000;  // the mock's group takes 3 s to form
constexpr const char* kTopic = "requests";
constexpr int kPartitions = 3;
constexpr int kBrokers = 2;

using MockCluster = std::unique_ptr<rd_kafka_mock_cluster_t, Deleter<rd_kafka_mock_cluster_destroy>>;

class GroupBeforeBadBrokers : public testing::Test {
 protected:
  GroupBeforeBadBrokers() {
    auto conf = MakeConf("", "mock", {});
    EXPECT_TRUE(conf);
    auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
    EXPECT_TRUE(client);
    client_ = std::move(*client);
    cluster_.reset(rd_kafka_mock_cluster_new(client_.get(), kBrokers));
    rd_kafka_mock_topic_create(cluster_.get(), kTopic, kPartitions, 1);
    // The group's broker, and the partitions' own.
    rd_kafka_mock_coordinator_set(cluster_.get(), "group", "group", 1);
    for (int i = 0; i < kPartitions; ++i) rd_kafka_mock_partition_set_leader(cluster_.get(), kTopic, i, 2);
  }
  std::string Bootstrap() { return rd_kafka_mock_cluster_bootstraps(cluster_.get()); }
  bool Until(const std::function<bool()>& holds) { return executor::RunUntil(loop_, kPatienceMs, holds); }

  void Send(int partition) {
    if (!sender_) {
      auto conf = MakeConf(Bootstrap(), "sender", {});
      ASSERT_TRUE(conf);
      auto sender = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
      ASSERT_TRUE(sender);
      sender_ = std::move(*sender);
    }
    const auto sent = rd_kafka_producev(sender_.get(), RD_KAFKA_V_TOPIC(kTopic), RD_KAFKA_V_PARTITION(partition),
                                        RD_KAFKA_V_VALUE(const_cast<char*>("value"), 5), RD_KAFKA_V_END);
    EXPECT_EQ(sent, RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(rd_kafka_flush(sender_.get(), kPatienceMs), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  Client client_;  // the cluster's own
  MockCluster cluster_;
  Client sender_;
  Loop loop_;
};

TEST_F(GroupBeforeBadBrokers, CommitsOfOneRevocationWaitForOneAnswerAndNotForEver) {
  Member member(loop_, Bootstrap(), "member", "group", kTopic);
  ASSERT_TRUE(Until([&] { return member.assigned.size() == kPartitions; })) << testing::PrintToString(member.alarms);
  std::vector<OffsetCommit> all;
  for (int i = 0; i < kPartitions; ++i) all.push_back({{kTopic, i}, 7, "map"});
  for (const auto& outcome : member.consumer->CommitNow(all)) EXPECT_TRUE(outcome);

  rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, 10'000);
  const std::int64_t before_us = ReadClocks().mono_us;
  const auto outcomes = member.consumer->CommitNow(all);
  EXPECT_LT(ReadClocks().mono_us - before_us, 3'500 * kMicrosPerMilli) << "once for all of them";
  ASSERT_EQ(outcomes.size(), all.size());
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Code::kDeadline) << outcome.error().message;
  }
  rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, 0);
}

TEST_F(GroupBeforeBadBrokers, OnePartitionWithoutALeaderIsAskedForAsideAndTheOthersAreRead) {
  constexpr int kHeadless = 1;
  const PartitionId read{kTopic, 0};
  const PartitionId headless{kTopic, kHeadless};
  const PartitionId paused{kTopic, 2};
  rd_kafka_mock_partition_set_leader(cluster_.get(), kTopic, kHeadless, -1);
  Send(0);
  Member member(loop_, Bootstrap(), "member", "group", kTopic);
  ASSERT_TRUE(Until([&] { return member.assigned.size() == kPartitions - 1; }))
      << testing::PrintToString(member.alarms);
  ASSERT_TRUE(Until([&] { return member.offsets[read].size() == 1; }));
  EXPECT_EQ(member.consumer->aside(), 1U);
  EXPECT_FALSE(member.assigned.contains(headless));
  ASSERT_EQ(member.alarms.size(), 1U) << testing::PrintToString(member.alarms);
  EXPECT_NE(member.alarms[0].find("requests/1: not read until it is known where to begin"), std::string::npos);
  member.consumer->Pause(paused);

  rd_kafka_mock_partition_set_leader(cluster_.get(), kTopic, kHeadless, 2);
  ASSERT_TRUE(Until([&] { return member.assigned.contains(headless); }));
  for (int i = 0; i < kPartitions; ++i) Send(i);
  ASSERT_TRUE(Until([&] { return member.offsets[headless].size() == 1; }));
  ASSERT_TRUE(Until([&] { return member.offsets[read].size() == 2; }));
  EXPECT_EQ(member.offsets[read].back(), 1) << "nothing is read twice";
  EXPECT_TRUE(member.offsets[paused].empty()) << "it stays paused";
  EXPECT_EQ(member.consumer->aside(), 0U);
  EXPECT_EQ(member.revocations, 0) << "no rebalance for it";
}

TEST_F(GroupBeforeBadBrokers, WhatIsCommittedIsAskedForAgainWithoutARebalance) {
  constexpr std::int16_t kOffsetFetch = 9;  // of the protocol
  rd_kafka_mock_push_request_errors(cluster_.get(), kOffsetFetch, 2, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
                                    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  Member member(loop_, Bootstrap(), "member", "group", kTopic);
  ASSERT_TRUE(Until([&] { return member.assigned.size() == kPartitions; })) << testing::PrintToString(member.alarms);
  EXPECT_EQ(member.alarms.size(), 1U * kPartitions) << "once for each, not for each try";
  EXPECT_EQ(member.revocations, 0);
}

TEST_F(GroupBeforeBadBrokers, WhoHasAPartitionOfOneTopicHasTheSameOfTheOthers) {
  constexpr const char* kOther = "urgent";
  rd_kafka_mock_topic_create(cluster_.get(), kOther, kPartitions, 1);
  Member first(loop_, {Bootstrap(), "first", "group", {kTopic, kOther}});
  Member second(loop_, {Bootstrap(), "second", "group", {kTopic, kOther}});
  ASSERT_TRUE(Until([&] {
    return !first.assigned.empty() && !second.assigned.empty() &&
           first.assigned.size() + second.assigned.size() == 2 * kPartitions;
  }));
  for (const Member* member : {&first, &second}) {
    for (int i = 0; i < kPartitions; ++i) {
      EXPECT_EQ(member->assigned.contains({kTopic, i}), member->assigned.contains({kOther, i})) << i;
    }
  }
  EXPECT_EQ(first.counts, (PartitionCounts{{kTopic, kPartitions}, {kOther, kPartitions}}));
  EXPECT_EQ(DifferentCounts(first.counts), "");
}

TEST_F(GroupBeforeBadBrokers, TopicsWithDifferentNumbersOfPartitionsAreNamed) {
  constexpr const char* kOther = "urgent";
  rd_kafka_mock_topic_create(cluster_.get(), kOther, kPartitions + 1, 1);
  Member member(loop_, {Bootstrap(), "member", "group", {kTopic, kOther}});
  ASSERT_TRUE(Until([&] { return member.assigned.size() == 2 * kPartitions + 1; }));
  EXPECT_EQ(DifferentCounts(member.counts).find("requests has 3, urgent has 4 partitions"), 0U)
      << DifferentCounts(member.counts);
}

}  // namespace
}  // namespace hearth::kafka
