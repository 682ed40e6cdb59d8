// The directory against a real Redis: several dispatchers, executors that vanish, and a Redis that is slow, replaced or
// older than it was.
#include <gtest/gtest.h>

#include <algorithm>

#include "common/base/time.h"
#include "tests/integration/dispatcher/directory_writer.h"
#include "tests/integration/dispatcher/redis_server.h"

namespace hearth::dispatcher {
namespace {

using executor::RunUntil;

class Recovery : public testing::Test {
 protected:
  void SetUp() override {
    server_.Start();
    Timer pulse(loop_, [] {});  // turns the loop, so that the server is asked again
    pulse.StartEvery(10);
    ASSERT_TRUE(Until([this] { return server_.Ask({"PING"}).text == "PONG"; }));
  }
  bool Until(const std::function<bool()>& holds) { return RunUntil(loop_, kPatienceMs, holds); }
  bool Settles(Writer& writer) {
    return Until([&writer] { return writer.Settled(); });
  }
  std::vector<std::string> SlotsInRedis() {
    std::vector<std::string> ids;
    for (const auto& element : server_.Ask({"HKEYS", kSlots}).elements) ids.push_back(element.text);
    std::ranges::sort(ids);
    return ids;
  }
  static Directory::Options Reaping() { return {.credentials = {}, .library = {}, .sweep_ms = 50, .reap_ms = 1500}; }
  void Beat(const std::string& executor) {  // as an executor renews its record
    server_.Ask({"SADD", "ex:idx", executor});
    server_.Ask({"HSET", "ex:" + executor, "address", "unix:/nowhere"});
  }

  RedisServer server_;
  Loop loop_;
};

TEST_F(Recovery, ADispatcherSaysWhereItIsAndStopsWhenItLeaves) {
  Writer writer(loop_, server_.Address());
  ASSERT_TRUE(Until([this] { return server_.Ask({"HGET", "di:d-1", "http"}).text == "127.0.0.1:7"; }));
  EXPECT_EQ(server_.Ask({"SISMEMBER", "di:idx", "d-1"}).integer, 1);
  EXPECT_GT(server_.Ask({"PTTL", "di:d-1"}).integer, 0);
  bool left = false;
  writer.directory.Leave([&left] { left = true; });
  EXPECT_TRUE(Until([&left] { return left; }));
  EXPECT_EQ(server_.Ask({"SCARD", "di:idx"}).integer, 0);
  EXPECT_EQ(server_.Ask({"EXISTS", "di:d-1"}).integer, 0);
}

// ---- a Redis in trouble --------------------------------------------------------------------------------------------

TEST_F(Recovery, ASlowRedisIsCaughtUpWith) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  ASSERT_TRUE(Settles(writer));
  server_.Ask({"CLIENT", "PAUSE", "1500", "ALL"});
  writer.Write(MakeSlot("c-1", link::SlotState::kIdle, 2));
  writer.Write(MakeSlot("c-2"));
  EXPECT_EQ(writer.directory.Read().waiting, 2);
  EXPECT_TRUE(Until([this] { return SlotsInRedis() == std::vector<std::string>{"c-1", "c-2"}; }));
  EXPECT_TRUE(Settles(writer));
}

TEST_F(Recovery, AnotherContentUnderTheSameConnectionIsFilledAndKeepsOldWritersOut) {
  Writer owner(loop_, server_.Address());
  Writer former(loop_, server_.Address(), {}, "d-0");
  ASSERT_TRUE(Settles(former));
  owner.Write(MakeSlot("c-1", link::SlotState::kIdle, 2, 5000));
  ASSERT_TRUE(Settles(owner));
  ASSERT_TRUE(Until([this] { return !server_.Ask({"GET", "sys:epoch"}).text.empty(); }));
  // As a replica that lagged would look after it took over: an older epoch, older slots, no fences.
  server_.Ask({"SET", "sys:epoch", "older"});
  server_.Ask({"DEL", kSlots, "u:{alice}:fences", "u:{alice}:idle", "u:idx"});
  EXPECT_TRUE(Until([this] { return SlotsInRedis() == std::vector<std::string>{"c-1"}; }));
  EXPECT_EQ(server_.Ask({"ZCARD", "u:idx"}).integer, 1);
  former.Write(MakeSlot("c-1", link::SlotState::kIdle, 1, 4000));
  ASSERT_TRUE(Settles(former));
  EXPECT_EQ(former.directory.Read().refused, 1);
}

// ---- the reaper ----------------------------------------------------------------------------------------------------

TEST_F(Recovery, SlotsOfAnExecutorThatVanishedUnwatchedAreRemoved) {
  {
    Writer former(loop_, server_.Address());
    for (int i = 0; i < 100; ++i) {  // more than one batch of users
      auto slot = MakeSlot("c-" + std::to_string(i));
      slot.user = UserId("user-" + std::to_string(i));
      former.directory.Write(ExecutorId("gone"), slot);
    }
    former.Write(MakeSlot("c-alive"));
    former.directory.Write(ExecutorId("gone"), MakeSlot("c-gone"));
    ASSERT_TRUE(Settles(former));
  }
  ASSERT_EQ(server_.Ask({"ZCARD", "u:idx"}).integer, 101);
  Writer next(loop_, server_.Address(), "d-2", Reaping());
  Timer beats(loop_, [this] { Beat("ex-1"); });
  beats.StartEvery(200);
  EXPECT_TRUE(Until([this] { return server_.Ask({"ZCARD", "u:idx"}).integer == 1; }));
  EXPECT_TRUE(Until([this] { return SlotsInRedis() == std::vector<std::string>{"c-alive"}; }));
  EXPECT_EQ(server_.Ask({"ZCARD", "u:{alice}:idle"}).integer, 1);
  EXPECT_EQ(server_.Ask({"ZCARD", "u:{user-1}:idle"}).integer, 0);
  EXPECT_GE(next.directory.Read().reaped, 101);
}

TEST_F(Recovery, SlotsOfALivingExecutorStay) {
  Writer writer(loop_, server_.Address(), "d-1", Reaping());
  writer.Write(MakeSlot("c-1"));
  writer.directory.Write(ExecutorId("gone"), MakeSlot("c-2"));
  ASSERT_TRUE(Settles(writer));
  Timer beats(loop_, [this] { Beat("ex-1"); });
  beats.StartEvery(200);
  ASSERT_TRUE(Until([this] { return SlotsInRedis() == std::vector<std::string>{"c-1"}; }));
  EXPECT_GE(writer.directory.Read().reaped, 1);
}

TEST_F(Recovery, WhatCannotBeReadIsRemovedToo) {
  server_.Ask({"HSET", kSlots, "junk", "not msgpack"});
  server_.Ask({"ZADD", "u:idx", "1", "alice"});
  Writer writer(loop_, server_.Address(), "d-1", Reaping());
  EXPECT_TRUE(Until([this] { return server_.Ask({"EXISTS", kSlots}).integer == 0; }));
  EXPECT_TRUE(Until([this] { return server_.Ask({"ZCARD", "u:idx"}).integer == 0; }));
}

TEST_F(Recovery, TheIndexForgetsExecutorsAndDispatchersThatAreGone) {
  server_.Ask({"SADD", "ex:idx", "gone"});
  server_.Ask({"SADD", "di:idx", "gone"});
  Writer writer(loop_, server_.Address(), "d-1", Reaping());
  EXPECT_TRUE(Until([this] {
    return server_.Ask({"SISMEMBER", "ex:idx", "gone"}).integer == 0 &&
           server_.Ask({"SISMEMBER", "di:idx", "gone"}).integer == 0;
  }));
  EXPECT_EQ(server_.Ask({"SISMEMBER", "di:idx", "d-1"}).integer, 1);
}

// A slot that moved to a living executor between the look and the removal stays.
TEST_F(Recovery, TheReaperRemovesOnlyWhatTheGoneExecutorStillHas) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  ASSERT_TRUE(Settles(writer));
  const std::vector<std::string> keys = {kSlots, "u:{alice}:idle", "u:{alice}:instances", "u:{alice}:claims"};
  const auto reap = [&](const std::string& executor) {
    std::vector<std::string> command = {"FCALL", "hearth_reap", "4"};
    command.insert(command.end(), keys.begin(), keys.end());
    command.insert(command.end(), {executor, "c-1", "no-such-slot"});
    return server_.Ask(command).integer;
  };
  EXPECT_EQ(reap("gone"), 1);
  EXPECT_EQ(reap("ex-1"), 0);
}

// ---- users whose records several dispatchers hold ------------------------------------------------------------------

TEST_F(Recovery, TwoWritersLearnOfEachOther) {
  Writer one(loop_, server_.Address(), {}, "d-1");
  Writer two(loop_, server_.Address(), {}, "d-2");
  one.Write(MakeSlot("c-1"));
  ASSERT_TRUE(Settles(one));
  ASSERT_TRUE(Settles(two));
  EXPECT_FALSE(one.shared.value_or(false));
  two.directory.Load(kAlice);
  EXPECT_TRUE(Until([&two] { return two.shared.value_or(false); }));
  one.Write(MakeSlot("c-1", link::SlotState::kBusy));
  EXPECT_TRUE(Until([&one] { return one.shared.value_or(false); }));
}

// The guard and its mutant: how many of two dispatchers are granted one idle period of a container.
int GrantsOfTwo(Loop& loop, const RedisServer& server, const std::string& library) {
  Writer one(loop, server.Address(), library, "d-1");
  Writer two(loop, server.Address(), library, "d-2");
  EXPECT_TRUE(RunUntil(loop, kPatienceMs, [&] { return one.up && two.up; }));
  int grants = 0;
  for (Writer* writer : {&one, &two}) grants += writer->Claim(loop, "c-1", 1000).value_or(false) ? 1 : 0;
  return grants;
}

TEST_F(Recovery, OneIdlePeriodIsGrantedToOneDispatcher) {
  EXPECT_EQ(GrantsOfTwo(loop_, server_, {}), 1);
  EXPECT_EQ(GrantsOfTwo(loop_, server_, {}), 1) << "and to the same one again";
  Writer two(loop_, server_.Address(), {}, "d-2");
  ASSERT_TRUE(Settles(two));
  EXPECT_EQ(two.Claim(loop_, "c-1", 1000), false);
  EXPECT_EQ(two.Claim(loop_, "c-1", 1001), true) << "it was idle again since";
  EXPECT_EQ(two.Claim(loop_, "c-2", 1000), true) << "another container";
}

TEST_F(Recovery, MutantWithoutTheComparisonIsCaught) {
  std::string library = ReadLibrary();
  const std::string guard = "since <= tonumber(held_since) then return 0";
  ASSERT_NE(library.find(guard), std::string::npos);
  library.replace(library.find(guard), guard.size(), "false then return 0");
  EXPECT_EQ(GrantsOfTwo(loop_, server_, library), 2);
}

TEST_F(Recovery, AClaimGoesWithItsContainer) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  ASSERT_TRUE(Settles(writer));
  ASSERT_EQ(writer.Claim(loop_, "c-1", 1000), true);
  EXPECT_EQ(server_.Ask({"HLEN", "u:{alice}:claims"}).integer, 1);
  writer.Write(MakeSlot("c-1", link::SlotState::kGone));
  EXPECT_TRUE(Until([this] { return server_.Ask({"HLEN", "u:{alice}:claims"}).integer == 0; }));
}

TEST_F(Recovery, WithoutRedisAClaimIsGrantedAtOnce) {
  Writer writer(loop_, server_.Address());
  ASSERT_TRUE(Settles(writer));
  server_.Kill();
  ASSERT_TRUE(Until([&writer] { return !writer.up; }));
  EXPECT_EQ(writer.Claim(loop_, "c-1", 1000), true);
}

}  // namespace
}  // namespace hearth::dispatcher
