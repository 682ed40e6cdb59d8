// Dispatchers by themselves: who is obeyed, and for how long.
#include "executor/core/dispatchers.h"

#include <gtest/gtest.h>

#include <vector>

namespace hearth::executor {
namespace {

class DispatchersTest : public testing::Test {
 protected:
  DispatchersTest() : context(SettingsOf()), dispatchers(context) {
    context.Begin(Time{1'000'000, 5'000'000}, effects);
  }
  static Settings SettingsOf() {
    Settings settings;
    settings.orphan_grace_ms = 1000;
    return settings;
  }
  void Pass(std::int64_t ms) {
    context.Begin(Time{context.now_us() + ms * kMicrosPerMilli, context.now().wall_us + ms * kMicrosPerMilli}, effects);
  }
  // The connections to which something was sent since the last call.
  std::vector<LinkId> SentTo() {
    std::vector<LinkId> links;
    for (const auto& effect : effects) {
      if (const auto* send = std::get_if<SendToDispatcher>(&effect)) links.push_back(send->link);
    }
    effects.clear();
    return links;
  }

  std::vector<Effect> effects;
  Context context;
  Dispatchers dispatchers;
  const DispatcherId d1{"d1"};
  const DispatcherId d2{"d2"};
  const PartitionId partition{"t", 0};
};

TEST_F(DispatchersTest, OfSeveralConnectionsOnlyTheNewestIsObeyed) {
  EXPECT_EQ(dispatchers.SpeakerOf(1), nullptr);
  dispatchers.Connect(1, d1);
  dispatchers.Connect(2, d2);
  ASSERT_NE(dispatchers.SpeakerOf(1), nullptr);
  EXPECT_EQ(*dispatchers.SpeakerOf(1), d1);
  dispatchers.Connect(3, d1);
  EXPECT_EQ(dispatchers.SpeakerOf(1), nullptr);
  EXPECT_EQ(*dispatchers.SpeakerOf(3), d1);
  dispatchers.Disconnect(3);
  EXPECT_EQ(dispatchers.SpeakerOf(3), nullptr);
  EXPECT_EQ(dispatchers.SpeakerOf(1), nullptr) << "an older one does not come back";
  EXPECT_EQ(*dispatchers.SpeakerOf(2), d2);
}

TEST_F(DispatchersTest, ALeaseLastsForTheGraceFromTheSendingOfWhatWasAcknowledged) {
  EXPECT_FALSE(dispatchers.LeaseHolds(d1)) << "nobody has met it";
  dispatchers.Connect(1, d1);
  const auto sent_us = context.now_us();
  Pass(900);
  EXPECT_TRUE(dispatchers.LeaseHolds(d1));
  dispatchers.Renew(d1, {1, sent_us + 500 * kMicrosPerMilli});
  dispatchers.Renew(d1, {1, sent_us});  // an older one comes later
  Pass(600);
  EXPECT_TRUE(dispatchers.LeaseHolds(d1));
  dispatchers.Renew(d1, {1, context.now_us() + kMicrosPerSecond});
  Pass(1);
  EXPECT_FALSE(dispatchers.LeaseHolds(d1)) << "what was never sent renews nothing";
}

TEST_F(DispatchersTest, TheEndOfALeaseIsToldOnce) {
  dispatchers.Connect(1, d1);
  Pass(500);
  dispatchers.Connect(2, d2);
  EXPECT_TRUE(dispatchers.TakeEndedLeases().empty());
  Pass(501);
  EXPECT_EQ(dispatchers.TakeEndedLeases(), std::vector{d1});
  EXPECT_TRUE(dispatchers.TakeEndedLeases().empty());
  dispatchers.Renew(d1, {1, context.now_us()});
  EXPECT_TRUE(dispatchers.TakeEndedLeases().empty());
  Pass(1001);
  EXPECT_EQ(dispatchers.TakeEndedLeases(), (std::vector{d1, d2})) << "it began anew, and has ended again";
}

TEST_F(DispatchersTest, APartitionBelongsToTheHighestEpochAndItsOwnerIsTold) {
  dispatchers.Connect(1, d1);
  dispatchers.Connect(2, d2);
  EXPECT_TRUE(dispatchers.Admit(partition, 5, d1, 1));
  dispatchers.Tell(partition, link::Nack{});
  EXPECT_EQ(SentTo(), std::vector<LinkId>{1});
  EXPECT_TRUE(dispatchers.Admit(partition, 6, d2, 2));
  EXPECT_FALSE(dispatchers.Admit(partition, 5, d1, 1));
  EXPECT_FALSE(dispatchers.Admit(partition, 6, d1, 1)) << "the epoch is another's";
  EXPECT_EQ(dispatchers.OwnerOf(partition).dispatcher, d2);
  dispatchers.Tell(partition, link::Nack{});
  EXPECT_EQ(SentTo(), std::vector<LinkId>{2});
  dispatchers.Disconnect(2);
  dispatchers.Tell(partition, link::Nack{});
  EXPECT_TRUE(SentTo().empty());
}

TEST_F(DispatchersTest, HeartbeatsAreNumberedForEachConnection) {
  dispatchers.Connect(1, d1);
  EXPECT_TRUE(dispatchers.TakeHeartbeatDue()) << "who connects hears at once";
  EXPECT_FALSE(dispatchers.TakeHeartbeatDue());
  dispatchers.SendHeartbeats({}, 8, {});
  Pass(link::kHeartbeatMs);
  EXPECT_TRUE(dispatchers.TakeHeartbeatDue());
  dispatchers.Connect(2, d2);
  effects.clear();
  dispatchers.SendHeartbeats({}, 8, {});
  std::vector<std::uint64_t> sequences;
  for (const auto& effect : effects) {
    const auto& beat = std::get<link::Heartbeat>(std::get<SendToDispatcher>(effect).message);
    sequences.push_back(beat.sequence);
    EXPECT_EQ(beat.sent_mono_us, context.now_us());
  }
  EXPECT_EQ(sequences, (std::vector<std::uint64_t>{2, 1}));
}

TEST_F(DispatchersTest, EachHearsOfItsOwnPartOfTheCreditAndOfWhatIsHeldOfIt) {
  dispatchers.Connect(1, d1);
  dispatchers.Connect(2, d2);
  dispatchers.Connect(3, d2);  // the same one again
  dispatchers.Renew(d1, {1, context.now_us(), 3});
  dispatchers.Renew(d2, {1, context.now_us(), 1});
  effects.clear();
  const DispatcherId gone("gone");
  dispatchers.SendHeartbeats({}, 20, {{d1, {5, 7}}, {gone, {4, 1}}});
  std::map<LinkId, std::pair<std::int32_t, std::int32_t>> told;
  for (const auto& effect : effects) {
    const auto& sent = std::get<SendToDispatcher>(effect);
    const auto& beat = std::get<link::Heartbeat>(sent.message);
    told[sent.link] = {beat.credit, beat.held};
  }
  EXPECT_EQ(told[1], std::pair(12 + 7, 5 + 7)) << "three parts of four of what nobody else holds; what waits on top";
  EXPECT_EQ(told[2], std::pair(4, 0));
  EXPECT_EQ(told[3], told[2]);
}

}  // namespace
}  // namespace hearth::executor
