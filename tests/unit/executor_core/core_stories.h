// A fixture that speaks the executor's language: an executor with one profile, a dispatcher, and hands on everything.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "executor/core/core.h"

namespace hearth::executor {

class Story : public testing::Test {
 protected:
  static constexpr LinkId kLink = 1;

  explicit Story(Settings settings = Defaults()) : core(settings) { Step(Tick{}); }

  static Settings Defaults() {
    Settings settings;
    settings.id = ExecutorId("ex");
    settings.incarnation = "0123456789abcdef";
    settings.acceleration = "simulated";
    settings.profiles = {Profile{"default", 512, 160, 1, 1, 2}};
    settings.runtimes = {Runtime::kPython3, Runtime::kNative};
    settings.memory_mib = 1536;
    settings.credit = 8;
    return settings;
  }

  void Step(const Event& event) {
    std::vector<Effect> more;
    core.Step(event, now, more);
    effects.insert(effects.end(), more.begin(), more.end());
    while (archives_at_once) {
      auto archive = Take<SendArchive>();
      if (!archive) break;
      archives.push_back(*archive);
      Step(ArchiveSent{archive->machine, archive->hash});
    }
  }
  void After(std::int64_t ms) {
    now.mono_us += ms * kMicrosPerMilli;
    now.wall_us += ms * kMicrosPerMilli;
    Step(Tick{});
  }

  // The first effect of a kind that nobody has looked at yet.
  template <class T>
  std::optional<T> Take() {
    for (auto at = effects.begin(); at != effects.end(); ++at) {
      if (auto* found = std::get_if<T>(&*at)) {
        T effect = std::move(*found);
        effects.erase(at);
        return effect;
      }
    }
    return std::nullopt;
  }
  template <class M>
  std::optional<M> TakeMessage() {
    for (auto at = effects.begin(); at != effects.end(); ++at) {
      auto* send = std::get_if<SendToDispatcher>(&*at);
      if (send == nullptr || !std::holds_alternative<M>(send->message)) continue;
      M message = std::get<M>(send->message);
      effects.erase(at);
      return message;
    }
    return std::nullopt;
  }
  template <class M>
  std::optional<std::pair<SendToGuest, M>> TakeFrame() {
    for (auto at = effects.begin(); at != effects.end(); ++at) {
      auto* send = std::get_if<SendToGuest>(&*at);
      if (send == nullptr || !std::holds_alternative<M>(send->frame.message)) continue;
      std::pair<SendToGuest, M> pair{*send, std::get<M>(send->frame.message)};
      effects.erase(at);
      return pair;
    }
    return std::nullopt;
  }
  template <class T>
  int Count() {
    int count = 0;
    for (const auto& effect : effects) count += std::holds_alternative<T>(effect) ? 1 : 0;
    return count;
  }

  void Connect(LinkId link = kLink, const char* dispatcher = "d1") {
    Step(DispatcherConnected{link, DispatcherId(dispatcher)});
    ASSERT_TRUE(TakeMessage<link::ExecutorHello>());
  }
  link::Exec MakeExec(std::int64_t offset, const char* user = "ada", std::int64_t epoch = 1) {
    link::Exec exec;
    exec.ref = {{"t", 0}, offset, epoch, 1};
    exec.id = InvocationId("inv" + std::to_string(offset));
    exec.final_try = true;
    exec.reply_to = "hearth.reply";
    exec.timeout_ms = 1000;
    Function described;
    described.user = UserId(user);
    described.name = FunctionName("f");
    described.version = 1;
    described.code = CodeHash(std::string(64, 'a'));
    described.memory_mib = 128;
    exec.function = std::make_shared<const Function>(std::move(described));
    exec.payload = "in";
    return exec;
  }
  void Exec(const link::Exec& exec, LinkId link = kLink) { Step(DispatcherMessage{link, exec}); }
  // The machine that was asked for becomes ready.
  MachineId Boot(std::vector<std::string> runtimes = {"python3", "native"}) {
    auto start = Take<StartMachine>();
    EXPECT_TRUE(start);
    guest::Hello hello;
    hello.runtimes = std::move(runtimes);
    Step(MachineReady{start->machine, StartPath::kBoot, hello});
    return start->machine;
  }
  // Answers what the agent is asked until it is told to run; returns where.
  std::pair<SendToGuest, guest::Run> UntilRun() {
    if (auto load = Take<LoadCode>())
      Step(CodeLoaded{load->user, load->hash, std::make_shared<const std::string>("code"), ""});
    while (auto create = TakeFrame<guest::Create>()) {
      Step(GuestMessage{create->first.machine, {create->first.frame.stream, guest::Created{}}});
    }
    auto run = TakeFrame<guest::Run>();
    EXPECT_TRUE(run) << "nothing was run";
    return run ? *run : std::pair<SendToGuest, guest::Run>{};
  }
  void End(const std::pair<SendToGuest, guest::Run>& run, Status status = Status::kOk) {
    Answer(run, status);
    Check(run);
  }
  void Answer(const std::pair<SendToGuest, guest::Run>& run, Status status = Status::kOk) {
    now.mono_us += 10'000;
    now.wall_us += 10'000;
    guest::Ended ended;
    ended.id = run.second.id;
    ended.attempt = run.second.attempt;
    ended.status = status;
    ended.output = "out";
    ended.start_us = 1000;
    ended.run_us = 5000;
    ended.total_us = 8000;
    Step(GuestMessage{run.first.machine, {run.first.frame.stream, ended}});
  }
  void Check(const std::pair<SendToGuest, guest::Run>& run, bool reusable = true) {
    Step(GuestMessage{run.first.machine, {run.first.frame.stream, guest::Checked{3000, reusable}}});
  }
  link::Done Published() {
    auto publish = Take<Publish>();
    EXPECT_TRUE(publish);
    if (publish) Step(PublishFinished{publish->token, true, ""});
    auto done = TakeMessage<link::Done>();
    EXPECT_TRUE(done);
    return done.value_or(link::Done{});
  }

  Time now{1'000'000, 1'700'000'000'000'000};
  Core core;
  std::vector<Effect> effects;
  bool archives_at_once = true;       // else the story says when one is on its way
  std::vector<SendArchive> archives;  // that were
};

}  // namespace hearth::executor
