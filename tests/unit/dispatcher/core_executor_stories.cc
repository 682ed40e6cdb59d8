// Stories about executors: credit, health, leases, lost links, warmth, the directory.
#include "tests/unit/dispatcher/core_stories.h"

namespace hearth::dispatcher {
namespace {

using Kind = Trace::Kind;
using link::NackReason;
using link::Outcome;

class Executors : public CoreStory {
 protected:
  link::Slot Container(const std::string& user, const std::string& machine,
                       link::SlotState state = link::SlotState::kIdle) {
    link::Slot slot;
    slot.user = UserId(user);
    slot.machine = MachineId(machine);
    slot.container = ContainerId(machine + "/1");
    slot.function = FunctionName("sum");
    slot.version = 1;
    slot.state = state;
    slot.memory_mib = 128;
    return slot;
  }
};

TEST_F(Executors, CreditIsNeverExceeded) {
  Connect("e1", 2);
  Own("std/0");
  Forget();
  for (std::int64_t offset = 0; offset < 5; ++offset) Receive("std/0", offset);
  auto execs = Execs();
  ASSERT_EQ(execs.size(), 2U);
  Forget();
  Done("e1", execs[0].second.ref);
  EXPECT_EQ(ExpectExec("e1", 2).ref.offset, 2);
  Beat("e1", 3);  // another dispatcher holds one there
  Done("e1", execs[1].second.ref);
  ExpectNoExec();
}

// Code that sets its own clock back gets no more turns by it: what the queue counts is the executor's interval.
TEST_F(Executors, WhoseRunsAreLongWaitsLongerWhateverTheGuestClaims) {
  Deploy("bob", "sum");
  Connect("e1", 1);
  Own("std/0");
  Forget();
  std::map<std::string, int> placed;
  const auto end = [&] {
    const auto exec = Execs().back().second;
    const bool liar = exec.function->user == UserId("ada");
    ++placed[exec.function->user.value];
    link::Done done = MakeDone(exec.ref, Outcome::kPublished, Status::kOk);
    done.times.started_us = 1;
    done.times.ended_us = liar ? 1 : 2'000'001;
    done.billed_ms = liar ? 60'000 : 10;
    Forget();
    Step(ExecutorMessage{ExecutorId("e1"), done});
  };
  std::int64_t offset = 0;
  for (int i = 0; i < 4; ++i) {  // their costs are learnt
    for (const char* user : {"ada", "bob"}) {
      Receive("std/0", offset++, {.user = user});
      end();
    }
  }
  placed.clear();
  for (int i = 0; i < 20; ++i) {
    for (const char* user : {"ada", "bob"}) Receive("std/0", offset++, {.user = user});
  }
  for (int i = 0; i < 20; ++i) end();
  EXPECT_GE(placed["bob"], 3 * placed["ada"]);
}

TEST_F(Executors, EveryHeartbeatIsAnsweredWithItsOwnTime) {
  Connect("e1");
  Forget();
  link::Heartbeat heartbeat;
  heartbeat.sequence = 41;
  heartbeat.sent_mono_us = 777;
  heartbeat.credit = 4;
  Step(ExecutorMessage{ExecutorId("e1"), heartbeat});
  const auto acks = Sent<link::HeartbeatAck>();
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].second.sequence, 41U);
  EXPECT_EQ(acks[0].second.sent_mono_us, 777);
}

TEST_F(Executors, TheAnswerSaysHowManyUsersWantAPlace) {
  Connect("e1", 0);
  Own("std/0");
  Forget();
  Beat("e1");
  EXPECT_EQ(Sent<link::HeartbeatAck>().at(0).second.wanting, 0);
  Receive("std/0", 0);
  Receive("std/0", 1);
  Forget();
  Beat("e1");
  EXPECT_EQ(Sent<link::HeartbeatAck>().at(0).second.wanting, 1) << "two requests, one user";
}

TEST_F(Executors, ASuspectGetsNothingNew) {
  Connect("e1");
  Own("std/0");
  Pass(700);
  Forget();
  Receive("std/0", 0);
  ExpectNoExec();
  Beat("e1");
  ExpectExec("e1", 0);
}

TEST_F(Executors, ABusyOneIsLeftAloneForAMomentAndAnotherOneAsked) {
  Connect("e1");
  Connect("e2");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  auto execs = Execs();
  ASSERT_EQ(execs.size(), 1U);
  const std::string first = execs[0].first.str();
  Forget();
  Nack(first, execs[0].second.ref, NackReason::kBusy);
  const auto again = ExpectExec(first == "e1" ? "e2" : "e1", 0);
  EXPECT_EQ(again.ref.attempt, 2);
  EXPECT_EQ(again.try_number, 1) << "a refusal is not a try";
}

TEST_F(Executors, OneThatHasNoMachineForAUserIsAskedAgainAfterItsNextHeartbeat) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Nack("e1", ExpectExec("e1", 0).ref, NackReason::kNoMachine);
  ExpectNoExec();
  Beat("e1");
  EXPECT_EQ(ExpectExec("e1", 0).try_number, 1) << "a refusal is not a try";
}

TEST_F(Executors, ADrainingOneGetsNothing) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Nack("e1", ExpectExec("e1", 0).ref, NackReason::kDraining);
  ExpectNoExec();
  Connect("e2");
  Report("e2", "std/0", 1, {});
  ExpectExec("e2", 0);
}

TEST_F(Executors, ALostLinkIsNotALostAttempt) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Disconnect("e1");
  Pass(5'000);
  ExpectNoExec();
  Forget();
  Connect("e1");
  ASSERT_EQ(Fences("std/0").size(), 1U);
  EXPECT_EQ(Fences("std/0")[0].second.epoch, 1) << "the same epoch: only to learn";
  Report("e1", "std/0", 1, {ref});
  ExpectNoExec();
  Done("e1", ref);
  EXPECT_EQ(Numbers().complete, 1);
}

TEST_F(Executors, WhatFinishedWhileTheLinkWasDownCounts) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Disconnect("e1");
  Connect("e1");
  Report("e1", "std/0", 1, {}, {MakeDone(ref, Outcome::kPublished, Status::kOk)});
  EXPECT_EQ(Numbers().complete, 1);
}

// Heartbeats lie unread in the sockets while we stand still.
TEST_F(Executors, AStallOfOurOwnIsNobodysSilence) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto ref = ExpectExec("e1", 0).ref;
  Pass(10);
  Stall(30'000);
  Beat("e1");
  Pass(2'000);
  EXPECT_FALSE(Traced(Trace::Kind::kLostPlacement));
  CommitEnds("std/0");
  Report("e1", "std/0", 2, {}, {MakeDone(ref, Outcome::kPublished, Status::kOk)});
  EXPECT_EQ(Numbers().complete, 1);
}

// Its partitions may be somebody else's by now, who may not see every executor that we see.
TEST_F(Executors, WhoStoodStillForASessionPlacesNothingBeforeACommitHasShownWhoOwnsThePartition) {
  Connect("e1");
  Own("std/0");
  Pass(10);
  Forget();
  Stall(3'001);
  Beat("e1");
  Receive("std/0", 0);
  ExpectNoExec();
  CommitEnds("std/0", false);
  Beat("e1");
  ExpectNoExec();
}

TEST_F(Executors, AnAttemptThatWasDroppedBeforeItBeganIsNotHeldAgainstIt) {
  Connect("e1");
  Deploy("ada", "once", 1);
  Own("std/0");
  Forget();
  for (int i = 0; i < 5; ++i) {
    if (i == 0) Receive("std/0", 0, {.function = "once"});
    auto done = MakeDone(ExpectExec("e1", 0).ref, Outcome::kInfrastructure, Status::kError, false);
    done.error_type = "orphaned";
    Step(ExecutorMessage{ExecutorId("e1"), done});
  }
  EXPECT_EQ(Numbers().placed, 1);
}

TEST_F(Executors, TheOnlyAttemptThatWasDroppedInTheMiddleIsLostAndNotRepeated) {
  Connect("e1");
  Deploy("ada", "once", 1);
  Own("std/0");
  Forget();
  Receive("std/0", 0, {.function = "once"});
  auto done = MakeDone(ExpectExec("e1", 0).ref, Outcome::kInfrastructure, Status::kError);
  done.error_type = "orphaned";
  Disconnect("e1");
  Connect("e1");
  Report("e1", "std/0", 1, {}, {done});
  ExpectNoExec();
  EXPECT_TRUE(Traced(Trace::Kind::kLostPlacement) || Numbers().placed == 0);
}

TEST_F(Executors, AnExecThatNeverArrivedIsSentAgain) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  ExpectExec("e1", 0);
  Disconnect("e1");
  Connect("e1");
  Report("e1", "std/0", 1, {});
  EXPECT_TRUE(Traced(Kind::kLostPlacement, "never_arrived"));
  EXPECT_EQ(ExpectExec("e1", 0).ref.attempt, 2);
}

TEST_F(Executors, ARebornExecutorHasLostWhatItRan) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  ExpectExec("e1", 0);
  Disconnect("e1");
  Connect("e1", 8, "second");
  ExpectNoExec();
  Report("e1", "std/0", 1, {});
  EXPECT_TRUE(Traced(Kind::kLostPlacement, "executor_died"));
  ExpectExec("e1", 0);
}

TEST_F(Executors, AfterItsLeaseTheWorkRunsElsewhere) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto lost = ExpectExec("e1", 0).ref;
  Disconnect("e1");
  Connect("e2");
  Report("e2", "std/0", 1, {});
  PassAlive(24'900, {"e2"});
  ExpectNoExec();
  PassAlive(300, {"e2"});
  EXPECT_TRUE(Traced(Kind::kLostPlacement, "lease_over"));
  EXPECT_EQ(All<DirectoryDropExecutor>().size(), 1U);
  const auto exec = ExpectExec("e2", 0);
  EXPECT_EQ(exec.ref.attempt, 2);
  EXPECT_EQ(exec.try_number, 1);
  Done("e1", lost);
  EXPECT_EQ(Numbers().complete, 0) << "an executor that is gone says nothing";
  Done("e2", exec.ref);
  EXPECT_EQ(Numbers().complete, 1);
}

TEST_F(Executors, WhatAnotherOnePublishedFirstIsTheResult) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  const auto first = ExpectExec("e1", 0).ref;
  Connect("e2");
  Report("e2", "std/0", 1, {});
  Forget();
  PassAlive(26'000, {"e2"});  // e1 is frozen, its link is up
  const auto second = ExpectExec("e2", 0).ref;
  Done("e1", first);
  EXPECT_EQ(Numbers().complete, 1);
  Done("e2", second);
  EXPECT_EQ(Numbers().complete, 1);
  EXPECT_EQ(Numbers().placed, 0);
}

TEST_F(Executors, TheOneWithTheIdleContainerIsChosen) {
  Connect("e1");
  Connect("e2");
  Connect("e3");
  Own("std/0");
  for (const char* warm : {"e1", "e2", "e3"}) {
    const std::string user = std::string("user-of-") + warm;
    Deploy(user, "sum");
    Step(ExecutorMessage{ExecutorId(warm), link::SlotReport{{Container(user, "m-" + user)}}});
    Forget();
    Receive("std/0", warm[1] - '0', {.user = user});
    EXPECT_TRUE(Traced(Kind::kPlaced, "path"));
    ExpectExec(warm, warm[1] - '0');
  }
}

TEST_F(Executors, AnIdleContainerIsPromisedOnce) {
  Connect("e1", 8, "first", {Container("ada", "m1")});
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  Receive("std/0", 1);
  std::vector<StartPath> paths;
  for (const Trace& trace : All<Trace>()) {
    if (trace.kind == Kind::kPlaced) paths.push_back(trace.path);
  }
  EXPECT_EQ(paths, (std::vector<StartPath>{StartPath::kContainer, StartPath::kPool}));
}

TEST_F(Executors, TheDirectoryIsWrittenForOurUsers) {
  Connect("e1", 8, "first", {Container("ada", "m1"), Container("bob", "m2")});
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  ASSERT_EQ(All<LoadUser>().size(), 1U);
  EXPECT_EQ(All<LoadUser>()[0].user, UserId("ada"));
  ASSERT_EQ(All<DirectoryWrite>().size(), 1U) << "what was known before the user was seen";
  Forget();
  Step(ExecutorMessage{ExecutorId("e1"),
                       link::SlotReport{{Container("ada", "m1", link::SlotState::kBusy), Container("bob", "m2")}}});
  ASSERT_EQ(All<DirectoryWrite>().size(), 1U);
  EXPECT_EQ(All<DirectoryWrite>()[0].slot.user, UserId("ada"));
  Forget();
  Receive("std/0", 1);
  EXPECT_TRUE(All<LoadUser>().empty()) << "once";
}

// A dispatcher that was started anew has seen no user when a machine is reclaimed, and nobody else may be there.
TEST_F(Executors, WhatIsGoneIsWrittenForEveryUser) {
  Connect("e1", 8, "first", {Container("ada", "m1")});
  Own("std/0");
  Forget();
  Step(ExecutorMessage{ExecutorId("e1"), link::SlotReport{{Container("ada", "m1", link::SlotState::kGone)}}});
  ASSERT_EQ(All<DirectoryWrite>().size(), 1U);
  EXPECT_EQ(All<DirectoryWrite>()[0].slot.state, link::SlotState::kGone);
}

TEST_F(Executors, WhatTheDirectoryHasOfAUserThatWasNotSeenIsCorrectedToo) {
  Connect("e1", 8, "first", {Container("ada", "m1")});
  PassAlive(kGhostMs);
  Step(UserLoaded{UserId("ada"), {{ExecutorId("e1"), Container("ada", "m9")}}});
  ASSERT_EQ(All<DirectoryWrite>().size(), 1U);
  EXPECT_EQ(All<DirectoryWrite>()[0].slot.state, link::SlotState::kGone);
}

// Another dispatcher may have been told of it a moment before we are.
TEST_F(Executors, WhatTheDirectoryHasSinceAMomentIsLeft) {
  Connect("e1", 8, "first", {Container("ada", "m1")});
  link::Slot fresh = Container("ada", "m9");
  fresh.since_ms = now_.wall_us / kMicrosPerMilli - kGhostMs + 1;
  Step(UserLoaded{UserId("ada"), {{ExecutorId("e1"), fresh}}});
  EXPECT_TRUE(All<DirectoryWrite>().empty());
}

TEST_F(Executors, WhatRedisRemembersWronglyIsRemovedThere) {
  Connect("e1", 8, "first", {Container("ada", "m1")});
  Own("std/0");
  Receive("std/0", 0);
  Forget();
  Step(UserLoaded{UserId("ada"),
                  {{ExecutorId("e1"), Container("ada", "m1")},
                   {ExecutorId("e1"), Container("ada", "m9")},
                   {ExecutorId("e7"), Container("ada", "m8")}}});
  const auto writes = All<DirectoryWrite>();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].slot.machine, MachineId("m9"));
  EXPECT_EQ(writes[0].slot.state, link::SlotState::kGone);
}

TEST_F(Executors, AnOverdueAttemptIsAskedFor) {
  Connect("e1");
  Own("std/0");
  Forget();
  Receive("std/0", 0);
  ExpectExec("e1", 0);
  PassAlive(64'000);
  ASSERT_EQ(Fences("std/0").size(), 1U);
  Report("e1", "std/0", 1, {});
  EXPECT_EQ(Execs().size(), 1U);
}

}  // namespace
}  // namespace hearth::dispatcher
