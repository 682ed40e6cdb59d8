#include "tests/unit/executor_core/core_stories.h"
#include "executor/core/pool.h"

namespace hearth::executor {
namespace {

TEST_F(Story, AFirstRequestTakesFromThePoolAndTheNextFindsItsContainer) {
  const auto machine = Boot();
  Connect();
  Exec(MakeExec(0));
  EXPECT_TRUE(TakeFrame<guest::Configure>());
  EXPECT_EQ(Take<MarkOwner>()->user, UserId("ada"));
  EXPECT_TRUE(Take<StartMachine>()) << "a taken machine is replaced at once";
  const auto first = UntilRun();
  EXPECT_EQ(first.first.machine, machine);
  End(first);
  auto done = Published();
  EXPECT_EQ(done.outcome, link::Outcome::kPublished);
  EXPECT_EQ(done.start_path, StartPath::kPool);
  EXPECT_EQ(done.times.ended_us - done.times.started_us, 5000);

  Exec(MakeExec(1));
  auto second = TakeFrame<guest::Run>();
  ASSERT_TRUE(second) << "nothing but one frame lies between a warm request and its run";
  End(*second);
  EXPECT_EQ(Published().start_path, StartPath::kContainer);
}

TEST_F(Story, TheHostsClockDecidesWhateverTheGuestClaims) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  const auto run = UntilRun();
  guest::Ended ended;
  ended.id = run.second.id;
  ended.attempt = run.second.attempt;
  ended.start_us = 1'000'000'000;
  ended.run_us = 1'000'000'000;
  ended.total_us = 1;
  now.mono_us += 500;
  now.wall_us += 500;
  const auto leased_us = now.wall_us - 500;
  Step(GuestMessage{run.first.machine, {run.first.frame.stream, ended}});
  const auto done = Published();
  EXPECT_GE(done.times.started_us, leased_us);
  EXPECT_LE(done.times.ended_us, now.wall_us);
}

// What dispatchers write of a slot is ordered by the time of its change, whoever connects and whatever the clock does.
TEST_F(Story, TheTimeOfASlotsChangeNeverFallsAndIsTheSameForAll) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  const auto run = UntilRun();
  Step(Tick{});
  End(run);
  Step(Tick{});
  now.wall_us -= 3600LL * kMicrosPerSecond;
  Exec(MakeExec(1));
  Step(Tick{});
  std::int64_t last_ms = 0;
  std::int64_t busy_ms = 0;
  while (const auto report = TakeMessage<link::SlotReport>()) {
    for (const link::Slot& slot : report->slots) {
      if (slot.container.empty()) continue;
      EXPECT_GE(slot.since_ms, last_ms);
      last_ms = slot.since_ms;
      if (slot.state == link::SlotState::kBusy) busy_ms = slot.since_ms;
    }
  }
  ASSERT_GT(busy_ms, 0);
  now.wall_us += 2 * 3600LL * kMicrosPerSecond;
  Step(DispatcherConnected{kLink + 1, DispatcherId("d2")});
  const auto hello = TakeMessage<link::ExecutorHello>();
  ASSERT_TRUE(hello);
  ASSERT_FALSE(hello->slots.empty());
  for (const link::Slot& slot : hello->slots) {
    if (slot.container.empty()) continue;
    EXPECT_EQ(slot.since_ms, busy_ms) << "a hello is no change";
  }
}

// A host that is busy for a while is slow at every start: if each had the same limit, none would ever end.
TEST_F(Story, AfterAStartThatTookTooLongTheNextMayTakeTwiceAsLong) {
  const auto first = Take<StartMachine>();
  ASSERT_TRUE(first);
  After(30'000);
  const auto broken_off = Take<DestroyMachine>();
  ASSERT_TRUE(broken_off);
  EXPECT_EQ(broken_off->machine, first->machine);
  Step(MachineDestroyed{first->machine});
  After(1000);
  const auto second = Take<StartMachine>();
  ASSERT_TRUE(second);
  After(45'000);
  EXPECT_FALSE(Take<DestroyMachine>());
  After(20'000);
  EXPECT_TRUE(Take<DestroyMachine>());
  EXPECT_EQ(StartLimitMs(30'000, 0), 30'000);
  EXPECT_EQ(StartLimitMs(30'000, 100), 120'000);
}

TEST_F(Story, AMachineNeverServesAnotherUser) {
  const auto adas = Boot();
  Connect();
  Exec(MakeExec(0, "ada"));
  End(UntilRun());
  Published();
  const auto next = Boot();
  Exec(MakeExec(1, "bob"));
  EXPECT_EQ(UntilRun().first.machine, next);
  EXPECT_NE(next, adas);
}

// A container is made once its code is on its way, and its time to be made begins then.
TEST_F(Story, ACreateWaitsForItsArchiveAndItsTimeOutToo) {
  archives_at_once = false;
  Boot();
  Connect();
  Exec(MakeExec(0));
  Exec(MakeExec(1));
  Step(CodeLoaded{UserId("ada"), Take<LoadCode>()->hash, std::make_shared<const std::string>("code"), ""});
  const auto archive = Take<SendArchive>();
  ASSERT_TRUE(archive);
  EXPECT_FALSE(Take<SendArchive>()) << "one is enough for both";
  for (int i = 0; i < 60; ++i) {
    After(1000);
    while (auto ping = TakeFrame<guest::Ping>())
      Step(GuestMessage{ping->first.machine, {0, guest::Pong{ping->second.sequence}}});
    while (auto beat = TakeMessage<link::Heartbeat>())
      Step(DispatcherMessage{kLink, link::HeartbeatAck{beat->sequence, beat->sent_mono_us}});
  }
  EXPECT_FALSE(TakeFrame<guest::Create>());
  while (const auto destroy = Take<DestroyMachine>())
    EXPECT_NE(destroy->machine, archive->machine) << "a slow transfer is nobody's fault";
  Step(ArchiveSent{archive->machine, archive->hash});
  EXPECT_TRUE(TakeFrame<guest::Create>());
  EXPECT_TRUE(TakeFrame<guest::Create>());
}

// Its container would be left without anybody to be made for.
TEST_F(Story, WhoseContainerWaitsForItsArchiveIsNotTakenByAnotherThatComesFree) {
  auto first = MakeExec(0);
  auto second = MakeExec(1);
  Function large = *first.function;
  large.memory_mib = 300;  // one fits into a machine
  first.function = second.function = std::make_shared<const Function>(std::move(large));
  Boot();
  Connect();
  Exec(first);
  const auto run = UntilRun();
  const auto other = Boot();
  archives_at_once = false;
  Exec(second);
  const auto archive = Take<SendArchive>();
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->machine, other);
  End(run);
  EXPECT_FALSE(TakeFrame<guest::Run>());
  Step(ArchiveSent{archive->machine, archive->hash});
  EXPECT_EQ(UntilRun().first.machine, other);
}

TEST_F(Story, WhoIsCancelledWhileItsArchiveTravelsLeavesNoContainer) {
  archives_at_once = false;
  Boot();
  Connect();
  Exec(MakeExec(0));
  Step(CodeLoaded{UserId("ada"), Take<LoadCode>()->hash, std::make_shared<const std::string>("code"), ""});
  const auto archive = Take<SendArchive>();
  ASSERT_TRUE(archive);
  Step(DispatcherMessage{kLink, link::Cancel{MakeExec(0).ref}});
  EXPECT_EQ(core.ReadGauges().containers, 0);
  Step(ArchiveSent{archive->machine, archive->hash});
  EXPECT_FALSE(TakeFrame<guest::Create>());
}

TEST_F(Story, AMachineThatEndsInTheMiddleOfATransferTakesItsAttemptsAlong) {
  archives_at_once = false;
  const auto machine = Boot();
  Connect();
  Exec(MakeExec(0));
  Step(CodeLoaded{UserId("ada"), Take<LoadCode>()->hash, std::make_shared<const std::string>("code"), ""});
  const auto archive = Take<SendArchive>();
  ASSERT_TRUE(archive);
  Step(MachineLost{machine, "ended"});
  EXPECT_EQ(TakeMessage<link::Done>()->outcome, link::Outcome::kInfrastructure);
  Step(ArchiveSent{archive->machine, archive->hash});
  EXPECT_FALSE(TakeFrame<guest::Create>());
}

TEST_F(Story, CodeThatAMachineHoldsIsNotSentAgain) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  EXPECT_EQ(Take<LoadCode>()->user, UserId("ada"));
  Step(CodeLoaded{UserId("ada"), CodeHash(std::string(64, 'a')), std::make_shared<const std::string>("code"), ""});
  EXPECT_EQ(archives.size(), 1U);
  Exec(MakeExec(1));
  EXPECT_EQ(archives.size(), 1U);
  EXPECT_EQ(Count<LoadCode>(), 0);
  auto one = TakeFrame<guest::Create>();
  auto two = TakeFrame<guest::Create>();
  ASSERT_TRUE(one && two);
  Step(GuestMessage{two->first.machine, {two->first.frame.stream, guest::Created{}}});
  End(*TakeFrame<guest::Run>());
  EXPECT_EQ(Published().start_path, StartPath::kCached);
}

TEST_F(Story, WaitingRequestsCauseNoMoreStartsThanTheyNeed) {
  Take<StartMachine>();  // the pool's, still starting
  Connect();
  for (int offset = 0; offset < 6; ++offset) Exec(MakeExec(offset));
  // Two fit into each machine; one starts already, two starts at once are allowed.
  EXPECT_EQ(Count<StartMachine>(), 1);
}

TEST_F(Story, AWaitingShellIsActivatedForWhomThePoolHasNothing) {
  Connect();
  Take<StartMachine>();  // the pool's own, which warms up first
  Step(ShellsChanged{"default", 1});
  Exec(MakeExec(0));
  auto start = Take<StartMachine>();
  ASSERT_TRUE(start);
  EXPECT_FALSE(start->warm_up) << "nobody waits for that";
  guest::Hello hello;
  hello.runtimes = {"python3", "native"};
  Step(MachineReady{start->machine, StartPath::kRestore, hello});
  End(UntilRun());
  EXPECT_EQ(Published().start_path, StartPath::kRestore);
}

TEST_F(Story, ActivationsForRequestsAreNotHeldBackByRefill) {
  Connect();
  Step(ShellsChanged{"default", 2});  // one machine starts for the pool; two at once are allowed
  Exec(MakeExec(0, "ada"));
  Exec(MakeExec(1, "bob"));
  EXPECT_EQ(Count<StartMachine>(), 3);
}

TEST_F(Story, AResultThatNoTopicTakesEndsAllTheSame) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  auto publish = Take<Publish>();
  Step(PublishFinished{publish->token, false, "too large", false, true});
  publish = Take<Publish>();
  EXPECT_EQ(publish->record->topic, "hearth.undeliverable");
  Step(PublishFinished{publish->token, false, "too large", false, true});
  publish = Take<Publish>();
  EXPECT_EQ(publish->record->topic, "hearth.reply") << "once more, without its output";
  Step(PublishFinished{publish->token, false, "too large", false, true});
  publish = Take<Publish>();
  Step(PublishFinished{publish->token, false, "too large", false, true});
  EXPECT_EQ(core.ReadGauges().held, 0);
  EXPECT_TRUE(TakeMessage<link::Done>());
}

// A user whose reply topic does not exist, or a broker that takes nothing, must not occupy the places of others.
TEST_F(Story, ResultsThatWaitForTheirTopicHoldNobodysCredit) {
  Connect();
  Boot();
  const auto credit = static_cast<std::int32_t>(core.ReadGauges().credit);
  for (std::int32_t i = 0; i < credit; ++i) {
    Exec(MakeExec(i));
    End(i == 0 ? UntilRun() : *TakeFrame<guest::Run>());
  }
  ASSERT_EQ(Count<Publish>(), credit);
  Exec(MakeExec(credit, "bob"));
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kBusy) << "they may be written at any moment";
  After(1000);
  std::int32_t told = 0;
  while (const auto beat = TakeMessage<link::Heartbeat>()) told = beat->credit;
  EXPECT_EQ(told, 2 * credit);
  Exec(MakeExec(credit, "bob"));
  EXPECT_FALSE(TakeMessage<link::Nack>());
}

// Two 64 KiB texts in a Done would make it undecodable, and the link would break again and again.
TEST_F(Story, WhatAGuestSaysIsCutWhereItEnters) {
  Boot();
  Connect();
  auto exec = MakeExec(0);
  exec.final_try = false;
  Exec(exec);
  const auto run = UntilRun();
  guest::Ended ended;
  ended.id = run.second.id;
  ended.attempt = run.second.attempt;
  ended.status = Status::kError;
  ended.error_type = std::string(60'000, 't');
  for (int i = 0; i < 30'000; ++i) ended.error_message += "\xc3\xa9";
  ended.error_message.insert(0, "x");  // so that the limit falls into a letter
  Step(GuestMessage{run.first.machine, {run.first.frame.stream, ended}});
  const auto done = TakeMessage<link::Done>();
  ASSERT_TRUE(done);
  EXPECT_LE(done->error_type.size(), kMaxIdentifierBytes);
  EXPECT_EQ(done->error_message.size(), kMaxErrorMessageBytes - 1);
}

TEST_F(Story, TheSameAttemptTwiceRunsOnce) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  const auto run = UntilRun();
  Exec(MakeExec(0));
  EXPECT_FALSE(TakeFrame<guest::Run>());
  End(run);
  Published();
  Exec(MakeExec(0));
  EXPECT_TRUE(TakeMessage<link::Done>()) << "told again, not run again";
  EXPECT_FALSE(TakeFrame<guest::Run>());
}

TEST_F(Story, AFailureThatIsNotFinalIsReportedAndNotPublished) {
  Boot();
  Connect();
  auto exec = MakeExec(0);
  exec.final_try = false;
  Exec(exec);
  End(UntilRun(), Status::kError);
  EXPECT_EQ(Count<Publish>(), 0);
  auto done = TakeMessage<link::Done>();
  EXPECT_EQ(done->outcome, link::Outcome::kFailed);
  EXPECT_EQ(done->try_number, 1);
}

TEST_F(Story, AReplyTopicThatRefusesLeavesTheResultWithTheUndeliverable) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  auto publish = Take<Publish>();
  Step(PublishFinished{publish->token, false, "no such topic"});
  EXPECT_FALSE(TakeMessage<link::Done>()) << "nothing is durable yet";
  auto again = Take<Publish>();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->record->topic, "hearth.undeliverable");
  Step(PublishFinished{again->token, true, ""});
  EXPECT_TRUE(TakeMessage<link::Done>());
}

TEST_F(Story, AnAgentThatLiesLosesItsMachine) {
  const auto machine = Boot();
  Connect();
  Exec(MakeExec(0));
  auto run = UntilRun();
  run.second.id = InvocationId("another");
  End(run);
  EXPECT_EQ(Take<DestroyMachine>()->machine, machine);
  EXPECT_EQ(TakeMessage<link::Done>()->outcome, link::Outcome::kInfrastructure);
  EXPECT_EQ(Count<Publish>(), 0);
}

TEST_F(Story, ASilentAgentIsCondemnedAfterThreeMisses) {
  const auto machine = Boot();
  for (int i = 0; i < 5; ++i) After(2000);
  auto destroy = Take<DestroyMachine>();
  ASSERT_TRUE(destroy);
  EXPECT_EQ(destroy->machine, machine);
}

TEST_F(Story, AMachineThatDiesFailsWhatItRan) {
  const auto machine = Boot();
  Connect();
  Exec(MakeExec(0));
  UntilRun();
  Step(MachineLost{machine, "killed"});
  EXPECT_EQ(TakeMessage<link::Done>()->outcome, link::Outcome::kInfrastructure);
}

TEST_F(Story, CreditIsALimitAndPassingItIsAnAnswer) {
  Connect();
  Boot();
  const auto function = [&](int offset) {  // of a size that eight run at once
    auto exec = MakeExec(offset);
    Function described = *exec.function;
    described.memory_mib = 32;
    exec.function = std::make_shared<const Function>(std::move(described));
    return exec;
  };
  for (int offset = 0; offset < 8; ++offset) Exec(function(offset));
  EXPECT_FALSE(TakeMessage<link::Nack>());
  Exec(function(8));
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kBusy);
}

class ColdStory : public Story {
 protected:
  static Settings FewMayWait() {
    Settings settings = Defaults();
    settings.waiting = 8;
    return settings;
  }
  ColdStory() : Story(FewMayWait()) {}
};

// What waits for a machine takes no place of what is warm, and what is told to dispatchers says so.
TEST_F(ColdStory, OneUsersColdStartsRefuseNobodysWarmOnes) {
  Boot();
  Connect();
  Exec(MakeExec(0, "bob"));
  End(UntilRun());
  Published();
  int refused = 0;
  for (int offset = 1; offset <= 64; ++offset) {
    auto exec = MakeExec(offset, "ada");
    Function described = *exec.function;
    described.name = FunctionName("f" + std::to_string(offset));
    described.memory_mib = 352;
    exec.function = std::make_shared<const Function>(std::move(described));
    Exec(exec);
    if (const auto nack = TakeMessage<link::Nack>()) {
      EXPECT_EQ(nack->reason, link::NackReason::kNoMachine);
      ++refused;
    }
  }
  EXPECT_EQ(core.ReadGauges().waiting, 4) << "half of what may wait is left to others";
  EXPECT_EQ(refused, 60);
  After(200);
  std::optional<link::Heartbeat> beat;
  while (auto next = TakeMessage<link::Heartbeat>()) beat = next;
  ASSERT_TRUE(beat);
  EXPECT_EQ(beat->waiting_room, 4);
  EXPECT_EQ(beat->credit, 8 + 4);
  EXPECT_EQ(beat->waiting, 4);
  EXPECT_EQ(beat->held, 4);
  for (int offset = 100; offset < 108; ++offset) {
    Exec(MakeExec(offset, "bob"));
    const auto run = TakeFrame<guest::Run>();
    ASSERT_TRUE(run) << "warm";
    End(*run);
    Published();
  }
  EXPECT_FALSE(TakeMessage<link::Nack>());
  Exec(MakeExec(200, "eve"));
  EXPECT_FALSE(TakeMessage<link::Nack>()) << "another user may wait too";
  EXPECT_EQ(core.ReadGauges().waiting, 5);
}

TEST_F(ColdStory, WhatNeedNotWaitIsTakenWhereNobodyMayWaitAnyMore) {
  Boot();
  Connect();
  Exec(MakeExec(0, "ada"));
  for (int offset = 1; offset <= 8; ++offset) Exec(MakeExec(offset, ("user" + std::to_string(offset)).c_str()));
  ASSERT_EQ(core.ReadGauges().waiting, 8);
  EXPECT_FALSE(TakeMessage<link::Nack>()) << "one of each user";
  Exec(MakeExec(9, "eve"));
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kNoMachine);
  auto another = MakeExec(10, "ada");
  Function other = *another.function;
  other.name = FunctionName("g");
  another.function = std::make_shared<const Function>(std::move(other));
  Exec(another);
  EXPECT_FALSE(TakeMessage<link::Nack>()) << "there is room for it in ada's machine";
}

TEST_F(Story, WhatExpiresWhileWaitingNeverStarts) {
  Connect();
  auto exec = MakeExec(0);
  exec.expires_ms = now.wall_us / kMicrosPerMilli + 50;
  Exec(exec);
  After(100);
  EXPECT_EQ(TakeMessage<link::Done>()->outcome, link::Outcome::kExpired);
}

TEST_F(Story, IdleContainersAndMachinesGoAfterTheirTime) {
  const auto machine = Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  Published();
  const auto answer_pings = [&] {
    while (auto ping = TakeFrame<guest::Ping>())
      Step(GuestMessage{ping->first.machine, {0, guest::Pong{ping->second.sequence}}});
  };
  for (int i = 0; i < 301; ++i) {
    After(1000);
    answer_pings();
  }
  auto remove = TakeFrame<guest::Remove>();
  ASSERT_TRUE(remove);
  Step(GuestMessage{machine, {remove->first.frame.stream, guest::ContainerGone{"removed"}}});
  for (int i = 0; i < 901; ++i) {
    After(1000);
    answer_pings();
  }
  bool gone = false;  // among the machines of the pool that never said hello
  while (auto destroy = Take<DestroyMachine>()) gone = gone || destroy->machine == machine;
  EXPECT_TRUE(gone);
}

TEST_F(Story, AMachineWithoutOneOfItsRuntimesIsReplacedAndServesNobody) {
  const auto lame = Boot({"native"});
  const auto destroyed = Take<DestroyMachine>();
  ASSERT_TRUE(destroyed);
  EXPECT_EQ(destroyed->machine, lame);
  Step(MachineDestroyed{lame});
  After(kStartBackoffMinMs);
  Connect();
  Exec(MakeExec(0));
  const auto sound = Boot();
  EXPECT_EQ(UntilRun().first.machine, sound);
}

TEST_F(Story, DrainingFinishesWhatRunsAndTakesNothingNew) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  const auto run = UntilRun();
  Step(DrainRequested{});
  Exec(MakeExec(1));
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kDraining);
  EXPECT_EQ(Count<DrainFinished>(), 0);
  After(200);
  while (const auto beat = TakeMessage<link::Heartbeat>()) EXPECT_FALSE(beat->leaves) << "one runs";
  End(run);
  Published();
  EXPECT_EQ(Count<DrainFinished>(), 1);
  const auto last = TakeMessage<link::Heartbeat>();
  ASSERT_TRUE(last) << "at once, and not when the next one is due";
  EXPECT_TRUE(last->leaves);
  EXPECT_EQ(last->held, 0);
}

TEST_F(Story, WhoWaitsForAMachineWhenTheExecutorDrainsIsSentBack) {
  Connect();
  Exec(MakeExec(0));
  EXPECT_FALSE(TakeMessage<link::Nack>()) << "it waits";
  Step(DrainRequested{});
  const auto nack = TakeMessage<link::Nack>();
  ASSERT_TRUE(nack);
  EXPECT_EQ(nack->reason, link::NackReason::kDraining);
  EXPECT_EQ(Count<DrainFinished>(), 1);
}

}  // namespace
}  // namespace hearth::executor
