// Members that keep their seat under a name of their own: a restart takes the partitions back at once, a death is
// noticed within the session, who leaves on purpose leaves nothing behind, and two with one name are one too many.
#include "common/base/time.h"
#include "tests/integration/kafka/broker.h"
#include "tests/integration/kafka/child_member.h"
#include "tests/integration/kafka/member.h"

namespace hearth::kafka {
namespace {

constexpr std::int64_t kSessionMs = 3000;
constexpr int kPartitions = 4;

class StaticMemberTest : public BrokerTest {
 protected:
  void SetUp() override {
    BrokerTest::SetUp();
    if (HasFatalFailure()) return;
    topic_ = MakeTopic(kPartitions);
  }
  Membership Named(const std::string& instance, std::int64_t session_ms = kSessionMs) const {
    return {bootstrap_, instance, group_, {topic_}, instance, session_ms};
  }
  bool Owns(const Member& member, int partitions) {
    return Until([&] { return static_cast<int>(member.assigned.size()) == partitions; });
  }
  // How long it takes until the member owns so many.
  std::int64_t MsUntilItOwns(const Member& member, int partitions) {
    const std::int64_t before_us = ReadClocks().mono_us;
    EXPECT_TRUE(Owns(member, partitions)) << testing::PrintToString(member.alarms);
    return (ReadClocks().mono_us - before_us) / kMicrosPerMilli;
  }

  std::string topic_;
  std::string group_ = Unique("group");
};

TEST_F(StaticMemberTest, ARestartTakesItsPartitionsBackAtOnceAndDisturbsNobody) {
  ChildMember child(bootstrap_, group_, topic_, "first");
  ASSERT_EQ(child.Answer(), "assigned");
  Member other(loop_, Named("second"));
  ASSERT_TRUE(Owns(other, kPartitions / 2));
  const int before = other.revocations;
  child.Kill();
  Member again(loop_, Named("first"));
  EXPECT_LT(MsUntilItOwns(again, kPartitions / 2), 2000);
  EXPECT_EQ(other.revocations, before);
}

TEST_F(StaticMemberTest, ADeathIsNoticedWithinTheSessionAndTheOthersTakeOver) {
  ChildMember child(bootstrap_, group_, topic_, "first");
  ASSERT_EQ(child.Answer(), "assigned");
  Member other(loop_, Named("second"));
  ASSERT_TRUE(Owns(other, kPartitions / 2));
  child.Kill();
  EXPECT_LT(MsUntilItOwns(other, kPartitions), 4000);
}

TEST_F(StaticMemberTest, WhoLeavesOnPurposeGivesItsPartitionsUpAtOnce) {
  auto first = std::make_unique<Member>(loop_, Named("first"));
  Member other(loop_, Named("second"));
  ASSERT_TRUE(Owns(other, kPartitions / 2));
  ASSERT_TRUE(Owns(*first, kPartitions / 2));
  int committed = 0;
  first->on_revoked = [&](const std::vector<PartitionId>& taken) {
    for (const auto& each : taken) committed += first->CommitNow(each, 0, "last") ? 1 : 0;
  };
  const std::int64_t before_us = ReadClocks().mono_us;
  first->consumer->Close();
  EXPECT_EQ(committed, kPartitions / 2) << "what is complete is committed on the way out";
  EXPECT_TRUE(Owns(other, kPartitions));
  EXPECT_LT((ReadClocks().mono_us - before_us) / kMicrosPerMilli, kSessionMs - 500) << "nobody waits for its session";
}

TEST_F(StaticMemberTest, OfTwoWithOneNameTheEarlierOneEnds) {
  Member first(loop_, Named("same"));
  ASSERT_TRUE(Owns(first, kPartitions));
  Member second(loop_, Named("same"));
  EXPECT_TRUE(Until([&] { return !first.ended.empty(); }));
  EXPECT_NE(first.ended.find("instance"), std::string::npos) << first.ended;
  EXPECT_TRUE(Owns(second, kPartitions));
  EXPECT_EQ(second.ended, "");
}

TEST_F(StaticMemberTest, BrokersThatTakeNoShortSessionAreToldOfAndJoinedWithALongerOne) {
  Member member(loop_, Named("first", 500));  // the broker's minimum is 1000
  ASSERT_TRUE(Owns(member, kPartitions)) << testing::PrintToString(member.alarms);
  ASSERT_FALSE(member.alarms.empty());
  EXPECT_NE(member.alarms.front().find("group.min.session.timeout.ms"), std::string::npos) << member.alarms.front();
}

TEST_F(StaticMemberTest, AfterARestartNewPartitionsAreNoticedAsBefore) {
  ChildMember child(bootstrap_, group_, topic_, "first");
  ASSERT_EQ(child.Answer(), "assigned");
  child.Kill();
  Member again(loop_, Named("first"));
  ASSERT_TRUE(Owns(again, kPartitions));
  auto conf = MakeConf(bootstrap_, "it-admin", {});
  ASSERT_TRUE(conf);
  auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
  ASSERT_TRUE(client);
  const Queue answers(rd_kafka_queue_new(client->get()));
  rd_kafka_NewPartitions_t* order = rd_kafka_NewPartitions_new(topic_.c_str(), kPartitions + 2, nullptr, 0);
  rd_kafka_CreatePartitions(client->get(), &order, 1, nullptr, answers.get());
  rd_kafka_NewPartitions_destroy(order);
  const Event made(rd_kafka_queue_poll(answers.get(), kPatienceMs));
  ASSERT_NE(made, nullptr);
  EXPECT_TRUE(Owns(again, kPartitions + 2));
}

}  // namespace
}  // namespace hearth::kafka
