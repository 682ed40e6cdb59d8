// Agents that hang, lie, flood, or speak of yesterday: the machine is condemned, its work goes elsewhere, and nothing
// of it reaches another user.
#include <functional>
#include <limits>

#include "executor/core/claims.h"
#include "schemas/frame.h"
#include "tests/unit/executor_core/core_stories.h"

namespace hearth::executor {
namespace {

class Agents : public Story {
 public:
  void Says(const MachineId& machine, std::uint32_t stream, guest::Message message) {
    Step(GuestMessage{machine, {stream, std::move(message)}});
  }

 protected:
  bool IsCondemned(const MachineId& machine) {
    while (auto destroy = Take<DestroyMachine>()) {
      if (destroy->machine == machine) return true;
    }
    return false;
  }
  // One attempt runs on a machine of ada's.
  std::pair<SendToGuest, guest::Run> Running() {
    Boot();
    Connect();
    Exec(MakeExec(0));
    return UntilRun();
  }
};

TEST_F(Agents, WhoNeverMakesAContainerIsCondemnedAndTheWorkGoesElsewhere) {
  const auto machine = Boot();
  Connect();
  Exec(MakeExec(0));
  const auto load = Take<LoadCode>();
  Step(CodeLoaded{load->user, load->hash, std::make_shared<const std::string>("code"), ""});
  ASSERT_TRUE(TakeFrame<guest::Create>());
  for (int i = 0; i < 31; ++i) {
    After(1000);
    while (auto ping = TakeFrame<guest::Ping>()) Says(ping->first.machine, 0, guest::Pong{ping->second.sequence});
    while (auto beat = TakeMessage<link::Heartbeat>())
      Step(DispatcherMessage{kLink, link::HeartbeatAck{beat->sequence, beat->sent_mono_us}});
  }
  EXPECT_TRUE(IsCondemned(machine));
  EXPECT_EQ(TakeMessage<link::Done>()->outcome, link::Outcome::kInfrastructure);
}

TEST_F(Agents, WhoDoesNotEndAnAttemptAtItsTimeOutIsCondemned) {
  const auto run = Running();
  for (int i = 0; i < 4; ++i) {
    After(1000);
    while (auto ping = TakeFrame<guest::Ping>()) Says(ping->first.machine, 0, guest::Pong{ping->second.sequence});
  }
  EXPECT_TRUE(IsCondemned(run.first.machine));
  EXPECT_EQ(TakeMessage<link::Done>()->outcome, link::Outcome::kInfrastructure);
}

TEST_F(Agents, EveryLieCostsTheMachine) {
  using Lie = std::function<void(Agents&, const SendToGuest&, guest::Ended)>;
  const std::vector<std::pair<const char*, Lie>> lies = {
      {"another id",
       [](Agents& t, const SendToGuest& at, guest::Ended e) {
         e.id = InvocationId("other");
         t.Says(at.machine, at.frame.stream, e);
       }},
      {"another try",
       [](Agents& t, const SendToGuest& at, guest::Ended e) {
         e.attempt = 7;
         t.Says(at.machine, at.frame.stream, e);
       }},
      {"a status that agents do not give",
       [](Agents& t, const SendToGuest& at, guest::Ended e) {
         e.status = Status::kExpired;
         t.Says(at.machine, at.frame.stream, e);
       }},
      {"created twice", [](Agents& t, const SendToGuest& at,
                           const guest::Ended&) { t.Says(at.machine, at.frame.stream, guest::Created{}); }},
      {"created what nobody asked for",
       [](Agents& t, const SendToGuest& at, const guest::Ended&) { t.Says(at.machine, 99, guest::Created{}); }},
      {"checked what runs", [](Agents& t, const SendToGuest& at,
                               const guest::Ended&) { t.Says(at.machine, at.frame.stream, guest::Checked{0, true}); }},
      {"an executor's frame",
       [](Agents& t, const SendToGuest& at, const guest::Ended&) { t.Says(at.machine, 0, guest::Ping{1}); }},
      {"hello again",
       [](Agents& t, const SendToGuest& at, const guest::Ended&) { t.Says(at.machine, 0, guest::Hello{}); }},
  };
  const auto run = Running();
  std::int64_t offset = 1;
  auto at = run;
  for (const auto& [name, lie] : lies) {
    SCOPED_TRACE(name);
    guest::Ended ended;
    ended.id = at.second.id;
    ended.attempt = at.second.attempt;
    lie(*this, at.first, ended);
    EXPECT_TRUE(IsCondemned(at.first.machine));
    auto done = TakeMessage<link::Done>();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->outcome, link::Outcome::kInfrastructure);
    EXPECT_EQ(Count<Publish>(), 0) << "nothing of it is believed";
    Step(MachineDestroyed{at.first.machine});
    // The next one runs elsewhere: never on that machine, and never on another user's.
    const auto fresh = Boot();
    Exec(MakeExec(offset++));
    at = UntilRun();
    EXPECT_EQ(at.first.machine, fresh);
  }
}

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(Claims, AreKeptWithinWhatTheHostSaw) {
  constexpr std::int64_t kTookUs = 10'000, kBytes = 1 << 20;
  const std::int64_t claimed[] = {std::numeric_limits<std::int64_t>::min(), -1, 0, 1, 9'999, kTookUs, kMost};
  for (const auto start : claimed) {
    for (const auto run : claimed) {
      for (const auto total : claimed) {
        guest::Ended ended;
        ended.start_us = start;
        ended.run_us = run;
        ended.total_us = total;
        ended.memory_peak_bytes = total;
        const Claims claims = ClaimsOf(ended, kTookUs, kBytes);
        EXPECT_GE(claims.start_us, 0);
        EXPECT_GE(claims.run_us, 0);
        EXPECT_LE(claims.start_us + claims.run_us, kTookUs);
        EXPECT_GE(CpuOf({run, true}), 0);
        EXPECT_LE(CpuOf({run, true}), kMaxClaimedCpuMicros);
        EXPECT_GE(claims.memory_peak_bytes, 0);
        EXPECT_LE(claims.memory_peak_bytes, kBytes);
      }
    }
  }
}

TEST_F(Agents, WhatIsChargedIsTheHostsIntervalWhateverTheGuestClaims) {
  auto run = Running();
  std::int64_t offset = 1;
  for (const std::int64_t claim : {std::int64_t{0}, std::int64_t{-1}, kMost}) {
    SCOPED_TRACE(claim);
    guest::Ended ended;
    ended.id = run.second.id;
    ended.attempt = run.second.attempt;
    ended.start_us = ended.run_us = ended.total_us = ended.memory_peak_bytes = claim;
    now.mono_us += 250'001;
    now.wall_us += 250'001;
    Says(run.first.machine, run.first.frame.stream, ended);
    Says(run.first.machine, run.first.frame.stream, guest::Checked{claim, true});
    const auto usage = Take<PublishUsage>();
    ASSERT_TRUE(usage);
    EXPECT_EQ(usage->usage.billed_ms, 251);
    EXPECT_LE(usage->usage.started_us, usage->usage.ended_us);
    EXPECT_GE(usage->usage.cpu_us, 0);
    EXPECT_GE(usage->usage.memory_peak_bytes, 0);
    EXPECT_LE(usage->usage.memory_peak_bytes, 512LL << 20);
    const auto done = Published();
    EXPECT_EQ(done.billed_ms, 251);
    EXPECT_LE(done.times.leased_us, done.times.started_us);
    EXPECT_LE(done.times.started_us, done.times.ended_us);
    EXPECT_LE(done.times.ended_us, now.wall_us);
    Exec(MakeExec(offset++));
    run = UntilRun();
  }
}

// Whatever an agent fills its fields with, what is made of it can be read by whoever gets it.
TEST_F(Agents, EveryFieldAtItsLimitGivesADoneThatTheDispatcherReads) {
  const std::string text(kMaxStringBytes, '\xc3');
  guest::Ended ended;
  ended.status = Status::kError;
  ended.error_type = ended.error_message = text;
  ended.output.assign(kMaxOutputBytes, '\x01');
  ended.log_tail.assign(kMaxLogTailBytes, '\x01');
  ended.log_bytes = ended.start_us = ended.run_us = ended.total_us = ended.memory_peak_bytes = kMost;
  const auto read = [](const link::Done& done) {
    std::string bytes;
    EXPECT_TRUE(link::AppendLinkMessage(bytes, done));
    FrameReader reader;
    EXPECT_TRUE(reader.Feed(bytes));
    const auto decoded = link::DecodeLinkMessage(reader.Next().value());
    EXPECT_TRUE(decoded) << decoded.error().message;
    EXPECT_LE(done.error_type.size(), kMaxIdentifierBytes);
    EXPECT_LE(done.error_message.size(), kMaxErrorMessageBytes);
  };
  auto run = Running();
  for (const bool again : {true, false}) {  // the first is the last try of its invocation, and the second is not
    ended.id = run.second.id;
    ended.attempt = run.second.attempt;
    Says(run.first.machine, run.first.frame.stream, ended);
    Says(run.first.machine, run.first.frame.stream, guest::Checked{kMost, true});
    EXPECT_TRUE(DecodeUsage(EncodeUsage(Take<PublishUsage>()->usage)));
    read(again ? Published() : TakeMessage<link::Done>().value());
    link::Exec next = MakeExec(again ? 1 : 2);
    next.final_try = !again;
    Exec(next);
    run = UntilRun();
  }
  Says(run.first.machine, run.first.frame.stream, guest::ContainerGone{text});
  read(TakeMessage<link::Done>().value());
  Exec(MakeExec(3));
  const auto create = TakeFrame<guest::Create>();
  ASSERT_TRUE(create);
  Says(create->first.machine, create->first.frame.stream, guest::Created{text});
  read(TakeMessage<link::Done>().value());
}

TEST_F(Agents, EndingWhatDoesNotRunCostsTheMachine) {
  const auto run = Running();
  End(run);
  Published();
  guest::Ended again;
  again.id = run.second.id;
  again.attempt = run.second.attempt;
  Says(run.first.machine, run.first.frame.stream, again);
  EXPECT_TRUE(IsCondemned(run.first.machine));
}

TEST_F(Agents, CheckingTwiceCostsTheMachine) {
  const auto run = Running();
  End(run);
  Check(run);
  EXPECT_TRUE(IsCondemned(run.first.machine));
}

TEST_F(Agents, WhoNeverChecksAContainerIsCondemnedAndWhatItUsedIsToldAllTheSame) {
  const auto run = Running();
  Answer(run);
  Published();
  EXPECT_EQ(Count<PublishUsage>(), 0);
  for (int i = 0; i < 31; ++i) {
    After(1000);
    while (auto ping = TakeFrame<guest::Ping>()) Says(ping->first.machine, 0, guest::Pong{ping->second.sequence});
  }
  EXPECT_TRUE(IsCondemned(run.first.machine));
  EXPECT_EQ(Count<PublishUsage>(), 1);
}

TEST_F(Agents, WhoFloodsWithWhatNobodyAskedIsCondemned) {
  const std::vector<guest::Message> floods = {guest::Pong{12345}, guest::Configured{"again"},
                                              guest::CodeStored{CodeHash(std::string(64, 'f')), ""},
                                              guest::ContainerGone{"never there"}};
  auto run = Running();
  std::int64_t offset = 1;
  for (const auto& message : floods) {
    SCOPED_TRACE(message.index());
    const auto stream = std::holds_alternative<guest::ContainerGone>(message) ? 77U : 0U;
    for (int i = 0; i < 3; ++i) Says(run.first.machine, stream, message);
    EXPECT_FALSE(IsCondemned(run.first.machine)) << "a few may cross";
    for (int i = 0; i < 100; ++i) Says(run.first.machine, stream, message);
    EXPECT_TRUE(IsCondemned(run.first.machine));
    EXPECT_EQ(TakeMessage<link::Done>()->outcome, link::Outcome::kInfrastructure);
    Step(MachineDestroyed{run.first.machine});
    Boot();
    Exec(MakeExec(offset++));
    run = UntilRun();
  }
}

TEST_F(Agents, AnOlderProtocolIsRefusedAndWhoWaitsIsSentBack) {
  Connect();
  Exec(MakeExec(0));
  guest::Hello hello;
  hello.protocol = guest::kProtocolVersion - 1;
  hello.runtimes = {"python3"};
  bool sent_back = false;
  for (int i = 0; i < 20 && !sent_back; ++i) {
    while (auto start = Take<StartMachine>()) {
      Step(MachineReady{start->machine, StartPath::kBoot, hello});
      EXPECT_TRUE(IsCondemned(start->machine));
      Step(MachineDestroyed{start->machine});
    }
    if (auto nack = TakeMessage<link::Nack>()) {
      EXPECT_EQ(nack->reason, link::NackReason::kNoCapacity);
      sent_back = true;
    }
    After(500);
  }
  EXPECT_TRUE(sent_back);
  EXPECT_FALSE(TakeFrame<guest::Configure>()) << "such a machine gets no user";
}

class NativeImage : public Story {
 protected:
  static Settings Native() {
    Settings settings = Defaults();
    settings.runtimes = {Runtime::kNative};
    return settings;
  }
  NativeImage() : Story(Native()) {}
};

TEST_F(NativeImage, SendsTheWorkOfAnotherRuntimeElsewhereAtOnce) {
  auto start = Take<StartMachine>();
  guest::Hello hello;
  hello.runtimes = {"native"};
  Step(MachineReady{start->machine, StartPath::kBoot, hello});
  Connect();
  Exec(MakeExec(0));
  EXPECT_EQ(TakeMessage<link::Nack>()->reason, link::NackReason::kNoCapacity);
  EXPECT_EQ(Count<StartMachine>(), 0);
}

}  // namespace
}  // namespace hearth::executor
