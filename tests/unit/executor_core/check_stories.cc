// Between the end of a run and the word that its container is clean: the answer is gone already, and the container is
// nobody's.
#include "tests/unit/executor_core/core_stories.h"

namespace hearth::executor {
namespace {

class Checks : public Story {
 protected:
  using Story::Story;
  // One attempt of ada's runs.
  std::pair<SendToGuest, guest::Run> Running() {
    Boot();
    Connect();
    Exec(MakeExec(0));
    return UntilRun();
  }
};

TEST_F(Checks, TheAnswerDoesNotWaitForTheCheck) {
  const auto run = Running();
  Answer(run);
  EXPECT_EQ(Published().status, Status::kOk);
  EXPECT_EQ(core.ReadGauges().held, 0) << "its credit is free, too";
  EXPECT_EQ(core.ReadGauges().idle_containers, 0);
  Check(run);
  EXPECT_EQ(core.ReadGauges().idle_containers, 1);
}

TEST_F(Checks, NoAttemptIsHandedToAContainerUnderCheckAndOneWaitsForIt) {
  const auto run = Running();
  Answer(run);
  Exec(MakeExec(1));
  EXPECT_FALSE(TakeFrame<guest::Run>());
  EXPECT_FALSE(TakeFrame<guest::Create>()) << "another container is not made for it";
  Check(run);
  const auto next = TakeFrame<guest::Run>();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->first.frame.stream, run.first.frame.stream);
  EXPECT_EQ(next->second.id, InvocationId("inv1"));
}

TEST_F(Checks, OneCheckIsWaitedForByOne) {
  const auto run = Running();
  Answer(run);
  Exec(MakeExec(1));
  Exec(MakeExec(2));
  const auto create = TakeFrame<guest::Create>();
  ASSERT_TRUE(create) << "the second gets a container of its own";
  Check(run);
  EXPECT_EQ(TakeFrame<guest::Run>()->second.id, InvocationId("inv1"));
  Step(GuestMessage{create->first.machine, {create->first.frame.stream, guest::Created{}}});
  EXPECT_EQ(TakeFrame<guest::Run>()->second.id, InvocationId("inv2"));
}

TEST_F(Checks, WhoWaitedForAContainerThatFailsItsCheckGetsAnother) {
  const auto run = Running();
  Answer(run);
  Exec(MakeExec(1));
  Check(run, false);
  EXPECT_FALSE(TakeFrame<guest::Run>()) << "never in the one that failed";
  const auto create = TakeFrame<guest::Create>();
  ASSERT_TRUE(create);
  EXPECT_NE(create->first.frame.stream, run.first.frame.stream);
}

TEST_F(Checks, WhoWaitedForAContainerThatDiesUnderItsCheckGetsAnother) {
  const auto run = Running();
  Answer(run);
  Exec(MakeExec(1));
  Step(GuestMessage{run.first.machine, {run.first.frame.stream, guest::ContainerGone{"its holder ended"}}});
  const auto create = TakeFrame<guest::Create>();
  ASSERT_TRUE(create);
  EXPECT_NE(create->first.frame.stream, run.first.frame.stream);
}

TEST_F(Checks, AMachineThatDiesUnderACheckFailsNobody) {
  const auto run = Running();
  Answer(run);
  Step(MachineLost{run.first.machine, "killed"});
  EXPECT_EQ(Published().outcome, link::Outcome::kPublished);
  EXPECT_FALSE(TakeMessage<link::Done>());
}

TEST_F(Checks, WhatARunUsedIsToldOnceWithWhatTheCheckFound) {
  const auto run = Running();
  Answer(run);
  EXPECT_FALSE(Take<PublishUsage>());
  Check(run);
  const auto usage = Take<PublishUsage>();
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->usage.id, InvocationId("inv0"));
  EXPECT_EQ(usage->usage.cpu_us, 3000);
  EXPECT_EQ(usage->usage.billed_ms, 10) << "the check is nobody's bill";
  EXPECT_FALSE(Take<PublishUsage>());
}

class ChecksInAFullHouse : public Checks {
 protected:
  ChecksInAFullHouse() : Checks(Narrow()) {}
  // One machine holds one container, no other machine fits, and one attempt may wait.
  static Settings Narrow() {
    Settings settings = Defaults();
    settings.profiles = {Profile{"default", 512, 160, 1, 1, 0}};
    settings.memory_mib = 512;
    settings.waiting = 1;
    return settings;
  }
  link::Exec Large(std::int64_t offset, const char* user = "ada") {
    link::Exec exec = MakeExec(offset, user);
    Function described = *exec.function;
    described.memory_mib = 352;
    exec.function = std::make_shared<const Function>(std::move(described));
    return exec;
  }
};

TEST_F(ChecksInAFullHouse, WhoHasACheckToWaitForIsNotRefusedForWantOfAPlaceToWait) {
  Boot();
  Connect();
  Exec(Large(0));
  const auto run = UntilRun();
  Exec(Large(1, "bob"));
  EXPECT_EQ(core.ReadGauges().waiting, 1) << "bob has the only place";
  Exec(Large(2));
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kNoMachine) << "what runs may run for long";
  Answer(run);
  Exec(Large(3));
  EXPECT_FALSE(TakeMessage<link::Nack>()) << "the container is ada's again in a moment";
  Exec(Large(4));
  EXPECT_TRUE(TakeMessage<link::Nack>()) << "somebody waits for it already";
  Check(run);
  EXPECT_EQ(TakeFrame<guest::Run>()->second.id, InvocationId("inv3"));
}

TEST_F(Checks, AContainerUnderCheckIsBusyForDispatchers) {
  const auto run = Running();
  const auto last_state = [this] {
    After(100);
    std::optional<link::SlotState> state;
    while (const auto report = TakeMessage<link::SlotReport>()) {
      for (const auto& slot : report->slots) {
        if (!slot.container.empty()) state = slot.state;
      }
    }
    return state;
  };
  Answer(run);
  EXPECT_EQ(last_state(), link::SlotState::kBusy);
  Check(run);
  EXPECT_EQ(last_state(), link::SlotState::kIdle);
}

}  // namespace
}  // namespace hearth::executor
