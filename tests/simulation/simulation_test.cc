// Many seeds through the simulated world, each judged by the history checker; and proof that the checker can object.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "tests/simulation/world.h"

namespace hearth::simulation {
namespace {

constexpr std::uint64_t kSeeds = 2000;

// How many seeds; HEARTH_SIMULATION_SEEDS says otherwise, HEARTH_SIMULATION_SEED replays one.
std::uint64_t Number(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

// An abort in a core names its seed.
std::uint64_t running_seed = 0;
void SayWhichSeed(int) {
  std::fprintf(stderr, "aborted: HEARTH_SIMULATION_SEED=%llu replays it\n",
               static_cast<unsigned long long>(running_seed));
  std::signal(SIGABRT, SIG_DFL);
  std::raise(SIGABRT);
}

std::string DescribeInjected(const PerFault<int>& injected) {
  std::string text;
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    text += "  " + std::string(NameOf(fault)) + ": " + std::to_string(injected[fault]) + "\n";
  }
  return text;
}

TEST(Simulation, EverySeedKeepsEveryPromise) {
  const auto only = Number("HEARTH_SIMULATION_SEED", 0);
  const auto first = only != 0 ? only : Number("HEARTH_SIMULATION_FIRST", 1);
  const auto count = only != 0 ? 1 : Number("HEARTH_SIMULATION_SEEDS", kSeeds);
  const auto most = static_cast<int>(Number("HEARTH_SIMULATION_FAILURES", 5));  // then the others are not tried
  const bool verbose = std::getenv("HEARTH_SIMULATION_VERBOSE") != nullptr;
  const auto before = std::signal(SIGABRT, SayWhichSeed);
  PerFault<int> sum;
  int failed = 0;
  for (std::uint64_t seed = first; seed < first + count && failed < most; ++seed) {
    running_seed = seed;
    const auto options = Draw(seed);
    World world(options);
    const auto failures = Describe(Check(world.Run()));
    const auto what = Describe(options) + DescribeInjected(world.injected());
    if (verbose) std::cout << what;
    if (!failures.empty()) ++failed;
    EXPECT_TRUE(failures.empty()) << "HEARTH_SIMULATION_SEED=" << seed << " replays it\n" << failures << what;
    for (std::size_t i = 0; i < kFaults; ++i) sum[static_cast<Fault>(i)] += world.injected()[static_cast<Fault>(i)];
  }
  std::signal(SIGABRT, before);
  std::cout << "injected over all seeds:\n" << DescribeInjected(sum);
  if (count < kSeeds || failed > 0) return;
  for (std::size_t i = 0; i < kFaults; ++i) {
    EXPECT_GT(sum[static_cast<Fault>(i)], 0) << NameOf(static_cast<Fault>(i)) << " never happened";
  }
}

TEST(Simulation, TheSameSeedReplaysToTheLetter) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    World one(Draw(seed));
    World two(Draw(seed));
    one.Run();
    two.Run();
    EXPECT_EQ(one.fingerprint(), two.fingerprint()) << "seed " << seed;
  }
}

// A load like a day's: users appear one by one and stay, nothing fails. After a warm-up nearly every start finds a
// container, and nobody waits for a machine to boot: new users get theirs from the pool or from a shell.
TEST(MixedLoad, TwoHundredUsersForHalfAnHourStayWarm) {
  constexpr std::int64_t kMinuteUs = 60'000'000;
  constexpr std::int64_t kWarmUpUs = 2 * kMinuteUs;
  Options options;
  options.seed = Number("HEARTH_SIMULATION_SEED", 7);
  options.users = 200;
  options.invocations = 12'000;
  options.partitions = 8;
  options.dispatchers = 2;
  options.executors = 2;
  options.load_us = 30 * kMinuteUs;
  options.arrive_us = 20 * kMinuteUs;
  options.limit_us = 40 * kMinuteUs;
  options.memory_mib = 160 * 512;
  options.pool_min = 2;
  options.pool_max = 8;
  options.shells = 4;
  options.credit = 64;
  options.code_fails = false;
  World world(options);
  const auto history = world.Run();
  EXPECT_EQ(Describe(Check(history)), "");
  auto [paths, starts] = StartsSince(history, kWarmUpUs);
  for (const auto& [path, count] : paths) {
    std::cout << "  " << path << ": " << count << " (" << 100.0 * count / starts << " %)\n";
  }
  ASSERT_GT(starts, options.invocations / 2);
  EXPECT_GE(paths["container"], starts * 95 / 100);
  EXPECT_EQ(paths["boot"], 0);
  EXPECT_GE(paths["pool"] + paths["restore"], 150) << "most users came after the warm-up";
}

// A guard taken away must be noticed, by the verdict that is there for it, within a few seeds.
struct MutantCase {
  Mutant mutant;
  const char* verdict;
};
class Mutants : public testing::TestWithParam<MutantCase> {};

TEST_P(Mutants, AreCaught) {
  constexpr std::uint64_t kFewSeeds = 39;
  for (std::uint64_t seed = 1; seed <= kFewSeeds; ++seed) {
    auto options = Draw(seed);
    options.mutant = GetParam().mutant;
    options.limit_us = 120'000'000;
    const auto objects = [&] {
      World world(options);
      const auto verdicts = Check(world.Run());
      return std::any_of(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) {
        return verdict.name == GetParam().verdict && !verdict.example.empty();
      });
    };
    if (!objects()) continue;
    options.mutant = Mutant::kNone;
    if (!objects()) return;
  }
  FAIL() << "no seed up to " << kFewSeeds << " made " << GetParam().verdict << " object";
}

INSTANTIATE_TEST_SUITE_P(
    All, Mutants,
    testing::Values(MutantCase{Mutant::kDropReply, "no_loss"}, MutantCase{Mutant::kDifferentTwin, "one_visible_result"},
                    MutantCase{Mutant::kCommitEarly, "commit_safety"}, MutantCase{Mutant::kMixUpMachines, "one_user"},
                    MutantCase{Mutant::kAckBeforeDurable, "commit_safety"},
                    MutantCase{Mutant::kRunTwice, "one_at_a_time"}, MutantCase{Mutant::kForgetEpoch, "fencing"},
                    MutantCase{Mutant::kEmptyReports, "no_needless_repeat"}, MutantCase{Mutant::kForgetOrder, "order"},
                    MutantCase{Mutant::kTryAgain, "at_most_once"},
                    MutantCase{Mutant::kAckBeforeDurable, "reply_before_status"}),
    [](const auto& each) { return std::string(each.param.verdict) + std::to_string(each.index); });

// ---- the checker alone, on histories written by hand ---------------------------------------------------------------
History Good() {
  History history;
  history.sent = {{"a", "u", 0, 0}, {"b", "u", 0, 1}};
  history.outcomes = {{"a", "ok", "1"}, {"b", "ok", "2"}};
  history.executions = {{"a", "m1", 1, "u", 0, 10}, {"b", "m1", 1, "u", 10, 20}};
  history.commits = {{0, 2, {}, 2}};
  history.published = {{"a", 3, 3}};
  history.balances = {{2, 0, 2}};
  history.quiescent = true;
  return history;
}

std::string Objections(const History& history) {
  std::string names;
  for (const auto& verdict : Check(history)) {
    if (!verdict.example.empty()) names += verdict.name + " ";
  }
  return names;
}

TEST(Checker, FindsNothingWrongWithAGoodHistory) {
  EXPECT_EQ(Objections(Good()), "");
}

TEST(Checker, ObjectsToEachWrongByItsName) {
  auto history = Good();
  history.outcomes.pop_back();
  history.commits.clear();
  EXPECT_EQ(Objections(history), "no_loss ");
  history = Good();
  history.outcomes.push_back({"c", "ok", ""});
  EXPECT_EQ(Objections(history), "nothing_from_nowhere ");
  history = Good();
  history.outcomes.push_back({"a", "error", "1"});
  EXPECT_EQ(Objections(history), "one_visible_result ");
  history = Good();
  history.outcomes.push_back({"a", "", "", true});
  EXPECT_EQ(Objections(history), "not_both ");
  history = Good();
  history.executions[1].begin_us = 9;
  EXPECT_EQ(Objections(history), "one_at_a_time ");
  history = Good();
  history.executions[1].user = "v";
  EXPECT_EQ(Objections(history), "one_user ");
  history = Good();
  history.commits = {{0, 2, {}, 1}};
  EXPECT_EQ(Objections(history), "commit_safety ");
  history = Good();
  history.commits = {{0, 0, {1}, 1}};
  EXPECT_EQ(Objections(history), "commit_safety ");
  history = Good();
  history.published[0].epoch = 2;
  EXPECT_EQ(Objections(history), "fencing ");
  history = Good();
  history.balances[0].complete = 1;
  EXPECT_EQ(Objections(history), "conservation ");
  history = Good();
  history.missed_wakeups = 1;
  EXPECT_EQ(Objections(history), "every_wake_up ");
  history = Good();
  history.quiescent = false;
  EXPECT_EQ(Objections(history), "liveness ");
}

// What may happen to a run, and what may then run again.
History Repeated() {
  auto history = Good();
  history.executions = {
      {"a", "m1", 1, "u", 0, 10, "e1"}, {"b", "m1", 1, "u", 10, 20, "e1"}, {"b", "m2", 1, "u", 30, 40, "e2"}};
  return history;
}

TEST(Checker, ObjectsToWhatRanTwiceAlthoughNothingDied) {
  EXPECT_EQ(Objections(Repeated()), "no_needless_repeat ");
  auto history = Repeated();
  history.deaths = {{"e1", 25}};
  EXPECT_EQ(Objections(history), "");
  history.deaths = {{"e1", 35}};  // after it ran again
  EXPECT_EQ(Objections(history), "no_needless_repeat ");
  history.deaths = {{"e2", 25}};  // another one
  EXPECT_EQ(Objections(history), "no_needless_repeat ");
  history.deaths.clear();
  history.cut_offs = {{"e1", 5, 35}};
  EXPECT_EQ(Objections(history), "");
  history = Repeated();
  history.executions[1].killed = true;
  EXPECT_EQ(Objections(history), "");
}

TEST(Checker, LetsWhatWasOrderedBeforeAnOffsetWasSetBackRunOnceMore) {
  auto history = Repeated();
  history.set_backs = {{0, 1, 5, 0, 0}};  // before both began
  EXPECT_EQ(Objections(history), "no_needless_repeat ");
  history.executions[1].ordered_us = 4;
  EXPECT_EQ(Objections(history), "");
  history.executions[2].ordered_us = 4;
  EXPECT_EQ(Objections(history), "no_needless_repeat ");
}

TEST(Checker, LetsATryThatFailedBeFollowedByAsManyAsAreOwed) {
  auto history = Repeated();
  history.executions[1].failed = true;
  EXPECT_EQ(Objections(history), "");
  history.executions.push_back({"b", "m2", 1, "u", 50, 60, "e2", true});
  history.executions[2].failed = true;
  EXPECT_EQ(Objections(history), "");
  history.executions.push_back({"b", "m2", 1, "u", 70, 80, "e2"});
  EXPECT_EQ(Objections(history), "no_needless_repeat ");
}

TEST(Checker, ObjectsToASecondRunWhereOneWasAskedFor) {
  auto history = Repeated();
  history.sent[1].max_attempts = 1;
  history.executions[1].killed = true;
  EXPECT_EQ(Objections(history), "at_most_once ");
  history.deaths = {{"e1", 15}};
  EXPECT_EQ(Objections(history), "at_most_once ");
  history.takeovers = {{0, 16}};  // and nobody is left who knows
  EXPECT_EQ(Objections(history), "");
}

TEST(Checker, ObjectsToRecordsOfOneKeyThatRunTogetherOrInTheWrongOrder) {
  auto history = Good();
  history.sent[0].order_key = history.sent[1].order_key = "k";
  EXPECT_EQ(Objections(history), "");
  history.executions[1] = {"b", "m2", 1, "u", 5, 15};
  EXPECT_EQ(Objections(history), "order ");
  history.executions[0] = {"a", "m1", 1, "u", 20, 30};
  EXPECT_EQ(Objections(history), "order ");
  history.sent[1].user = "v";
  EXPECT_EQ(Objections(history), "");
}

TEST(Checker, WantsWhatLiesAboveAnOffsetThatWasSetBackOnceMore) {
  auto history = Good();
  history.set_backs = {{0, 1, 25, 2, 1}};
  EXPECT_EQ(Objections(history), "no_loss ");
  history.commits.push_back({0, 2, {}, 2});
  EXPECT_EQ(Objections(history), "no_loss commit_safety ");
  history.outcomes.push_back({"b", "ok", "2"});
  history.executions.push_back({"b", "m1", 1, "u", 30, 40});
  history.commits.back().outcomes_before = 3;
  EXPECT_EQ(Objections(history), "");
}

TEST(Checker, AsksForNothingOfATopicThatWasMadeAnew) {
  auto history = Good();
  history.outcomes.pop_back();
  history.commits.clear();
  history.deleted = {0};
  EXPECT_EQ(Objections(history), "");
}

TEST(Checker, ObjectsToAFrameThatCannotBeRead) {
  auto history = Good();
  history.unreadable_frame = "a string is too long";
  EXPECT_EQ(Objections(history), "readable_frames ");
}

}  // namespace
}  // namespace hearth::simulation
