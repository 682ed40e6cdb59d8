// A member of a group, and logs that end in control records, lose their start, or are made anew under it.
#include <algorithm>

#include "tests/integration/kafka/broker.h"
#include "tests/integration/kafka/member.h"

namespace hearth::kafka {
namespace {

class LogTest : public BrokerTest {
 protected:
  Client Open(std::vector<Setting> settings = {}) {
    auto conf = MakeConf(bootstrap_, "it-writer", settings);
    EXPECT_TRUE(conf);
    auto client = MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
    EXPECT_TRUE(client);
    return std::move(*client);
  }
  static void Write(rd_kafka_t* writer, const std::string& topic, int count, int partition = 0) {
    for (int i = 0; i < count; ++i) {
      const auto sent = rd_kafka_producev(writer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                                          RD_KAFKA_V_VALUE(const_cast<char*>("value"), 5), RD_KAFKA_V_END);
      ASSERT_EQ(sent, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    ASSERT_EQ(rd_kafka_flush(writer, kPatienceMs), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  // The administrator's answer to what `ask` sends.
  void Administer(const std::function<void(rd_kafka_t*, rd_kafka_queue_t*)>& ask) {
    const auto client = Open();
    const Queue answers(rd_kafka_queue_new(client.get()));
    ask(client.get(), answers.get());
    const Event event(rd_kafka_queue_poll(answers.get(), kPatienceMs));
    ASSERT_NE(event, nullptr);
    ASSERT_EQ(rd_kafka_event_error(event.get()), RD_KAFKA_RESP_ERR_NO_ERROR)
        << rd_kafka_event_error_string(event.get());
  }
  void DeleteRecordsBelow(const std::string& topic, std::int64_t offset) {
    Administer([&](rd_kafka_t* client, rd_kafka_queue_t* answers) {
      const auto list = ListOf({{topic, 0}});
      list->elems[0].offset = offset;
      rd_kafka_DeleteRecords_t* order = rd_kafka_DeleteRecords_new(list.get());
      rd_kafka_DeleteRecords(client, &order, 1, nullptr, answers);
      rd_kafka_DeleteRecords_destroy(order);
    });
  }
  void DeleteTopic(const std::string& topic) {
    Administer([&](rd_kafka_t* client, rd_kafka_queue_t* answers) {
      rd_kafka_DeleteTopic_t* order = rd_kafka_DeleteTopic_new(topic.c_str());
      rd_kafka_DeleteTopics(client, &order, 1, nullptr, answers);
      rd_kafka_DeleteTopic_destroy(order);
    });
  }
};

TEST_F(LogTest, ControlRecordsAndAbortedOnesAtTheEndArePassed) {
  const std::string topic = MakeTopic(1);
  const PartitionId partition{topic, 0};
  const auto writer = Open({{"transactional.id", Unique("writer")}});
  const auto fine = [](rd_kafka_error_t* error) { return error == nullptr; };  // never more than once in a test
  ASSERT_TRUE(fine(rd_kafka_init_transactions(writer.get(), kPatienceMs)));
  Member member(loop_, bootstrap_, "member", Unique("group"), topic);
  ASSERT_TRUE(Until([&] { return member.assigned.size() == 1; }));
  ASSERT_TRUE(fine(rd_kafka_begin_transaction(writer.get())));
  Write(writer.get(), topic, 2);
  ASSERT_TRUE(fine(rd_kafka_commit_transaction(writer.get(), kPatienceMs)));
  ASSERT_TRUE(fine(rd_kafka_begin_transaction(writer.get())));
  Write(writer.get(), topic, 2);
  ASSERT_TRUE(fine(rd_kafka_abort_transaction(writer.get(), kPatienceMs)));
  // Two records and a control record, then two that were aborted and another one.
  EXPECT_TRUE(Until([&] { return member.ends[partition] == 6; })) << member.ends[partition];
  EXPECT_EQ(member.offsets[partition], (std::vector<std::int64_t>{0, 1}));
}

TEST_F(LogTest, TheEndOfTheLogIsToldWithTheAssignment) {
  const std::string topic = MakeTopic(1);
  const auto writer = Open();
  Write(writer.get(), topic, 3);
  Member member(loop_, bootstrap_, "member", Unique("group"), topic);
  ASSERT_TRUE(Until([&] { return member.assigned.size() == 1; }));
  EXPECT_EQ(member.assigned.begin()->second.next_offset, 0);
  EXPECT_EQ(member.assigned.begin()->second.log_end, 3);
}

TEST_F(LogTest, WhatRetentionRemovedUnreadIsToldAndTheAssignmentStands) {
  const std::string topic = MakeTopic(1);
  const std::string group = Unique("group");
  const PartitionId partition{topic, 0};
  const auto writer = Open();
  Write(writer.get(), topic, 10);
  {
    Member first(loop_, bootstrap_, "first", group, topic);
    ASSERT_TRUE(Until([&] { return first.assigned.size() == 1; }));
    ASSERT_TRUE(first.CommitNow(partition, 2, "map"));
    first.consumer->Close();
  }
  DeleteRecordsBelow(topic, 6);
  Member second(loop_, bootstrap_, "second", group, topic);
  ASSERT_TRUE(Until([&] { return second.offsets[partition].size() == 4; })) << testing::PrintToString(second.alarms);
  EXPECT_EQ(second.offsets[partition].front(), 6);
  EXPECT_EQ(second.starts[partition], 6);
  EXPECT_EQ(second.assigned[partition].next_offset, 2);
  EXPECT_EQ(second.assigned[partition].metadata, "map") << "what it says of the records from 6 on still holds";
  EXPECT_EQ(second.assignments, 1);
}

TEST_F(LogTest, ATopicThatIsMadeAnewIsReadFromItsStartAsIfNothingHadBeenKnown) {
  const std::string topic = MakeTopic(1);
  const PartitionId partition{topic, 0};
  Write(Open().get(), topic, 8);
  Member member(loop_, bootstrap_, "member", Unique("group"), topic);
  // Commits what it has read and what it gives up, as a dispatcher does.
  bool gone = false;
  member.on_revoked = [&](const std::vector<PartitionId>& taken) {
    for (const auto& each : taken) {
      if (!member.lost && member.assigned.contains(each)) (void)member.CommitNow(each, 8, "map");
    }
    gone = gone || member.lost;
  };
  ASSERT_TRUE(Until([&] { return member.offsets[partition].size() == 8; }));
  ASSERT_TRUE(member.CommitNow(partition, 8, "map"));
  DeleteTopic(topic);
  ASSERT_TRUE(Until([&] { return gone; })) << "nothing is committed for a topic that is gone";
  member.offsets.clear();
  ASSERT_TRUE(CreateTopics(bootstrap_, {{topic, 1, 1, {}}}, kPatienceMs));
  Write(Open().get(), topic, 12);  // beyond where reading was
  ASSERT_TRUE(Until([&] { return member.offsets[partition].size() == 12; })) << testing::PrintToString(member.alarms);
  EXPECT_EQ(member.offsets[partition].front(), 0);
  EXPECT_EQ(member.assigned[partition].next_offset, 0);
  EXPECT_EQ(member.assigned[partition].metadata, "");
}

TEST_F(LogTest, ATopicThatIsMadeAnewAtOnceIsReadFromItsStart) {
  const std::string topic = MakeTopic(1);
  const PartitionId partition{topic, 0};
  Write(Open().get(), topic, 8);
  Member member(loop_, bootstrap_, "member", Unique("group"), topic);
  ASSERT_TRUE(Until([&] { return member.offsets[partition].size() == 8; }));
  ASSERT_TRUE(member.CommitNow(partition, 8, "map"));
  member.offsets.clear();
  DeleteTopic(topic);
  ASSERT_TRUE(CreateTopics(bootstrap_, {{topic, 1, 1, {}}}, kPatienceMs));
  Write(Open().get(), topic, 3);
  ASSERT_TRUE(Until([&] { return member.offsets[partition].size() == 3; })) << testing::PrintToString(member.alarms);
  EXPECT_EQ(member.offsets[partition].front(), 0);
  EXPECT_EQ(member.assigned[partition].metadata, "");
}

TEST_F(LogTest, OfATopicThatIsSeenToBeMadeAnewAllPartitionsAreReadFromTheirStart) {
  const std::string topic = MakeTopic(2);
  const PartitionId seen{topic, 1};
  const PartitionId other{topic, 0};
  const auto write = [&](const PartitionId& partition, int count) {
    Write(Open().get(), topic, count, partition.partition);
  };
  write(other, 3);
  write(seen, 8);
  Member member(loop_, bootstrap_, "member", Unique("group"), topic);
  ASSERT_TRUE(Until([&] { return member.offsets[other].size() == 3 && member.offsets[seen].size() == 8; }));
  ASSERT_TRUE(member.CommitNow(other, 3, "map"));
  member.offsets.clear();
  member.consumer->Pause(other);  // so that it is not looked at before the old offset is there again
  DeleteTopic(topic);
  ASSERT_TRUE(CreateTopics(bootstrap_, {{topic, 2, 1, {}}}, kPatienceMs));
  write(other, 5);
  ASSERT_TRUE(Until([&] { return member.offsets[other].size() == 5; })) << testing::PrintToString(member.alarms);
  EXPECT_EQ(member.offsets[other].front(), 0);
}

}  // namespace
}  // namespace hearth::kafka
