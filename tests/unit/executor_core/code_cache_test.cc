// Code on its way into machines.
#include "executor/core/code_cache.h"

#include <gtest/gtest.h>

#include <tuple>

namespace hearth::executor {
namespace {

class CodeCacheTest : public testing::Test {
 protected:
  CodeCacheTest() : context(SettingsOf()), machines(context), codes(context, machines, 10) {
    context.Begin(Time{1'000'000, 1'000'000}, effects);
    adas = &Assigned("ada");
    bobs = &Assigned("bob");
    effects.clear();
  }
  static Settings SettingsOf() {
    Settings settings;
    settings.id = ExecutorId("ex");
    settings.profiles = {Profile{}};
    return settings;
  }
  Machine& Assigned(const char* user) {
    Machine& machine = machines.Add(0, UserId(), "image", false, 1000);
    machines.TurnWarm(machine, StartPath::kBoot, {});
    machines.Assign(machine, UserId(user));
    return machine;
  }
  static AttemptKey Key(std::int64_t offset) { return {offset, 1, 1, PartitionId{"t", 0}}; }
  static std::shared_ptr<const std::string> Bytes(std::size_t size) {
    return std::make_shared<const std::string>(size, 'x');
  }
  template <class T>
  int Count() {
    int count = 0;
    for (const auto& effect : effects) count += std::holds_alternative<T>(effect) ? 1 : 0;
    return count;
  }
  // Loads a code of so many bytes for ada and sends it to her machine.
  void Hold(const char* code, std::size_t size) {
    std::ignore = codes.Provide(*adas, CodeHash(code), Key(1000));
    codes.Loaded({adas->user(), CodeHash(code)}, Bytes(size));
    std::ignore = codes.Sent(*adas, CodeHash(code));
  }

  std::vector<Effect> effects;
  Context context;
  Machines machines;
  CodeCache codes;
  Machine* adas = nullptr;
  Machine* bobs = nullptr;
  const CodeHash hash{"c0de"};
};

TEST_F(CodeCacheTest, AnArchiveIsLoadedOnceAndSentOnceForAllWhoWait) {
  EXPECT_FALSE(codes.Provide(*adas, hash, Key(2)));
  EXPECT_FALSE(codes.Provide(*adas, hash, Key(1)));
  EXPECT_EQ(Count<LoadCode>(), 1);
  EXPECT_EQ(Count<SendArchive>(), 0);
  codes.Loaded({adas->user(), hash}, Bytes(4));
  EXPECT_EQ(Count<SendArchive>(), 1);
  EXPECT_TRUE(codes.Knows(*adas, hash));
  EXPECT_FALSE(codes.Holds(*adas, hash)) << "it is on its way";
  EXPECT_FALSE(codes.Provide(*adas, hash, Key(3)));
  EXPECT_EQ(Count<SendArchive>(), 1);
  EXPECT_EQ(codes.waiting(), 3U);
  EXPECT_EQ(codes.Sent(*adas, hash), (std::vector{Key(1), Key(2), Key(3)}));
  EXPECT_EQ(codes.waiting(), 0U);
  EXPECT_TRUE(codes.Provide(*adas, hash, Key(4)));
  EXPECT_EQ(codes.waiting(), 0U);
  EXPECT_EQ(codes.Sent(*adas, hash), std::vector<AttemptKey>{}) << "told twice";
}

TEST_F(CodeCacheTest, EqualBytesOfTwoUsersAreTwoCodes) {
  std::ignore = codes.Provide(*adas, hash, Key(1));
  std::ignore = codes.Provide(*bobs, hash, Key(2));
  EXPECT_EQ(Count<LoadCode>(), 2);
  codes.Loaded({adas->user(), hash}, Bytes(4));
  EXPECT_EQ(Count<SendArchive>(), 1);
  EXPECT_FALSE(codes.Knows(*bobs, hash));
  EXPECT_EQ(codes.Sent(*bobs, hash), std::vector<AttemptKey>{}) << "nothing was sent there";
  EXPECT_EQ(codes.waiting(), 2U);
}

TEST_F(CodeCacheTest, EachMachineOfAUserIsSentItsOwn) {
  Machine& other = Assigned("ada");
  Hold("c0de", 4);
  EXPECT_FALSE(codes.Provide(other, hash, Key(1)));
  EXPECT_EQ(Count<LoadCode>(), 1) << "the archive is here";
  EXPECT_EQ(Count<SendArchive>(), 2);
  EXPECT_EQ(codes.Sent(*adas, hash), std::vector<AttemptKey>{}) << "it waits for the other machine";
  EXPECT_EQ(codes.Sent(other, hash), std::vector{Key(1)});
}

TEST_F(CodeCacheTest, WhatTheMachineLostIsSentAgain) {
  Hold("c0de", 4);
  EXPECT_EQ(codes.Lost(*adas, hash), std::vector<AttemptKey>{});
  EXPECT_FALSE(codes.Knows(*adas, hash));
  EXPECT_FALSE(codes.Provide(*adas, hash, Key(1)));
  EXPECT_EQ(Count<SendArchive>(), 2);
  EXPECT_EQ(codes.Lost(*adas, hash), std::vector{Key(1)});
  EXPECT_EQ(codes.Sent(*adas, hash), std::vector<AttemptKey>{}) << "it was lost on the way";
}

TEST_F(CodeCacheTest, WhoWaitsForCodeThatCannotBeLoadedIsGivenBack) {
  std::ignore = codes.Provide(*adas, hash, Key(1));
  codes.StopWaiting({adas->user(), hash}, Key(1));
  std::ignore = codes.Provide(*adas, hash, Key(2));
  EXPECT_EQ(codes.LoadFailed({adas->user(), hash}), std::vector{Key(2)});
  EXPECT_EQ(codes.waiting(), 0U);
  std::ignore = codes.Provide(*adas, hash, Key(3));
  EXPECT_EQ(Count<LoadCode>(), 2) << "it is tried again";
}

TEST_F(CodeCacheTest, TheArchivesThatWereUsedLastAreKept) {
  Hold("one", 4);
  Hold("two", 4);
  Machine& other = Assigned("ada");
  std::ignore = codes.Provide(other, CodeHash("one"), Key(1));  // used again
  Hold("three", 4);
  EXPECT_EQ(codes.kept_bytes(), 8U);
  effects.clear();
  std::ignore = codes.Provide(other, CodeHash("three"), Key(1));
  EXPECT_EQ(Count<LoadCode>(), 0);
  std::ignore = codes.Provide(other, CodeHash("two"), Key(1));
  EXPECT_EQ(Count<LoadCode>(), 1) << "it made room";
  EXPECT_TRUE(codes.Holds(*adas, CodeHash("two"))) << "machines keep what they have";
}

TEST_F(CodeCacheTest, AnArchiveThatIsWaitedForIsSentHoweverLargeItIs) {
  std::ignore = codes.Provide(*adas, hash, Key(1));
  codes.Loaded({adas->user(), hash}, Bytes(100));
  EXPECT_EQ(Count<SendArchive>(), 1);
  EXPECT_EQ(codes.kept_bytes(), 0U);
}

TEST_F(CodeCacheTest, AMachineThatIsGoneHasNoCode) {
  Hold("c0de", 4);
  codes.Forget(*adas);
  EXPECT_FALSE(codes.Knows(*adas, hash));
}

}  // namespace
}  // namespace hearth::executor
