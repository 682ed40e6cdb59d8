// Members of a consumer group at a real broker: what a commit says reaches the next owner, whoever lost the group
// cannot commit any more, and partitions that are paused or out of range.
#include <algorithm>

#include "common/kafka/producer.h"
#include "dispatcher/core/ledger_map.h"
#include "tests/integration/kafka/broker.h"
#include "tests/integration/kafka/child_member.h"
#include "tests/integration/kafka/member.h"

namespace hearth::kafka {
namespace {

constexpr int kRecords = 10;  // of each partition, at least

class GroupTest : public BrokerTest {
 protected:
  void Fill(const std::string& topic, int partitions) {
    auto created = Producer::Create(loop_, bootstrap_, "it-filler");
    ASSERT_TRUE(created);
    // Keys are spread by their hash: so many that each partition gets enough.
    const int sent = partitions * kRecords * 8;
    int delivered = 0;
    for (int key = 0; key < sent; ++key) {
      (*created)->Send({topic, std::to_string(key), "value", {}}, [&delivered](const Result<std::int64_t>& result) {
        EXPECT_TRUE(result) << result.error().message;
        ++delivered;
      });
    }
    ASSERT_TRUE(Until([&] { return delivered == sent; }));
  }
};

std::string MapText(std::int64_t epoch) {
  dispatcher::LedgerMap map;
  map.epoch = epoch;
  map.span = 6;
  map.incomplete = {{0, 1}, {3, 2}};
  return dispatcher::EncodeLedgerMap(map).text;
}

TEST_F(GroupTest, TheLedgerMapOfACommitReachesTheNextOwnerThroughARebalance) {
  constexpr int kPartitions = 4;
  const std::string topic = MakeTopic(kPartitions);
  const std::string group = Unique("group");
  Fill(topic, kPartitions);
  Member first(loop_, bootstrap_, "first", group, topic);
  ASSERT_TRUE(Until([&] { return first.assigned.size() == kPartitions; }));
  for (const auto& [partition, given] : first.assigned) {
    EXPECT_EQ(given.next_offset, 0);
    EXPECT_EQ(given.metadata, "");
    ASSERT_TRUE(first.CommitNow(partition, 2, MapText(1)));
  }
  // The last commit counts: made from inside the revocation, as a dispatcher does it.
  first.on_revoked = [&first](const std::vector<PartitionId>& taken) {
    for (const auto& partition : taken) EXPECT_TRUE(first.CommitNow(partition, 3, MapText(7)));
  };
  Member second(loop_, bootstrap_, "second", group, topic);
  ASSERT_TRUE(Until([&] { return first.assigned.size() == 2 && second.assigned.size() == 2; }));
  EXPECT_FALSE(first.lost);
  for (const auto* member : {&first, &second}) {
    for (const auto& [partition, given] : member->assigned) {
      EXPECT_EQ(given.next_offset, 3);
      const auto map = dispatcher::DecodeLedgerMap(given.metadata);
      ASSERT_TRUE(map) << map.error().message;
      EXPECT_EQ(map->epoch, 7);
      EXPECT_TRUE(map->Claims(1) && map->Claims(5));
      EXPECT_FALSE(map->Claims(0) || map->Claims(4));
    }
  }
  ASSERT_TRUE(Until([&] {
    return std::ranges::all_of(second.assigned, [&](const auto& each) { return !second.offsets[each.first].empty(); });
  }));
  for (const auto& [partition, given] : second.assigned) EXPECT_EQ(second.offsets[partition].front(), 3);

  first.on_revoked = nullptr;
  second.consumer->Close();
  EXPECT_TRUE(Until([&] { return first.assigned.size() == kPartitions; }));
}

TEST_F(GroupTest, TheLargestMapTravelsWhole) {
  const std::string topic = MakeTopic(1);
  const std::string group = Unique("group");
  dispatcher::LedgerMap map;
  map.epoch = 1;
  map.span = 24'000;
  for (std::int64_t at = 0; at < map.span - 12; at += 11 + at % 3) map.incomplete.push_back({at, 1 + at % 5});
  const auto encoded = dispatcher::EncodeLedgerMap(map);
  ASSERT_GT(encoded.text.size(), dispatcher::kMaxLedgerMapBytes - 200);
  ASSERT_LE(encoded.text.size(), dispatcher::kMaxLedgerMapBytes);
  {
    Member writer(loop_, bootstrap_, "writer", group, topic);
    ASSERT_TRUE(Until([&] { return writer.assigned.size() == 1; }));
    bool done = false;
    writer.consumer->Commit({{topic, 0}, 0, encoded.text}, [&done](const Result<void>& result) {
      EXPECT_TRUE(result) << result.error().message;
      done = true;
    });
    ASSERT_TRUE(Until([&done] { return done; }));
    writer.consumer->Close();
  }
  Member reader(loop_, bootstrap_, "reader", group, topic);
  ASSERT_TRUE(Until([&] { return reader.assigned.size() == 1; }));
  EXPECT_EQ(reader.assigned.begin()->second.metadata, encoded.text);
}

TEST_F(GroupTest, AMemberThatWasFrozenPastItsSessionCannotCommitAnyMore) {
  const std::string topic = MakeTopic(1);
  const std::string group = Unique("group");
  ChildMember former(bootstrap_, group, topic);
  ASSERT_EQ(former.Answer(), "assigned");
  former.Order();
  ASSERT_EQ(former.Answer(), "accepted");  // so that the refusal below means something
  former.Stop();

  Member owner(loop_, bootstrap_, "owner", group, topic);
  ASSERT_TRUE(Until([&] { return owner.assigned.size() == 1; }));
  EXPECT_EQ(owner.assigned.begin()->second.metadata, "frozen");
  ASSERT_TRUE(owner.CommitNow({topic, 0}, 5, "owner"));
  former.Order();  // waits in its pipe: the first thing that it does when it wakes
  former.GoOn();
  EXPECT_EQ(former.Answer(), "refused");

  owner.consumer->Close();
  Member next(loop_, bootstrap_, "next", group, topic);
  ASSERT_TRUE(Until([&] { return next.assigned.size() == 1; })) << testing::PrintToString(next.alarms);
  EXPECT_EQ(next.assigned.begin()->second.next_offset, 5);
  EXPECT_EQ(next.assigned.begin()->second.metadata, "owner");
}

TEST_F(GroupTest, WhereReadingBeginsMayDependOnThePartition) {
  const std::string resumed = MakeTopic(1);
  const std::string whole = MakeTopic(1);
  const std::string group = Unique("group");
  Fill(resumed, 1);
  Fill(whole, 1);
  const Membership both{bootstrap_, "former", group, {resumed, whole}};
  {
    Member former(loop_, both);
    ASSERT_TRUE(Until([&] { return former.assigned.size() == 2; }));
    for (const std::string& topic : {resumed, whole}) ASSERT_TRUE(former.CommitNow({topic, 0}, 3, "m"));
    former.consumer->Close();
  }
  Member next(loop_, both, [&whole](const PartitionId& partition, std::int64_t committed, const std::string& metadata) {
    EXPECT_EQ(committed, 3);
    EXPECT_EQ(metadata, "m");
    return partition.topic == whole ? 0 : committed;
  });
  ASSERT_TRUE(Until([&] { return !next.offsets[{resumed, 0}].empty() && !next.offsets[{whole, 0}].empty(); }));
  EXPECT_EQ((next.offsets[{resumed, 0}].front()), 3);
  EXPECT_EQ((next.offsets[{whole, 0}].front()), 0);
  EXPECT_EQ((next.assigned[{whole, 0}].next_offset), 3) << "what is committed is told as it is";
}

TEST_F(GroupTest, ATopicThatIsNotThereHoldsUpNoOtherAndIsReadOnceItIsThere) {
  const std::string there = MakeTopic(1);
  const std::string absent = Unique("absent");
  Membership membership{bootstrap_, "member", Unique("group"), {there, absent}};
  membership.counted_beside = {MakeTopic(2), Unique("absent")};
  Fill(there, 1);
  Member member(loop_, membership);
  ASSERT_TRUE(Until([&] { return !member.offsets[{there, 0}].empty(); })) << testing::PrintToString(member.alarms);
  EXPECT_EQ(member.assigned.size(), 1U);
  EXPECT_EQ(member.counts, (PartitionCounts{{there, 1}, {membership.counted_beside[0], 2}}));
  ASSERT_TRUE(CreateTopics(bootstrap_, {{absent, 1, 1, {}}}, kPatienceMs));
  Fill(absent, 1);
  EXPECT_TRUE(Until([&] { return !member.offsets[{absent, 0}].empty(); })) << testing::PrintToString(member.alarms);
  EXPECT_LE(member.alarms.size(), 3U) << testing::PrintToString(member.alarms);
}

TEST_F(GroupTest, APausedPartitionGivesNothingAndGoesOnWhereItStopped) {
  const std::string topic = MakeTopic(2);
  Member member(loop_, bootstrap_, "member", Unique("group"), topic);
  ASSERT_TRUE(Until([&] { return member.assigned.size() == 2; }));
  const PartitionId paused{topic, 0};
  const PartitionId other{topic, 1};
  member.consumer->Pause(paused);
  Fill(topic, 2);
  ASSERT_TRUE(Until([&] { return member.offsets[other].size() >= kRecords; }));
  EXPECT_TRUE(member.offsets[paused].empty());
  member.consumer->Resume(paused);
  ASSERT_TRUE(Until([&] { return member.offsets[paused].size() >= kRecords; }));
  member.consumer->Pause(paused);
  const std::size_t before = member.offsets[paused].size();
  Fill(topic, 2);
  ASSERT_TRUE(Until([&] { return member.offsets[other].size() >= 2UL * kRecords; }));
  EXPECT_EQ(member.offsets[paused].size(), before);
  member.consumer->Resume(paused);
  ASSERT_TRUE(Until([&] { return member.offsets[paused].size() > before + kRecords; }));
  for (std::size_t i = 0; i < member.offsets[paused].size(); ++i) {
    ASSERT_EQ(member.offsets[paused][i], static_cast<std::int64_t>(i));  // each once, none left out
  }
}

TEST_F(GroupTest, APausedPartitionThatComesBackAfterARebalanceIsRead) {
  const std::string topic = MakeTopic(1);
  const std::string group = Unique("group");
  Member first(loop_, bootstrap_, "first", group, topic);
  ASSERT_TRUE(Until([&] { return first.assigned.size() == 1; }));
  first.consumer->Pause({topic, 0});
  // Whoever joins makes all give back what they have; members' order gives the one partition to the first again.
  Member second(loop_, bootstrap_, "second", group, topic);
  ASSERT_TRUE(Until([&] { return first.assignments == 2 && first.assigned.size() == 1; }));
  Fill(topic, 1);
  EXPECT_TRUE(Until([&] { return first.offsets[PartitionId{topic, 0}].size() >= kRecords; }));
}

TEST_F(GroupTest, AnOffsetOutOfRangeIsToldAndAnsweredByTheStartAndCostsNoOtherPartitionARecord) {
  const std::string topic = MakeTopic(3);
  const std::string group = Unique("group");
  const PartitionId lost{topic, 0};
  const PartitionId read{topic, 1};
  const PartitionId paused{topic, 2};
  Fill(topic, 3);
  {
    Member first(loop_, bootstrap_, "first", group, topic);
    ASSERT_TRUE(Until([&] { return first.assigned.size() == 3; }));
    ASSERT_TRUE(first.CommitNow(lost, 1'000'000, MapText(4)));
    ASSERT_TRUE(first.CommitNow(read, 4, ""));
    ASSERT_TRUE(first.CommitNow(paused, 4, ""));
    first.consumer->Close();
  }
  Member second(loop_, bootstrap_, "second", group, topic);
  ASSERT_TRUE(Until([&] { return second.assigned.size() == 3; }));
  second.consumer->Pause(paused);
  const std::size_t before = second.offsets[paused].size();
  const auto told = [&] { return testing::PrintToString(second.alarms); };
  ASSERT_TRUE(Until([&] { return !second.offsets[lost].empty() && second.offsets[read].size() >= kRecords - 4; }))
      << told();
  EXPECT_EQ(second.offsets[lost].front(), 0);
  EXPECT_EQ(second.assigned[lost].next_offset, 0);  // told anew: what was complete before says nothing any more
  EXPECT_EQ(second.assigned[lost].metadata, "");
  EXPECT_EQ(second.assignments, 2);
  ASSERT_FALSE(second.alarms.empty());
  EXPECT_NE(second.alarms.back().find("from the start of the partition"), std::string::npos) << told();
  EXPECT_EQ(second.offsets[paused].size(), before);
  second.consumer->Resume(paused);
  ASSERT_TRUE(Until([&] { return second.offsets[paused].size() >= kRecords - 4; }));
  for (const auto& partition : {read, paused}) {
    // A topic that was made anew looks like this too: young records may come again.
    const auto& offsets = second.offsets[partition];
    for (std::int64_t next = 4; next < static_cast<std::int64_t>(kRecords); ++next) {
      EXPECT_TRUE(std::ranges::find(offsets, next) != offsets.end()) << next;
    }
  }
}

}  // namespace
}  // namespace hearth::kafka
