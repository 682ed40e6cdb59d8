// Who may say what is run, and what becomes of it: epochs, links, leases, reports, acknowledgements.
#include "tests/unit/executor_core/core_stories.h"

namespace hearth::executor {
namespace {

TEST_F(Story, ALowerEpochIsRefusedAndAHigherOneAdoptsWhatRuns) {
  Boot();
  Connect();
  Exec(MakeExec(0, "ada", 1));
  const auto run = UntilRun();
  Connect(2, "d2");
  Step(DispatcherMessage{2, link::Fence{{"t", 0}, 2, 0}});
  auto report = TakeMessage<link::FenceReport>();
  ASSERT_TRUE(report);
  ASSERT_EQ(report->running.size(), 1U);
  EXPECT_EQ(report->running[0].ref.epoch, 2);
  Exec(MakeExec(1, "ada", 1));
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kFenced);
  End(run);
  auto publish = Take<Publish>();
  Step(PublishFinished{publish->token, true, ""});
  EXPECT_EQ(TakeMessage<link::Done>()->ref.epoch, 2);
}

TEST_F(Story, ANewOwnerHearsOfWhatIsFinished) {
  Boot();
  Connect();
  Exec(MakeExec(5));
  End(UntilRun());
  Published();
  Step(DispatcherDisconnected{kLink});
  Connect(2, "d2");
  Step(DispatcherMessage{2, link::Fence{{"t", 0}, 2, 0}});
  auto report = TakeMessage<link::FenceReport>();
  ASSERT_EQ(report->finished.size(), 1U);
  EXPECT_EQ(report->finished[0].ref.offset, 5);
}

TEST_F(Story, AReportComesInAsManyFramesAsItTakes) {
  Boot();
  Connect();
  for (std::int64_t offset = 0; offset < 2500; ++offset) {
    auto exec = MakeExec(offset);
    exec.expires_ms = 1;  // long ago: it ends without a machine
    Exec(exec);
    After(1);
  }
  while (TakeMessage<link::Done>()) {}
  Connect(2, "d2");
  Step(DispatcherMessage{2, link::Fence{{"t", 0}, 2, 0}});
  std::size_t told = 0;
  auto report = TakeMessage<link::FenceReport>();
  for (; report && report->more; report = TakeMessage<link::FenceReport>()) {
    EXPECT_LE(report->finished.size() + report->running.size(), link::kMaxListed);
    told += report->finished.size() + report->running.size();
  }
  ASSERT_TRUE(report);
  EXPECT_EQ(told + report->finished.size() + report->running.size(), 2500U);
}

TEST_F(Story, WhatIsAcknowledgedIsNotReportedAndWhatIsOwedIs) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  Published();
  Exec(MakeExec(1));
  End(UntilRun());
  Published();
  auto old_epoch = MakeExec(1).ref;
  old_epoch.epoch = 0;
  Step(DispatcherMessage{kLink, link::DoneAck{MakeExec(0).ref}});
  Step(DispatcherMessage{kLink, link::DoneAck{old_epoch}});  // changes nothing
  Connect(2, "d2");
  Step(DispatcherMessage{2, link::Fence{{"t", 0}, 2, 0}});
  const auto report = TakeMessage<link::FenceReport>();
  ASSERT_EQ(report->finished.size(), 1U);
  EXPECT_EQ(report->finished[0].ref.offset, 1);
}

TEST_F(Story, WhatAnotherGenerationLeftIsForgottenAndItsAttemptsEnd) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  Published();
  Exec(MakeExec(1));
  UntilRun();
  Step(DispatcherMessage{kLink, link::Fence{{"t", 0}, 2, 0, 77}});
  const auto report = TakeMessage<link::FenceReport>();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->running.empty());
  EXPECT_TRUE(report->finished.empty());
  EXPECT_TRUE(TakeFrame<guest::Remove>());
}

TEST_F(Story, AnEqualEpochOfAnotherDispatcherIsRefusedInSoManyWords) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  Connect(2, "d2");
  Step(DispatcherMessage{2, link::Fence{{"t", 0}, 1, 0}});
  const auto report = TakeMessage<link::FenceReport>();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->refused);
}

TEST_F(Story, AnOlderLinkOfTheSameDispatcherIsNotObeyed) {
  Boot();
  Connect();
  Connect(2, "d1");
  Step(DispatcherMessage{kLink, MakeExec(0)});
  EXPECT_FALSE(TakeFrame<guest::Run>());
  EXPECT_EQ(core.ReadGauges().held, 0);
  Step(DispatcherMessage{2, MakeExec(0)});
  EXPECT_EQ(core.ReadGauges().held, 1);
}

TEST_F(Story, AnOrphanIsToldOfWhenSomebodyAsks) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  UntilRun();
  Step(DispatcherDisconnected{kLink});
  After(21'000);
  EXPECT_EQ(core.ReadGauges().held, 0);
  Connect();
  Step(DispatcherMessage{kLink, link::Fence{{"t", 0}, 1, 0}});
  const auto report = TakeMessage<link::FenceReport>();
  ASSERT_EQ(report->finished.size(), 1U);
  EXPECT_EQ(report->finished[0].outcome, link::Outcome::kInfrastructure);
  EXPECT_NE(report->finished[0].times.leased_us, 0) << "it may have begun";
}

TEST_F(Story, AnExecutorThatWasCutOffPublishesNothing) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  const auto run = UntilRun();
  now.mono_us += 30'000'000;  // it stood still, and the machine's answer is read first
  End(run);
  EXPECT_EQ(Count<Publish>(), 0);
  EXPECT_EQ(core.ReadGauges().held, 0);
}

TEST_F(Story, WhatLiesUnsentWhenTheLeaseEndsIsTakenBack) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  End(UntilRun());
  const auto publish = Take<Publish>();
  ASSERT_TRUE(publish);
  After(21'000);
  EXPECT_EQ(Count<PurgePublishes>(), 1);
  Step(PublishFinished{publish->token, false, "purged", true});
  EXPECT_EQ(Count<Publish>(), 0);
  EXPECT_EQ(TakeMessage<link::Done>()->error_type, "orphaned");
}

TEST_F(Story, ADroppedAttemptEndsAndNothingIsSaidOfIt) {
  Boot();
  Connect();
  Exec(MakeExec(0));
  UntilRun();
  Step(DispatcherMessage{kLink, link::Drop{MakeExec(0).ref}});
  EXPECT_TRUE(TakeFrame<guest::Remove>());
  EXPECT_FALSE(TakeMessage<link::Done>());
  EXPECT_EQ(Count<Publish>(), 0);
  EXPECT_EQ(core.ReadGauges().held, 0);
}

TEST_F(Story, WhoseLeaseHasPassedIsKilledAndPublishesNothing) {
  const auto machine = Boot();
  Connect();
  auto exec = MakeExec(0);
  exec.timeout_ms = 60'000;
  Exec(exec);
  const auto run = UntilRun();
  for (int i = 0; i < 21; ++i) {
    After(1000);
    while (auto ping = TakeFrame<guest::Ping>())
      Step(GuestMessage{ping->first.machine, {0, guest::Pong{ping->second.sequence}}});
  }
  EXPECT_TRUE(TakeFrame<guest::Remove>());
  End(run);
  EXPECT_EQ(Count<Publish>(), 0);
  EXPECT_EQ(run.first.machine, machine);
}

TEST_F(Story, AnAcknowledgedHeartbeatKeepsTheLease) {
  Boot();
  Connect();
  auto exec = MakeExec(0);
  exec.timeout_ms = 60'000;
  Exec(exec);
  const auto run = UntilRun();
  for (int i = 0; i < 30; ++i) {
    After(1000);
    while (auto beat = TakeMessage<link::Heartbeat>())
      Step(DispatcherMessage{kLink, link::HeartbeatAck{beat->sequence, beat->sent_mono_us}});
    while (auto ping = TakeFrame<guest::Ping>())
      Step(GuestMessage{ping->first.machine, {0, guest::Pong{ping->second.sequence}}});
  }
  End(run);
  EXPECT_EQ(Published().outcome, link::Outcome::kPublished);
}

}  // namespace
}  // namespace hearth::executor
