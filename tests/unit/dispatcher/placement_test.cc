#include "dispatcher/core/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

namespace hearth::dispatcher {
namespace {

const Wanted kWanted{UserId("ada"), 128};

Candidate Healthy(const char* id) {
  Candidate candidate;
  candidate.executor = ExecutorId(id);
  candidate.link_up = true;
  candidate.has_profile = true;
  candidate.free_credit = 4;
  candidate.can_start = 1;
  return candidate;
}

TEST(Placement, NamesTheFilterThatLeftNobody) {
  EXPECT_EQ(Place(kWanted, {}).constraint, "no_executor");
  const std::map<std::string, void (*)(Candidate&)> spoil{
      {"link_up", [](Candidate& c) { c.link_up = false; }},
      {"healthy", [](Candidate& c) { c.suspect = true; }},
      {"not_draining", [](Candidate& c) { c.draining = true; }},
      {"profile", [](Candidate& c) { c.has_profile = false; }},
      {"runtime", [](Candidate& c) { c.has_runtime = false; }},
      {"memory", [](Candidate& c) { c.largest_mib = kWanted.memory_mib - 1; }},
      {"not_cooling", [](Candidate& c) { c.cooling = true; }},
      {"credit", [](Candidate& c) { c.free_credit = 0; }},
  };
  for (const auto& [name, change] : spoil) {
    Candidate bad = Healthy("e1");
    change(bad);
    EXPECT_EQ(Place(kWanted, {bad}).constraint, name);
    EXPECT_FALSE(Place(kWanted, {bad}).executor.has_value()) << name;
    bad.idle_containers = 5;  // warmth does not outweigh a filter
    EXPECT_EQ(Place(kWanted, {bad, Healthy("e2")}).executor, ExecutorId("e2")) << name;
  }
}

TEST(Placement, WhatWouldWaitForAMachineGoesWhereItMayWait) {
  Candidate full = Healthy("full");
  full.waiting_room = 0;
  EXPECT_EQ(Place(kWanted, {full}).constraint, "waiting_room");
  full.can_start = 0;
  EXPECT_EQ(Place(kWanted, {full}).constraint, "waiting_room") << "for room in a machine too";
  EXPECT_EQ(Place(kWanted, {full, Healthy("other")}).executor, ExecutorId("other"));
  full.pool_ready = 1;
  EXPECT_EQ(Place(kWanted, {full}).executor, ExecutorId("full")) << "a machine is there";
  full.pool_ready = 0;
  full.idle_containers = 1;
  EXPECT_EQ(Place(kWanted, {full}).executor, ExecutorId("full")) << "warm";
}

TEST(Placement, TheEarlierStartPathWins) {
  Candidate boot = Healthy("boot");
  Candidate restore = Healthy("restore");
  restore.shells = 1;
  Candidate pool = Healthy("pool");
  pool.pool_ready = 1;
  Candidate machine = Healthy("instance");
  machine.machine_room_mib = 128;
  Candidate cached = machine;
  cached.executor = ExecutorId("cached");
  cached.code_cached = true;
  Candidate container = Healthy("container");
  container.idle_containers = 1;
  Candidate full = Healthy("full");
  full.can_start = 0;

  std::vector<Candidate> all{full, boot, restore, pool, machine, cached, container};
  const std::pair<const char*, StartPath> order[] = {{"container", StartPath::kContainer},
                                                     {"cached", StartPath::kCached},
                                                     {"instance", StartPath::kMachine},
                                                     {"pool", StartPath::kPool},
                                                     {"restore", StartPath::kRestore},
                                                     {"boot", StartPath::kBoot},
                                                     {"full", StartPath::kNone}};
  for (const auto& [id, path] : order) {
    const Placement placement = Place(kWanted, all);
    ASSERT_TRUE(placement.executor.has_value());
    EXPECT_EQ(*placement.executor, ExecutorId(id));
    EXPECT_EQ(placement.expected, path);
    EXPECT_EQ(placement.constraint, all.size() > 1 ? "path" : "only_one");
    std::erase_if(all, [&](const Candidate& c) { return c.executor == *placement.executor; });
  }
}

TEST(Placement, AnMachineWithoutRoomIsNoMachine) {
  Candidate tight = Healthy("e1");
  tight.machine_room_mib = 127;
  tight.code_cached = true;
  EXPECT_EQ(ExpectedPath(kWanted, tight), StartPath::kBoot);
}

TEST(Placement, AUsersWarmthStaysTogetherAndUsersSpread) {
  std::map<std::string, int> users_of;
  for (int i = 0; i < 300; ++i) {
    const Wanted wanted{UserId("user-" + std::to_string(i)), 128};
    std::vector<Candidate> all{Healthy("e1"), Healthy("e2"), Healthy("e3")};
    const Placement first = Place(wanted, all);
    EXPECT_EQ(first.constraint, "rendezvous");
    std::reverse(all.begin(), all.end());
    EXPECT_EQ(Place(wanted, all).executor, first.executor) << "the order of the list decides nothing";
    ++users_of[first.executor->str()];

    // One that leaves moves only its own users.
    const ExecutorId gone = all.front().executor;
    all.erase(all.begin());
    if (*first.executor != gone) {
      EXPECT_EQ(Place(wanted, all).executor, first.executor);
    }
  }
  for (const auto& [id, count] : users_of) EXPECT_GT(count, 60) << id;
  EXPECT_EQ(users_of.size(), 3U);
}

TEST(Placement, ANewExecutorMovesItsShareOfTheUsersAndNoOthers) {
  constexpr int kUsers = 4000;
  constexpr int kExecutors = 9;
  std::vector<Candidate> all;
  for (int i = 0; i < kExecutors; ++i) all.push_back(Healthy(("e" + std::to_string(i)).c_str()));
  int moved = 0;
  for (int i = 0; i < kUsers; ++i) {
    const Wanted wanted{UserId("user-" + std::to_string(i)), 128};
    const auto before = Place(wanted, all).executor;
    all.push_back(Healthy("new"));
    const auto after = Place(wanted, all).executor;
    all.pop_back();
    if (before == after) continue;
    EXPECT_EQ(after, ExecutorId("new")) << "nobody moves between the old ones";
    ++moved;
  }
  EXPECT_NEAR(moved, 1.0 * kUsers / (kExecutors + 1), kUsers / 50.0);
}

TEST(Placement, AFullHouseIsAskedToMakeRoomAndNotRefused) {
  Candidate full = Healthy("e1");
  full.can_start = 0;
  const Placement placement = Place(kWanted, {full});
  EXPECT_EQ(placement.executor, ExecutorId("e1"));
  EXPECT_EQ(placement.expected, StartPath::kNone);
}

// The short way looks at the executors that hold something of the user; the long way at all. Same answer.
TEST(Placement, TheShortWayGivesTheAnswerOfTheLongOne) {
  std::mt19937_64 random(7);
  const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
  int short_ways = 0;
  for (int round = 0; round < 20'000; ++round) {
    const Wanted wanted{UserId("user-" + std::to_string(random() % 50)), 128};
    std::vector<Candidate> all;
    std::vector<Candidate> own;
    const auto count = 1 + random() % 8;
    for (std::uint64_t i = 0; i < count; ++i) {
      Candidate c = Healthy(("e" + std::to_string(i)).c_str());
      c.link_up = chance(95);
      c.suspect = chance(5);
      c.draining = chance(10);
      c.cooling = chance(10);
      c.has_profile = chance(95);
      c.has_runtime = chance(95);
      c.free_credit = chance(80) ? 3 : 0;
      c.held = static_cast<std::int32_t>(random() % 4);
      c.pool_ready = chance(50) ? 1 : 0;
      c.shells = chance(50) ? 1 : 0;
      c.can_start = chance(50) ? 1 : 0;
      if (chance(40)) {  // something of the user, perhaps of no use for this attempt
        c.idle_containers = chance(50) ? 1 : 0;
        c.machine_room_mib = chance(50) ? 128 : 64;
        c.code_cached = chance(50);
        own.push_back(c);
      }
      all.push_back(c);
    }
    bool long_way = false;
    const Placement fast = PlaceWarmFirst(wanted, own, all.size() > own.size(), [&]() -> const std::vector<Candidate>& {
      long_way = true;
      return all;
    });
    const Placement full = Place(wanted, all);
    ASSERT_EQ(fast.executor, full.executor) << round;
    ASSERT_EQ(fast.expected, full.expected) << round;
    if (fast.constraint != full.constraint) {
      // It cannot know that all others would have failed a filter.
      ASSERT_EQ(fast.constraint, "path") << round;
      ASSERT_EQ(full.constraint, "only_one") << round;
    }
    short_ways += long_way ? 0 : 1;
  }
  EXPECT_GT(short_ways, 2000);
}

TEST(Placement, WhatWasConsideredIsBoundedAndHoldsTheChosenOne) {
  std::vector<Candidate> all;
  for (int i = 0; i < 100; ++i) all.push_back(Healthy(("e" + std::to_string(i)).c_str()));
  all[3].draining = true;
  const auto considered = Consider(kWanted, all, ExecutorId("e99"), 16);
  ASSERT_EQ(considered.size(), 16U);
  EXPECT_EQ(considered[3].failed, "not_draining");
  EXPECT_EQ(considered[4].failed, "");
  EXPECT_EQ(considered.back().executor, ExecutorId("e99"));
  EXPECT_EQ(Consider(kWanted, all, std::nullopt, 16).size(), 16U);
  EXPECT_EQ(Consider(kWanted, {all[0]}, ExecutorId("e0"), 16).size(), 1U);
}

}  // namespace
}  // namespace hearth::dispatcher
