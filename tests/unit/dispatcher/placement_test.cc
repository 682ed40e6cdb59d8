#include "dispatcher/core/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
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

TEST(Placement, TheEarlierStartPathWins) {
  Candidate boot = Healthy("boot");
  Candidate restore = Healthy("restore");
  restore.shells = 1;
  Candidate pool = Healthy("pool");
  pool.pool_ready = 1;
  Candidate instance = Healthy("instance");
  instance.instance_room_mib = 128;
  Candidate cached = instance;
  cached.executor = ExecutorId("cached");
  cached.code_cached = true;
  Candidate container = Healthy("container");
  container.idle_containers = 1;
  Candidate full = Healthy("full");
  full.can_start = 0;

  std::vector<Candidate> all{full, boot, restore, pool, instance, cached, container};
  const std::pair<const char*, StartPath> order[] = {{"container", StartPath::kContainer},
                                                     {"cached", StartPath::kCached},
                                                     {"instance", StartPath::kInstance},
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

TEST(Placement, AnInstanceWithoutRoomIsNoInstance) {
  Candidate tight = Healthy("e1");
  tight.instance_room_mib = 127;
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

}  // namespace
}  // namespace hearth::dispatcher
