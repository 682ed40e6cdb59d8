// Stories about how invocations got their places, as the decision log and `why` tell them.
#include <map>
#include <set>

#include "schemas/why.h"
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

using link::NackReason;
using link::Outcome;

class Whys : public CoreStory {
 protected:
  static std::map<std::string, std::string> Words(const std::string& why) {
    std::map<std::string, std::string> words;
    for (auto& [key, value] : ParseWhy(why)) words[key] = value;
    return words;
  }
  const Decision* Explain(const std::string& id) const { return core_->Explain(InvocationId(id)); }
  std::string Steps(const std::string& id) const {
    std::string names;
    if (const Decision* line = Explain(id)) {
      for (const auto& step : line->steps) names += std::string(step.what) + ":" + step.constraint + " ";
    }
    return names;
  }
};

TEST_F(Whys, APlacementNamesItsCandidatesAndWhatDecided) {
  Connect("e1");
  Connect("e2");
  Connect("e3");
  Step(ExecutorMessage{ExecutorId("e3"), link::Heartbeat{1, 0, 8, 0, true, Profiles()}});  // draining
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = "asked"});
  const auto execs = Execs();
  ASSERT_EQ(execs.size(), 1U);
  const auto words = Words(execs[0].second.why);
  EXPECT_EQ(words.at("decided"), "rendezvous");
  EXPECT_EQ(words.at("of"), "3");
  EXPECT_EQ(words.at("fit"), "2");
  EXPECT_EQ(words.at("expected"), "pool");
  EXPECT_EQ(words.count("tries"), 0U);

  const Decision* line = Explain("asked");
  ASSERT_NE(line, nullptr);
  EXPECT_FALSE(line->complete);
  ASSERT_EQ(line->steps.size(), 1U);
  const DecisionStep& step = line->steps[0];
  EXPECT_EQ(step.executor, execs[0].first);
  EXPECT_EQ(step.looked_at, 3);
  ASSERT_EQ(step.candidates.size(), 3U);
  EXPECT_EQ(step.candidates[2].executor, ExecutorId("e3"));
  EXPECT_EQ(step.candidates[2].failed, "not_draining");
  const auto& best = step.candidates[execs[0].first == ExecutorId("e1") ? 0 : 1];
  const auto& other = step.candidates[execs[0].first == ExecutorId("e1") ? 1 : 0];
  EXPECT_GT(best.rendezvous, other.rendezvous);
}

// Either the executor or we have not read the registry so far: only the invocation waits, not the executor's others.
TEST_F(Whys, AFunctionThatAnExecutorDoesNotKnowYetIsAskedForAgain) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = "asked"});
  Nack("e1", ExpectExec("e1", 0).ref, NackReason::kUnknownFunction);
  Receive("std/0", 1, {.id = "other"});
  Done("e1", ExpectExec("e1", 1).ref);
  PassAlive(100);
  Done("e1", ExpectExec("e1", 0).ref);
  EXPECT_EQ(Steps("asked"), "placed:only_one nacked:unknown_function placed:only_one ");
}

TEST_F(Whys, TheWholeStoryIsThereOnceItIsComplete) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = "asked"});
  Nack("e1", ExpectExec("e1", 0).ref, NackReason::kBusy);
  PassAlive(100);
  auto exec = ExpectExec("e1", 0);
  EXPECT_EQ(Words(exec.why).at("returned"), "1");
  EXPECT_GT(std::stoll(Words(exec.why).at("queue_us")), 0);
  EXPECT_EQ(Words(exec.why).at("held_by"), "not_cooling");
  Done("e1", exec.ref, Outcome::kFailed, Status::kError);
  PassAlive(3000);
  exec = ExpectExec("e1", 0);
  EXPECT_EQ(Words(exec.why).at("tries"), "1");
  Done("e1", exec.ref);
  EXPECT_EQ(Steps("asked"), "placed:only_one nacked:busy placed:only_one retried:ValueError placed:only_one ");
  const Decision* line = Explain("asked");
  EXPECT_TRUE(line->complete);
  EXPECT_EQ(line->status, Status::kOk);
  EXPECT_EQ(line->partition, Part("std/0"));
}

TEST_F(Whys, WhatHeldAnInvocationBackIsNamed) {
  user_concurrency_ = 1;
  Start();
  Connect("e1", 2);
  Deploy("bob", "one", 3, 1, 1);
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = "first"});
  const auto first = ExpectExec("e1", 0).ref;
  Receive("std/0", 1, {.id = "second"});
  ExpectNoExec();
  Done("e1", first);
  EXPECT_EQ(Words(ExpectExec("e1", 1).why).at("held_by"), "user_cap");
}

TEST_F(Whys, ARefusalSaysWhyInItsReplyAndItsLog) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.function = "nothing", .id = "asked"});
  PassAlive(1100);
  const auto produce = ExpectProduce("hearth.reply");
  EXPECT_EQ(Words(HeaderOf(*produce.record, "hearth-why")).at("decided"), "unknown_function");
  Delivered(produce);
  EXPECT_EQ(Steps("asked"), "refused:unknown_function ");
  EXPECT_EQ(Explain("asked")->status, Status::kRejected);
  EXPECT_EQ(Explain("asked")->epoch, 1);
}

class Placings : public Whys {
 protected:
  static link::Slot Container(const std::string& user, const std::string& machine, int number = 1) {
    link::Slot slot;
    slot.user = UserId(user);
    slot.machine = MachineId(machine);
    slot.container = ContainerId(machine + "/" + std::to_string(number));
    slot.function = FunctionName("sum");
    slot.version = 1;
    slot.state = link::SlotState::kIdle;
    slot.memory_mib = 128;
    return slot;
  }
};

TEST_F(Placings, AWarmInvocationLooksAtItsOwnExecutorsOnly) {
  for (int i = 0; i < 200; ++i) {
    const std::string id = "e" + std::to_string(i);
    std::vector<link::Slot> slots = {Container("user-" + id, "m-" + id)};
    if (i == 77 || i == 99) slots.push_back(Container("ada", "m-ada-" + id));
    Connect(id, 8, "first", slots);
  }
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = "warm"});
  const DecisionStep& step = Explain("warm")->steps.at(0);
  EXPECT_EQ(step.executors, 200);
  EXPECT_EQ(step.looked_at, 2);
  EXPECT_EQ(step.expected, StartPath::kContainer);
  Deploy("new", "sum");
  Receive("std/0", 1, {.user = "new", .id = "cold"});
  EXPECT_EQ(Explain("cold")->steps.at(0).looked_at, 200);
  EXPECT_EQ(Explain("cold")->steps.at(0).candidates.size(), kMaxDecisionCandidates);
}

// Warm in two places, with load for one: the other one drains.
TEST_F(Placings, LoadForOneExecutorStaysOnOne) {
  Connect("e1", 8, "first", {Container("ada", "m1")});
  Connect("e2", 8, "first", {Container("ada", "m2")});
  Own("std/0");
  std::set<ExecutorId> used;
  for (std::int64_t offset = 0; offset < 30; ++offset) {
    Forget();
    Receive("std/0", offset);
    ASSERT_EQ(Execs().size(), 1U);
    const auto [executor, exec] = Execs()[0];
    used.insert(executor);
    Done(executor.str(), exec.ref);
  }
  EXPECT_EQ(used.size(), 1U);
}

TEST_F(Placings, AFullHouseWaitsAndIsNotRefused) {
  Connect("e1");
  link::Heartbeat heartbeat;
  heartbeat.credit = 8;
  heartbeat.profiles = {{"default", 0, 0, 0, 384}};
  Step(ExecutorMessage{ExecutorId("e1"), heartbeat});
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = "asked"});
  ExpectExec("e1", 0);  // which evicts, or has it wait
  EXPECT_EQ(Explain("asked")->steps.at(0).expected, StartPath::kNone);
}

TEST_F(Placings, ALackOfRuntimeOrOfMemoryForEverIsAFilter) {
  const auto beat = [this](const std::string& id, std::int32_t container_mib, std::vector<std::string> runtimes) {
    link::Heartbeat heartbeat;
    heartbeat.credit = 8;
    heartbeat.profiles = {{"default", 4, 0, 4, container_mib, std::move(runtimes)}};
    Step(ExecutorMessage{ExecutorId(id), heartbeat});
  };
  for (const char* id : {"e1", "e2", "e3"}) Connect(id);
  beat("e1", 64, {"python3"});  // the function needs 128
  beat("e2", 384, {"native"});  // and Python
  beat("e3", 384, {"python3"});
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = "asked"});
  ExpectExec("e3", 0);
  const auto& candidates = Explain("asked")->steps.at(0).candidates;
  EXPECT_EQ(candidates.at(0).failed, "memory");
  EXPECT_EQ(candidates.at(1).failed, "runtime");
  EXPECT_EQ(candidates.at(2).failed, "");
}

TEST_F(Whys, WhereNobodyReadsALineForEachRecordUsualStepsAreCountedAndOthersNamed) {
  detailed_traces_ = false;
  Start();
  Connect("e1");
  Own("std/0");
  Forget();
  std::map<Trace::Kind, Trace> told;
  const auto listen = [&] {
    for (const Trace& trace : All<Trace>()) told[trace.kind] = trace;
  };
  Receive("std/0", 0, {.id = "asked"});
  listen();
  Done("e1", ExpectExec("e1", 0).ref, link::Outcome::kFailed, Status::kError);
  listen();
  PassAlive(1300);
  listen();
  Done("e1", ExpectExec("e1", 0).ref);
  listen();
  ASSERT_TRUE(told.contains(Trace::Kind::kReceived) && told.contains(Trace::Kind::kPlaced));
  ASSERT_TRUE(told.contains(Trace::Kind::kCompleted) && told.contains(Trace::Kind::kRetried));
  EXPECT_EQ(told[Trace::Kind::kCompleted].status, Status::kOk);
  EXPECT_NE(told[Trace::Kind::kCompleted].times.received_us, 0);
  EXPECT_EQ(told[Trace::Kind::kCompleted].id, InvocationId());
  EXPECT_EQ(told[Trace::Kind::kRetried].id, InvocationId("asked"));
  EXPECT_EQ(Explain("asked")->steps.size(), 3U) << "who asks is told all the same";
}

TEST_F(Whys, LongNamesStayWithinTheBound) {
  const std::string id(128, 'x');
  Connect(std::string(128, 'e'));
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.id = id});
  ASSERT_EQ(Execs().size(), 1U);
  EXPECT_LE(Execs()[0].second.why.size(), kMaxWhyOfDispatcherBytes);
  EXPECT_NE(Explain(id), nullptr);
}

}  // namespace
}  // namespace hearth::dispatcher
