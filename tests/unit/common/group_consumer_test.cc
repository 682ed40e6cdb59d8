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

  Client client_;
  MockCluster cluster_;
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

}  // namespace
}  // namespace hearth::kafka
