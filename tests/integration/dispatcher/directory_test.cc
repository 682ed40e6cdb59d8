// The directory against a real Redis: what it writes, what it refuses, and how it comes back from each way in which a
// Redis can be away.
#include "dispatcher/directory.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "common/base/time.h"
#include "tests/integration/dispatcher/directory_writer.h"
#include "tests/integration/dispatcher/redis_server.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::dispatcher {
namespace {

using executor::RunUntil;

constexpr std::int64_t kLongestTurnMs = 50;  // that a Redis in trouble may cost the loop

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override { server_.Start(); }

  bool Settles(Writer& writer) {
    return RunUntil(loop_, kPatienceMs, [&writer] { return writer.Settled(); });
  }
  // The ids of the slots that Redis has.
  std::vector<std::string> SlotsInRedis() {
    std::vector<std::string> ids;
    for (const auto& element : server_.Ask({"HKEYS", kSlots}).elements) ids.push_back(element.text);
    std::ranges::sort(ids);
    return ids;
  }
  bool RedisComesToHold(const std::vector<std::string>& ids) {
    return RunUntil(loop_, kPatienceMs, [&] { return SlotsInRedis() == ids; });
  }
  std::int64_t VersionReadBack() {
    Writer reader(loop_, server_.Address());
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&reader] { return reader.up; }));
    reader.directory.Load(kAlice);
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&reader] { return reader.loaded.has_value(); }));
    return reader.loaded->empty() ? 0 : reader.loaded->front().second.version;
  }

  RedisServer server_;
  Loop loop_;
};

TEST_F(DirectoryTest, AnotherDispatcherReadsWhatWasWritten) {
  Writer writer(loop_, server_.Address());
  const auto slot = MakeSlot("c-1", link::SlotState::kBusy, 7);
  writer.Write(slot);
  ASSERT_TRUE(Settles(writer));
  Writer reader(loop_, server_.Address());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&reader] { return reader.up; }));
  reader.directory.Load(kAlice);
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&reader] { return reader.loaded.has_value(); }));
  ASSERT_EQ(reader.loaded->size(), 1U);
  EXPECT_EQ(reader.loaded->front().first, ExecutorId("ex-1"));
  EXPECT_EQ(reader.loaded->front().second, slot);
}

TEST_F(DirectoryTest, IdleContainersAndMachinesAreIndexed) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  writer.Write(MakeSlot("c-2", link::SlotState::kBusy));
  writer.Write(MakeSlot(""));
  ASSERT_TRUE(Settles(writer));
  EXPECT_EQ(server_.Ask({"ZCARD", "u:{alice}:idle"}).integer, 1);
  EXPECT_EQ(server_.Ask({"ZSCORE", "u:{alice}:instances", "i-1"}).text, "1000");
}

TEST_F(DirectoryTest, ManyChangesOfATickTravelTogether) {
  Writer writer(loop_, server_.Address());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&writer] { return writer.up; }));
  const std::int64_t before = writer.directory.Read().commands;
  for (int i = 0; i < 1000; ++i) writer.Write(MakeSlot("c-1", link::SlotState::kIdle, i));
  ASSERT_TRUE(Settles(writer));
  EXPECT_LE(writer.directory.Read().commands - before, 10);
  EXPECT_EQ(VersionReadBack(), 999);
}

TEST_F(DirectoryTest, AUserWithoutSlotsLeavesTheIndex) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  ASSERT_TRUE(Settles(writer));
  EXPECT_EQ(server_.Ask({"ZCARD", "u:idx"}).integer, 1);
  writer.Write(MakeSlot("c-1", link::SlotState::kGone));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [this] { return server_.Ask({"ZCARD", "u:idx"}).integer == 0; }));
  EXPECT_TRUE(SlotsInRedis().empty());
}

// The guard and its mutant: `library` decides whether what is older than what is written is refused.
struct Fenced {
  std::int64_t version_after_late_write = 0;
  std::size_t slots_after_late_return = 0;
  std::int64_t refused = 0;
};
Fenced WriteLate(Loop& loop, const RedisServer& server, const std::string& library) {
  Fenced seen;
  Writer owner(loop, server.Address(), library);
  Writer former(loop, server.Address(), library);
  const auto settle = [&loop](Writer& writer) {
    EXPECT_TRUE(RunUntil(loop, kPatienceMs, [&writer] { return writer.Settled(); }));
  };
  settle(owner);
  settle(former);
  owner.Write(MakeSlot("c-1", link::SlotState::kIdle, 2, 5000));
  settle(owner);
  former.Write(MakeSlot("c-1", link::SlotState::kIdle, 1, 4000));
  settle(former);
  Writer reader(loop, server.Address(), library);
  settle(reader);
  reader.directory.Load(kAlice);
  EXPECT_TRUE(RunUntil(loop, kPatienceMs, [&reader] { return reader.loaded.has_value(); }));
  if (!reader.loaded->empty()) seen.version_after_late_write = reader.loaded->front().second.version;
  owner.Write(MakeSlot("c-1", link::SlotState::kGone, 2, 5000));
  settle(owner);
  former.Write(MakeSlot("c-1", link::SlotState::kIdle, 1, 4000));
  settle(former);
  seen.slots_after_late_return = server.Ask({"HKEYS", kSlots}).elements.size();
  seen.refused = former.directory.Read().refused;
  return seen;
}

TEST_F(DirectoryTest, WhatIsOlderIsRefusedAlsoAfterTheRemoval) {
  const auto seen = WriteLate(loop_, server_, {});
  EXPECT_EQ(seen.version_after_late_write, 2);
  EXPECT_EQ(seen.slots_after_late_return, 0U);
  EXPECT_EQ(seen.refused, 2);
}

TEST_F(DirectoryTest, MutantWithoutTheFenceIsCaught) {
  std::string library = ReadLibrary();
  const std::string guard = "tonumber(since) < known";
  ASSERT_NE(library.find(guard), std::string::npos);
  library.replace(library.find(guard), guard.size(), "false");
  const auto seen = WriteLate(loop_, server_, library);
  EXPECT_EQ(seen.version_after_late_write, 1);
  EXPECT_EQ(seen.slots_after_late_return, 1U);
}

TEST_F(DirectoryTest, MutantThatForgetsTheFenceOfARemovedSlotIsCaught) {
  std::string library = ReadLibrary();
  const std::string guard = "redis.call('HSET', keys[4], slot, since)  --";
  ASSERT_NE(library.find(guard), std::string::npos);
  library.replace(library.find(guard), guard.size(), "redis.call('HDEL', keys[4], slot)  --");
  EXPECT_EQ(WriteLate(loop_, server_, library).slots_after_late_return, 1U);
}

// What is known of a slot is ordered by its own changes, whoever writes them: the next dispatcher of a user may hold
// partitions with lower epochs than the former one had.
TEST_F(DirectoryTest, WhoeverTakesAUserOverIsNotRefused) {
  Writer former(loop_, server_.Address());
  former.Write(MakeSlot("c-1", link::SlotState::kBusy, 1, 1000));
  ASSERT_TRUE(Settles(former));
  Writer next(loop_, server_.Address(), {}, "d-2");
  next.Write(MakeSlot("c-1", link::SlotState::kIdle, 1, 1000));
  next.Write(MakeSlot("c-2", link::SlotState::kIdle, 1, 1001));
  ASSERT_TRUE(Settles(next));
  next.Write(MakeSlot("c-1", link::SlotState::kGone, 1, 1002));
  ASSERT_TRUE(Settles(next));
  EXPECT_EQ(SlotsInRedis(), (std::vector<std::string>{"c-2"}));
  EXPECT_EQ(next.directory.Read().refused, 0);
}

TEST_F(DirectoryTest, AFlushedRedisIsFilledAgain) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  writer.Write(MakeSlot("c-2"));
  ASSERT_TRUE(Settles(writer));
  server_.Ask({"FLUSHALL"});
  EXPECT_TRUE(SlotsInRedis().empty());
  EXPECT_TRUE(RedisComesToHold({"c-1", "c-2"}));
}

TEST_F(DirectoryTest, FlushedFunctionsAreLoadedAgainAndTheWriteIsRepeated) {
  Writer writer(loop_, server_.Address());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&writer] { return writer.up; }));
  writer.Write(MakeSlot("c-1"));
  ASSERT_TRUE(Settles(writer));
  server_.Ask({"FUNCTION", "FLUSH"});
  writer.Write(MakeSlot("c-2"));
  EXPECT_TRUE(Settles(writer));
  EXPECT_FALSE(writer.alarm.empty());
  EXPECT_EQ(SlotsInRedis(), (std::vector<std::string>{"c-1", "c-2"}));
}

TEST_F(DirectoryTest, ARedisThatComesBackEmptyIsFilledAgain) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  ASSERT_TRUE(Settles(writer));
  server_.Kill();
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&writer] { return !writer.up; }));
  EXPECT_FALSE(writer.reason.empty());
  writer.Write(MakeSlot("c-2"));
  server_.Start();
  EXPECT_TRUE(RedisComesToHold({"c-1", "c-2"}));
}

TEST_F(DirectoryTest, ARedisThatComesBackWithAnOldStateIsCorrected) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1", link::SlotState::kIdle, 1));
  ASSERT_TRUE(Settles(writer));
  server_.Ask({"SAVE"});
  writer.Write(MakeSlot("c-1", link::SlotState::kIdle, 2));
  ASSERT_TRUE(Settles(writer));
  server_.Kill();
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&writer] { return !writer.up; }));
  server_.Start();
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&writer] { return writer.up; }));
  EXPECT_TRUE(Settles(writer));
  EXPECT_EQ(VersionReadBack(), 2);
}

TEST_F(DirectoryTest, AFrozenRedisNeverHoldsTheLoopAndLosesNoRemoval) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  writer.Write(MakeSlot("c-2"));
  ASSERT_TRUE(Settles(writer));
  server_.Freeze();
  std::int64_t last_us = ReadClocks().mono_us;
  std::int64_t longest_us = 0;
  Timer pulse(loop_, [&] {
    const std::int64_t now_us = ReadClocks().mono_us;
    longest_us = std::max(longest_us, now_us - std::exchange(last_us, now_us));
  });
  pulse.StartEvery(5);
  writer.Write(MakeSlot("c-1", link::SlotState::kGone));
  EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&writer] { return !writer.up; }));
  EXPECT_GT(writer.directory.Read().lag_ms, 0);
  pulse.Cancel();
  EXPECT_LE(longest_us, kLongestTurnMs * kMicrosPerMilli);
  server_.Thaw();
  EXPECT_TRUE(RedisComesToHold({"c-2"}));
  EXPECT_TRUE(Settles(writer));
}

TEST_F(DirectoryTest, AnExecutorThatLeftTakesItsSlotsAlong) {
  Writer writer(loop_, server_.Address());
  writer.Write(MakeSlot("c-1"));
  writer.directory.Write(ExecutorId("ex-2"), MakeSlot("c-2"));
  ASSERT_TRUE(Settles(writer));
  writer.directory.DropExecutor(ExecutorId("ex-1"));
  EXPECT_TRUE(RedisComesToHold({"c-2"}));
}

TEST_F(DirectoryTest, ExecutorsAreToldWholeAndAlsoWhenThereAreNone) {
  Writer writer(loop_, server_.Address());
  ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&writer] { return writer.executors.has_value(); }));
  EXPECT_TRUE(writer.executors->empty());
  server_.Ask({"SADD", "ex:idx", "ex-1", "expired"});
  server_.Ask({"HSET", "ex:ex-1", "address", "unix:/x"});
  EXPECT_TRUE(
      RunUntil(loop_, kPatienceMs, [&writer] { return *writer.executors == std::vector<std::string>{"unix:/x"}; }));
}

// A peer that accepts and never says a word, as behind a connection that was cut without a farewell.
TEST(HalfOpenRedis, IsNoticed) {
  std::string pattern = "/tmp/hearth-r-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  const std::string path = pattern + "/silent.sock";
  const int silent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(silent, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(listen(silent, 16), 0);
  {
    Loop loop;
    Writer writer(loop, "unix:" + path);
    writer.Write(MakeSlot("c-1"));
    EXPECT_TRUE(
        RunUntil(loop, kPatienceMs, [&writer] { return writer.reason.find("no answer") != std::string::npos; }));
    EXPECT_FALSE(writer.up);
    EXPECT_EQ(writer.directory.Read().waiting, 1);
  }
  close(silent);
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace hearth::dispatcher
