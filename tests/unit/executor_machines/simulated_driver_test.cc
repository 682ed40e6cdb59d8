// Stand-ins for machines, driven as the executor's core does and on a real loop: what they answer, in which order, how
// they fail.
#include "executor/simulated/driver.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "schemas/limits.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::executor {
namespace {

constexpr std::int64_t kPatienceMs = 10'000;
const MachineId kOne("m-1");

class Simulated : public testing::Test {
 protected:
  void Make(SimulatedSettings settings) {
    MachineDriver::Callbacks callbacks;
    callbacks.opened = [this](Result<MachineDriver::Opened> opened) { opened_ = std::move(opened); };
    callbacks.ready = [this](const MachineId& id, StartPath path, const guest::Hello& hello) {
      ready_[id.value] = path;
      hello_ = hello;
    };
    callbacks.failed = [this](const MachineId& id, const std::string& reason) { failed_[id.value] = reason; };
    callbacks.lost = [this](const MachineId& id, const std::string& reason) { lost_[id.value] = reason; };
    callbacks.destroyed = [this](const MachineId& id) { destroyed_.push_back(id.value); };
    callbacks.frame = [this](const MachineId&, guest::Frame frame) {
      EXPECT_FALSE(sending_) << "an answer from inside the call";
      heard_.push_back(std::move(frame));
    };
    driver_.emplace(loop_, settings, std::move(callbacks), readiness_, *MakeLogger("test", "off"));
  }
  bool Until(const std::function<bool()>& holds) { return RunUntil(loop_, kPatienceMs, holds); }
  void Send(guest::Message message, std::uint32_t stream = 0) {
    sending_ = true;
    EXPECT_TRUE(driver_->Send(kOne, {stream, std::move(message)}));
    sending_ = false;
  }
  // The next thing that the machine says, of this kind.
  template <class T>
  std::optional<T> Hear(std::uint32_t stream = 0) {
    if (!Until([this] { return !heard_.empty(); })) return std::nullopt;
    const guest::Frame frame = std::move(heard_.front());
    heard_.erase(heard_.begin());
    EXPECT_EQ(frame.stream, stream);
    const auto* message = std::get_if<T>(&frame.message);
    return message == nullptr ? std::nullopt : std::optional<T>(*message);
  }
  void StartOne() {
    driver_->Start(kOne, Profile{}, true);
    EXPECT_TRUE(ready_.empty()) << "an answer from inside the call";
    ASSERT_TRUE(Until([this] { return ready_.contains(kOne.value); }));
  }
  void CreateOne(std::uint32_t number) {
    Send(guest::Create{}, number);
    ASSERT_TRUE(Hear<guest::Created>(number));
  }
  static guest::Run MakeRun(const std::string& id, const std::string& input = "null") {
    guest::Run run;
    run.id = InvocationId(id);
    run.timeout_ms = 3000;
    run.input = input;
    return run;
  }
  static SimulatedSettings With(void (*change)(SimulatedSettings&)) {
    SimulatedSettings settings;
    change(settings);
    return settings;
  }

  Loop loop_;
  std::shared_ptr<Readiness> readiness_ = std::make_shared<Readiness>();
  std::optional<SimulatedDriver> driver_;
  std::optional<Result<MachineDriver::Opened>> opened_;
  std::map<std::string, StartPath> ready_;
  std::map<std::string, std::string> failed_, lost_;
  std::vector<std::string> destroyed_;
  std::vector<guest::Frame> heard_;
  guest::Hello hello_;
  bool sending_ = false;
};

TEST_F(Simulated, SaysThatNothingIsRun) {
  Make({});
  driver_->Open();
  EXPECT_FALSE(opened_);
  ASSERT_TRUE(Until([this] { return opened_.has_value(); }));
  ASSERT_TRUE(*opened_);
  EXPECT_EQ((*opened_)->acceleration, "simulated");
  EXPECT_FALSE((*opened_)->takes_host_room);
  EXPECT_NE(readiness_->Describe().find("no user code runs"), std::string::npos);
  EXPECT_TRUE(readiness_->ready()) << readiness_->Describe();
}

TEST_F(Simulated, SpeaksTheGuestsProtocol) {
  Make({});
  StartOne();
  EXPECT_EQ(hello_.protocol, guest::kProtocolVersion);
  EXPECT_EQ(hello_.runtimes, (std::vector<std::string>{"python3", "native"}));
  Send(guest::Configure{});
  EXPECT_TRUE(Hear<guest::Configured>());
  bool sent = false;
  driver_->SendArchive(kOne, CodeHash("abc"), std::make_shared<const std::string>("code"), [&] { sent = true; });
  EXPECT_TRUE(sent);
  const auto stored = Hear<guest::CodeStored>();
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->hash.value, "abc");
  EXPECT_EQ(stored->error, "");
  Send(guest::Ping{7});
  const auto pong = Hear<guest::Pong>();
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->sequence, 7U);
  CreateOne(1);
  Send(MakeRun("a"), 1);
  const auto ended = Hear<guest::Ended>(1);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->id.value, "a");
  EXPECT_EQ(ended->status, Status::kOk);
  EXPECT_EQ(ended->output, "null");
  const auto checked = Hear<guest::Checked>(1);
  ASSERT_TRUE(checked);
  EXPECT_TRUE(checked->reusable);
  Send(guest::Remove{}, 1);
  EXPECT_TRUE(Hear<guest::ContainerGone>(1));
}

TEST_F(Simulated, AContainerThatIsNotThereOrBusyRunsNothing) {
  Make(With([](auto& settings) { settings.run = Delay::Fixed(50); }));
  StartOne();
  Send(MakeRun("a"), 1);
  EXPECT_TRUE(Hear<guest::ContainerGone>(1));
  CreateOne(2);
  Send(MakeRun("b"), 2);
  Send(MakeRun("c"), 2);
  EXPECT_TRUE(Hear<guest::ContainerGone>(2));
  const auto ended = Hear<guest::Ended>(2);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->id.value, "b");
}

TEST_F(Simulated, WhatIsRemovedInTheMiddleOfARunTellsNoEnd) {
  Make(With([](auto& settings) { settings.run = Delay::Fixed(20); }));
  StartOne();
  CreateOne(1);
  CreateOne(2);
  Send(MakeRun("removed"), 1);
  Send(guest::Remove{}, 1);
  EXPECT_TRUE(Hear<guest::ContainerGone>(1));
  Send(MakeRun("later"), 2);
  const auto ended = Hear<guest::Ended>(2);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->id.value, "later");
}

TEST_F(Simulated, ThingsTakeTheirTime) {
  Make(With([](auto& settings) {
    settings.start = Delay::Fixed(60);
    settings.container = Delay::Fixed(40);
    settings.run = Delay::Fixed(30);
  }));
  const auto took_ms = [](std::int64_t since_us) { return (ReadClocks().mono_us - since_us) / kMicrosPerMilli; };
  std::int64_t at_us = ReadClocks().mono_us;
  StartOne();
  EXPECT_GE(took_ms(at_us), 60);
  at_us = ReadClocks().mono_us;
  CreateOne(1);
  EXPECT_GE(took_ms(at_us), 40);
  at_us = ReadClocks().mono_us;
  Send(MakeRun("a"), 1);
  const auto ended = Hear<guest::Ended>(1);
  ASSERT_TRUE(ended);
  EXPECT_GE(took_ms(at_us), 30);
  EXPECT_EQ(ended->run_us, 30'000);
}

TEST_F(Simulated, ARunBeyondItsTimeIsKilledWithItsContainer) {
  Make(With([](auto& settings) { settings.run = Delay::Fixed(500); }));
  StartOne();
  CreateOne(1);
  guest::Run run = MakeRun("a");
  run.timeout_ms = 20;
  Send(run, 1);
  const auto ended = Hear<guest::Ended>(1);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, Status::kTimeout);
  const auto checked = Hear<guest::Checked>(1);
  ASSERT_TRUE(checked);
  EXPECT_FALSE(checked->reusable);
  EXPECT_TRUE(Hear<guest::ContainerGone>(1));
}

TEST_F(Simulated, FailuresComeOnDemand) {
  Make(With([](auto& settings) { settings.failed_starts_ppm = 1'000'000; }));
  driver_->Start(kOne, Profile{}, false);
  ASSERT_TRUE(Until([this] { return failed_.contains(kOne.value); }));
  EXPECT_NE(failed_[kOne.value].find("failed_starts_ppm"), std::string::npos);
  EXPECT_EQ(driver_->size(), 0U);

  Make(With([](auto& settings) { settings.failed_runs_ppm = 1'000'000; }));
  StartOne();
  CreateOne(1);
  Send(MakeRun("a"), 1);
  const auto ended = Hear<guest::Ended>(1);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, Status::kError);
  EXPECT_EQ(ended->error_type, "SimulatedFailure");
  const auto checked = Hear<guest::Checked>(1);
  ASSERT_TRUE(checked);
  EXPECT_TRUE(checked->reusable);

  Make(With([](auto& settings) { settings.deaths_ppm = 1'000'000; }));
  ready_.clear();
  StartOne();
  CreateOne(1);
  Send(MakeRun("b"), 1);
  ASSERT_TRUE(Until([this] { return lost_.contains(kOne.value); }));
  EXPECT_TRUE(heard_.empty());
  driver_->Destroy(kOne);
  EXPECT_TRUE(destroyed_.empty()) << "an answer from inside the call";
  ASSERT_TRUE(Until([this] { return destroyed_.size() == 1; }));
}

TEST_F(Simulated, AnInputMaySayWhatItsRunDoes) {
  Make({});
  StartOne();
  CreateOne(1);
  const auto run = [this](const std::string& input) {
    Send(MakeRun("a", input), 1);
    const auto ended = Hear<guest::Ended>(1);
    EXPECT_TRUE(ended);
    EXPECT_TRUE(Hear<guest::Checked>(1));
    return ended.value_or(guest::Ended{});
  };
  EXPECT_EQ(run(R"({"simulate": {"ms": 12.5}})").run_us, 12'500);
  EXPECT_EQ(run(R"({"simulate": {"bytes": 100}})").output.size(), 100U);
  EXPECT_EQ(run(R"({"simulate": {"fail": true}})").status, Status::kError);
  // What is none of it is an input as any other.
  for (const char* input : {R"({"simulate": 5})", R"({"ms": 5000})", R"({"simulate": {"ms": "x", "fail": 1}})",
                            R"(["simulate"])", R"({"simulate")", ""}) {
    const auto ended = run(input);
    EXPECT_EQ(ended.status, Status::kOk) << input;
    EXPECT_EQ(ended.run_us, 0) << input;
  }
  EXPECT_EQ(run(std::string(kMaxSimulateBytes, ' ') + R"({"simulate": {"fail": true}})").status, Status::kOk);
  Send(MakeRun("a", R"({"simulate": {"die": true}})"), 1);
  ASSERT_TRUE(Until([this] { return lost_.contains(kOne.value); }));
}

TEST_F(Simulated, OutputsHaveTheSizeThatIsAskedFor) {
  Make(With([](auto& settings) { settings.output_bytes = kMaxOutputBytes; }));
  StartOne();
  CreateOne(1);
  Send(MakeRun("a"), 1);
  const auto ended = Hear<guest::Ended>(1);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->output.size(), kMaxOutputBytes);
}

TEST_F(Simulated, WhatNoFrameHoldsIsRefused) {
  Make({});
  StartOne();
  CreateOne(1);
  const auto sent = driver_->Send(kOne, {1, MakeRun("a", std::string(kMaxFrameBytes + 1, 'x'))});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::kExhausted);
}

TEST_F(Simulated, OneThatIsDestroyedSaysNothingAnyMore) {
  Make(With([](auto& settings) { settings.start = Delay::Fixed(10); }));
  driver_->Start(kOne, Profile{}, false);
  driver_->Destroy(kOne);
  driver_->Start(MachineId("m-2"), Profile{}, false);
  ASSERT_TRUE(Until([this] { return ready_.contains("m-2"); }));
  EXPECT_FALSE(ready_.contains(kOne.value));
  EXPECT_TRUE(driver_->Send(kOne, {0, guest::Ping{1}})) << "nothing, as for a machine that is gone";
}

TEST_F(Simulated, GoesDownWithoutAWord) {
  Make(With([](auto& settings) { settings.run = Delay::Fixed(5); }));
  StartOne();
  CreateOne(1);
  Send(MakeRun("a"), 1);
  bool closed = false;
  driver_->Close([&] { closed = true; });
  EXPECT_EQ(driver_->size(), 0U);
  ASSERT_TRUE(Until([&] { return closed; }));
  EXPECT_TRUE(heard_.empty());
  EXPECT_TRUE(lost_.empty());
}

TEST(Agenda, KeepsTheOrderOfTimesAndOfAsking) {
  Loop loop;
  Agenda agenda(loop);
  std::string order;
  agenda.After(20'000, [&] { order += 'd'; });
  agenda.After(0, [&] {
    order += 'a';
    agenda.After(0, [&] { order += 'c'; });
  });
  agenda.After(0, [&] { order += 'b'; });
  agenda.After(30'000, [&] { order += 'e'; });
  ASSERT_TRUE(RunUntil(loop, kPatienceMs, [&] { return order.size() == 5; }));
  EXPECT_EQ(order, "abcde");
}

TEST(Agenda, WhatBeginsAnewWithoutEndLeavesTheLoopItsTurn) {
  Loop loop;
  Agenda agenda(loop);
  int turns = 0;
  std::function<void()> again = [&] {
    ++turns;
    agenda.After(0, again);
  };
  again();
  bool reached = false;
  Timer timer(loop, [&] { reached = true; });
  timer.StartOnce(5);
  ASSERT_TRUE(RunUntil(loop, kPatienceMs, [&] { return reached && turns > 1; }));
}

}  // namespace
}  // namespace hearth::executor
