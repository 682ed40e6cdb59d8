// The backlog by itself: what is held, what is parked, and in which order it comes back.
#include "dispatcher/core/backlog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace hearth::dispatcher {
namespace {

const UserId kAda("ada");
const UserId kBob("bob");
const FunctionName kSum("sum");
constexpr std::int64_t kMinuteMs = 60'000;

class BacklogTest : public testing::Test {
 protected:
  using Lane = Backlog::Lane;

  Lane& LaneOf(const UserId& user = kAda, const FunctionName& function = kSum, bool keyed = false) {
    return backlog_.LaneOf(user, function, keyed);
  }
  void Park(Lane& lane, std::vector<std::int64_t> offsets, std::int64_t deadline_ms = 0) {
    for (const std::int64_t offset : offsets) backlog_.Park(lane, offset, deadline_ms);
  }
  void Hold(Lane& lane, std::int64_t records, std::int64_t bytes = 1) {
    for (std::int64_t i = 0; i < records; ++i) backlog_.Hold(lane, bytes);
  }
  // As a chunk does it: those of the offsets that are taken are held.
  std::vector<std::int64_t> TakeAndHold(Lane& lane, const std::vector<std::int64_t>& offsets,
                                        bool has_expired = false) {
    std::vector<std::int64_t> taken;
    for (const std::int64_t offset : offsets) {
      if (!backlog_.Take(lane, offset, 1, has_expired)) continue;
      backlog_.Hold(lane, 1);
      taken.push_back(offset);
    }
    return taken;
  }

  Backlog backlog_{Room{.lane_records = 4, .lane_bytes = 100, .bytes = 300}};
};

using Offsets = std::vector<std::int64_t>;

TEST_F(BacklogTest, ALaneIsOfAUserAndAFunctionAndWhatHasAKeyIsInOneOfItsUser) {
  Lane& lane = LaneOf();
  EXPECT_EQ(&LaneOf(), &lane);
  EXPECT_NE(&LaneOf(kBob), &lane);
  EXPECT_NE(&LaneOf(kAda, FunctionName("other")), &lane);
  Lane& keyed = LaneOf(kAda, kSum, true);
  EXPECT_NE(&keyed, &lane);
  EXPECT_EQ(&LaneOf(kAda, FunctionName("other"), true), &keyed);
  EXPECT_NE(&LaneOf(kBob, kSum, true), &keyed);
  EXPECT_EQ(backlog_.lanes(), 5);
  EXPECT_EQ(keyed.user(), kAda);
}

TEST_F(BacklogTest, ALaneHoldsSoManyRecordsAndSoManyBytes) {
  Lane& lane = LaneOf();
  EXPECT_TRUE(backlog_.HasRoom(lane, 1'000, false)) << "one at least, whatever its size";
  Hold(lane, 1, 60);
  EXPECT_TRUE(backlog_.HasRoom(lane, 40, false));
  EXPECT_FALSE(backlog_.HasRoom(lane, 41, false));
  Hold(lane, 3, 1);
  EXPECT_FALSE(backlog_.HasRoom(lane, 1, false));
  EXPECT_EQ(backlog_.bytes(), 63);
  EXPECT_TRUE(backlog_.HasRoom(LaneOf(kBob), 1, false)) << "another one's lane is another one's";
}

TEST_F(BacklogTest, BeyondWhatThePartitionMayHoldALaneHasItsShare) {
  for (int i = 0; i < 4; ++i) Hold(LaneOf(UserId("u" + std::to_string(i))), 1, 80);
  ASSERT_GT(backlog_.bytes(), 300);
  Lane& lane = LaneOf(UserId("u0"));
  EXPECT_FALSE(backlog_.HasRoom(lane, 1, false)) << "80 is more than 300 among four";
  backlog_.Release(lane, 80);
  EXPECT_TRUE(backlog_.HasRoom(lane, 90, false));
}

TEST_F(BacklogTest, ALaneThatHasSomethingParkedTakesNothingElseIn) {
  Lane& lane = LaneOf();
  EXPECT_FALSE(lane.has_parked());
  Park(lane, {7});
  EXPECT_TRUE(lane.has_parked());
  EXPECT_FALSE(backlog_.HasRoom(lane, 1, false));
  EXPECT_FALSE(backlog_.HasRoom(lane, 1, true));
  EXPECT_EQ(backlog_.parked(), 1);
}

TEST_F(BacklogTest, ALaneIsWantedOnceAndFromItsFirstOffset) {
  Lane& lane = LaneOf();
  EXPECT_EQ(backlog_.TakeWant(lane), std::nullopt) << "it has nothing parked";
  Lane& again = LaneOf();
  Park(again, {7, 9});
  EXPECT_TRUE(backlog_.Want(again));
  EXPECT_FALSE(backlog_.Want(again));
  EXPECT_EQ(backlog_.TakeWant(again), 7);
  EXPECT_TRUE(backlog_.Want(again));
}

TEST_F(BacklogTest, ALaneIsReadWhenHalfOfItsRoomIsFree) {
  Lane& lane = LaneOf();
  Hold(lane, 4, 10);
  Park(lane, {7});
  EXPECT_FALSE(backlog_.Want(lane));
  backlog_.Release(lane, 10);
  EXPECT_FALSE(backlog_.Want(lane)) << "three of four are held";
  backlog_.Release(lane, 10);
  EXPECT_TRUE(backlog_.Want(lane));
  Hold(lane, 1, 10);
  EXPECT_EQ(backlog_.TakeWant(lane), std::nullopt) << "it was filled before its turn came";
  Lane& heavy = LaneOf(kBob);
  Hold(heavy, 1, 51);
  Park(heavy, {8});
  EXPECT_FALSE(backlog_.Want(heavy)) << "more than half of its bytes are held";
  backlog_.Release(heavy, 51);
  EXPECT_TRUE(backlog_.Want(heavy));
}

TEST_F(BacklogTest, AChunkIsTakenInTheOrderOfOffsetsUntilThereIsNoRoom) {
  Lane& lane = LaneOf();
  Park(lane, {3, 4, 5, 6, 7, 8});
  backlog_.BeginChunk(3);
  EXPECT_EQ(TakeAndHold(lane, {3, 4, 5, 6, 7}), (Offsets{3, 4, 5, 6}));
  backlog_.Release(lane, 1);
  EXPECT_FALSE(backlog_.Take(lane, 8, 1, false)) << "something before it has stayed behind";
  EXPECT_EQ(backlog_.EndChunk(9), std::vector<Lane*>{&lane});
  EXPECT_EQ(backlog_.parked(), 2);
  for (int i = 0; i < 3; ++i) backlog_.Release(lane, 1);
  ASSERT_TRUE(backlog_.Want(lane));
  EXPECT_EQ(backlog_.TakeWant(lane), 7) << "from where it was left";
}

TEST_F(BacklogTest, AChunkServesEveryLaneThatBeginsInIt) {
  Lane& ada = LaneOf();
  Lane& bob = LaneOf(kBob);
  Lane& before = LaneOf(UserId("before"));
  Park(ada, {10, 12});
  Park(bob, {11, 20});
  Park(before, {5, 13});
  backlog_.BeginChunk(10);
  EXPECT_EQ(TakeAndHold(ada, {10}), Offsets{10});
  EXPECT_EQ(TakeAndHold(bob, {11}), Offsets{11});
  EXPECT_EQ(TakeAndHold(ada, {12}), Offsets{12});
  EXPECT_EQ(TakeAndHold(before, {13}), Offsets{}) << "what lies at 5 goes first";
  EXPECT_EQ(backlog_.EndChunk(14), (std::vector<Lane*>{&ada, &bob})) << "in the order of their offsets";
  EXPECT_FALSE(ada.has_parked());
  EXPECT_TRUE(bob.has_parked());
  backlog_.Release(bob, 1);
  ASSERT_TRUE(backlog_.Want(bob));
  EXPECT_EQ(backlog_.TakeWant(bob), 14) << "all below was looked through";
  ASSERT_TRUE(backlog_.Want(before));
  EXPECT_EQ(backlog_.TakeWant(before), 5);
}

TEST_F(BacklogTest, WhatIsParkedWhileAChunkIsLookedThroughStaysInIt) {
  Lane& lane = LaneOf();
  backlog_.BeginChunk(10);
  Park(lane, {12});
  EXPECT_EQ(backlog_.EndChunk(20), std::vector<Lane*>{&lane});
  ASSERT_TRUE(backlog_.Want(lane));
  EXPECT_EQ(backlog_.TakeWant(lane), 12);
}

TEST_F(BacklogTest, WhatHasAKeyWaitsForWhatMayBeUnreadBeforeIt) {
  backlog_.SetUnread(true);
  Lane& keyed = LaneOf(kAda, kSum, true);
  Lane& plain = LaneOf();
  EXPECT_FALSE(backlog_.HasRoom(keyed, 1, false));
  EXPECT_TRUE(backlog_.HasRoom(keyed, 1, true)) << "it is what was unread";
  EXPECT_TRUE(backlog_.HasRoom(plain, 1, false));
  Park(keyed, {50});
  EXPECT_FALSE(backlog_.Want(keyed));
  backlog_.BeginChunk(40);
  EXPECT_FALSE(backlog_.Take(keyed, 50, 1, false)) << "not even where it comes by";
  EXPECT_EQ(backlog_.EndChunk(60), std::vector<Lane*>{&keyed});
  backlog_.SetUnread(false);
  ASSERT_TRUE(backlog_.Want(keyed));
  EXPECT_EQ(backlog_.TakeWant(keyed), 50);
}

TEST_F(BacklogTest, WhatIsUnreadIsWantedOnce) {
  EXPECT_FALSE(backlog_.WantUnread());
  EXPECT_FALSE(backlog_.TakeWantUnread());
  backlog_.SetUnread(true);
  EXPECT_TRUE(backlog_.WantUnread());
  EXPECT_FALSE(backlog_.WantUnread());
  EXPECT_TRUE(backlog_.TakeWantUnread());
  EXPECT_FALSE(backlog_.TakeWantUnread());
  EXPECT_TRUE(backlog_.WantUnread());
  backlog_.SetUnread(false);
  EXPECT_FALSE(backlog_.TakeWantUnread()) << "it was all met meanwhile";
}

TEST_F(BacklogTest, NothingIsWantedWhileTheLogIsAway) {
  Lane& lane = LaneOf();
  Park(lane, {7});
  backlog_.SetUnread(true);
  ASSERT_TRUE(backlog_.Want(lane));
  backlog_.SetAway(true);
  EXPECT_EQ(backlog_.TakeWant(lane), std::nullopt);
  EXPECT_FALSE(backlog_.Want(lane));
  EXPECT_FALSE(backlog_.WantUnread());
  backlog_.SetAway(false);
  EXPECT_EQ(backlog_.All(), std::vector<Lane*>{&lane}) << "it is not forgotten";
  EXPECT_TRUE(backlog_.Want(lane));
  EXPECT_TRUE(backlog_.WantUnread());
}

TEST_F(BacklogTest, WhatExpiresIsToldOfWithinAMinuteAndOnce) {
  Lane& lane = LaneOf();
  Park(lane, {7}, 0);
  Park(lane, {8}, 2 * kMinuteMs + 1);
  EXPECT_TRUE(backlog_.TakeDue(2 * kMinuteMs + 1).empty()) << "by minutes, never too early";
  EXPECT_FALSE(lane.is_due());
  EXPECT_EQ(backlog_.TakeDue(3 * kMinuteMs), std::vector<Lane*>{&lane});
  EXPECT_TRUE(lane.is_due());
  EXPECT_TRUE(backlog_.TakeDue(9 * kMinuteMs).empty());
}

TEST_F(BacklogTest, WhatHasExpiredIsLookedForBehindAFullLane) {
  Lane& lane = LaneOf();
  Hold(lane, 4);
  Park(lane, {7}, 0);
  Park(lane, {8, 9}, kMinuteMs);
  Park(lane, {10}, 2 * kMinuteMs);
  EXPECT_FALSE(backlog_.Want(lane));
  ASSERT_EQ(backlog_.TakeDue(kMinuteMs).size(), 1U);
  ASSERT_TRUE(backlog_.Want(lane)) << "it is only answered";
  ASSERT_EQ(backlog_.TakeWant(lane), 8);
  backlog_.BeginChunk(8);
  EXPECT_TRUE(backlog_.Take(lane, 8, 1, true));
  EXPECT_FALSE(backlog_.Take(lane, 10, 1, false)) << "it has not, and there is no room";
  EXPECT_EQ(backlog_.EndChunk(9), std::vector<Lane*>{&lane});
  EXPECT_TRUE(backlog_.TakeDue(kMinuteMs).size() == 1 || lane.is_due()) << "9 is still there";
  ASSERT_TRUE(backlog_.Want(lane));
  EXPECT_EQ(backlog_.TakeWant(lane), 9);
  backlog_.BeginChunk(9);
  EXPECT_TRUE(backlog_.Take(lane, 9, 1, true));
  EXPECT_EQ(backlog_.EndChunk(11), std::vector<Lane*>{&lane});
  EXPECT_FALSE(backlog_.Want(lane)) << "7 has no room, and nothing more has expired";
  EXPECT_EQ(backlog_.TakeDue(2 * kMinuteMs).size(), 1U);
  EXPECT_EQ(backlog_.parked(), 2);
}

TEST_F(BacklogTest, BeyondThePartitionsBytesNotEvenWhatHasExpiredIsTaken) {
  Hold(LaneOf(kBob), 1, 301);
  Lane& lane = LaneOf();
  Hold(lane, 1, 100);
  Park(lane, {8}, kMinuteMs);
  ASSERT_EQ(backlog_.TakeDue(kMinuteMs).size(), 1U);
  ASSERT_TRUE(backlog_.Want(lane));
  ASSERT_EQ(backlog_.TakeWant(lane), 8);
  backlog_.BeginChunk(8);
  EXPECT_FALSE(backlog_.Take(lane, 8, 1, true));
  (void)backlog_.EndChunk(9);
  backlog_.Release(LaneOf(kBob), 301);
  EXPECT_EQ(backlog_.TakeDue(kMinuteMs).size(), 1U) << "it is looked for again";
  ASSERT_TRUE(backlog_.Want(lane));
  EXPECT_EQ(backlog_.TakeWant(lane), 8);
}

TEST_F(BacklogTest, ALaneThatHasBothIsReadInTurnsForWhatIsFirstAndForWhatHasExpired) {
  Lane& lane = LaneOf();
  Park(lane, {7, 8});
  Park(lane, {90}, kMinuteMs);
  ASSERT_EQ(backlog_.TakeDue(kMinuteMs).size(), 1U);
  std::set<std::int64_t> from;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(backlog_.Want(lane));
    from.insert(backlog_.TakeWant(lane).value());
  }
  EXPECT_EQ(from, (std::set<std::int64_t>{7, 90}));
}

TEST_F(BacklogTest, ALaneWithNothingInItIsForgotten) {
  Lane& lane = LaneOf();
  Hold(lane, 1);
  LaneOf(kBob);
  EXPECT_EQ(backlog_.lanes(), 2);
  backlog_.Release(lane, 1);
  EXPECT_FALSE(backlog_.Want(lane));
  EXPECT_EQ(backlog_.lanes(), 1);
  EXPECT_EQ(backlog_.All().size(), 1U);
  EXPECT_EQ(backlog_.All()[0]->user(), kBob);
}

TEST_F(BacklogTest, ALaneThatIsWantedIsForgottenWhenItsTurnComes) {
  Lane& lane = LaneOf();
  Park(lane, {7});
  ASSERT_TRUE(backlog_.Want(lane));
  backlog_.Unpark();
  backlog_.BeginChunk(5);
  EXPECT_EQ(backlog_.EndChunk(8), std::vector<Lane*>{&lane}) << "it comes by although another one asked";
  EXPECT_FALSE(backlog_.Want(lane));
  EXPECT_EQ(backlog_.lanes(), 1);
  EXPECT_EQ(backlog_.TakeWant(lane), std::nullopt);
  EXPECT_EQ(backlog_.lanes(), 0);
}

TEST_F(BacklogTest, ReleasingMoreThanIsHeldIsAFaultOfOurs) {
  EXPECT_DEATH(backlog_.Release(LaneOf(), 1), "less than nothing");
}

// Against a naive model that knows every record: whatever comes in whatever order and is read in chunks of any size,
// each lane is taken up in the order of offsets, nothing is left, and nothing comes twice.
TEST(BacklogModel, RandomFloodsComeBackWholeAndInOrder) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Room room{.lane_records = 1 + static_cast<std::int64_t>(random() % 8), .lane_bytes = 50, .bytes = 90};
    Backlog backlog(room);
    struct One {
      int user = 0;
      std::int64_t bytes = 0;
      bool held = false;
    };
    std::map<std::int64_t, One> open;  // by offset: what is not complete
    std::map<int, std::int64_t> last;  // by user: the offset that was held last
    std::set<Backlog::Lane*> wanted;
    const auto lane_of = [&](int user) -> Backlog::Lane& {
      return backlog.LaneOf(UserId("u" + std::to_string(user)), kSum, false);
    };
    const auto want = [&](Backlog::Lane& lane) {
      if (backlog.Want(lane)) wanted.insert(&lane);
    };
    const auto hold = [&](std::int64_t offset, One& one) {
      ASSERT_GT(offset, last.try_emplace(one.user, -1).first->second) << "out of order";
      last[one.user] = offset;
      one.held = true;
      backlog.Hold(lane_of(one.user), one.bytes);
    };
    std::int64_t next = 0;
    const auto complete_one = [&] {
      std::vector<std::int64_t> held;
      for (const auto& [offset, one] : open) {
        if (one.held) held.push_back(offset);
      }
      if (held.empty()) return;
      const std::int64_t offset = held[random() % held.size()];
      Backlog::Lane& lane = lane_of(open[offset].user);
      backlog.Release(lane, open[offset].bytes);
      open.erase(offset);
      want(lane);
    };
    const auto read_one = [&] {
      if (wanted.empty()) return;
      Backlog::Lane* lane = *wanted.begin();
      wanted.erase(wanted.begin());
      const auto from = backlog.TakeWant(*lane);
      if (!from) return;
      const std::int64_t to = std::min<std::int64_t>(next, *from + 1 + static_cast<std::int64_t>(random() % 20));
      backlog.BeginChunk(*from);
      for (auto& [offset, one] : open) {
        if (one.held || offset < *from || offset >= to) continue;
        if (backlog.Take(lane_of(one.user), offset, one.bytes, false)) hold(offset, one);
      }
      for (Backlog::Lane* passed : backlog.EndChunk(to)) want(*passed);
    };
    const auto parked = [&] {
      std::int64_t count = 0;
      for (const auto& [offset, one] : open) count += one.held ? 0 : 1;
      return count;
    };
    for (int step = 0; step < 800 && !testing::Test::HasFatalFailure(); ++step) {
      switch (random() % 4) {
        case 0:
        case 1: {
          One one{static_cast<int>(random() % 4), 1 + static_cast<std::int64_t>(random() % 30), false};
          Backlog::Lane& lane = lane_of(one.user);
          const bool has_room = backlog.HasRoom(lane, one.bytes, false);
          open[next] = one;
          if (has_room) {
            hold(next, open[next]);
          } else {
            backlog.Park(lane, next, 0);
            want(lane);
          }
          ++next;
          break;
        }
        case 2: complete_one(); break;
        default: read_one(); break;
      }
      ASSERT_EQ(backlog.parked(), parked());
    }
    for (int step = 0; step < 10'000 && !open.empty() && !testing::Test::HasFatalFailure(); ++step) {
      complete_one();
      read_one();
    }
    ASSERT_TRUE(open.empty()) << open.size() << " were never taken up";
    while (!wanted.empty()) read_one();
    ASSERT_EQ(backlog.parked(), 0);
    ASSERT_EQ(backlog.bytes(), 0);
    ASSERT_EQ(backlog.lanes(), 0);
  }
}

}  // namespace
}  // namespace hearth::dispatcher
