// The executor's core with many machines, without input and output.
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/time.h"
#include "executor/core/core.h"
#include "tools/bench/core_steps.h"

namespace hearth::bench {
namespace {

using namespace executor;

constexpr LinkId kLink = 1;
constexpr std::int64_t kStepUs = 10;  // virtual time between two steps
constexpr std::int64_t kFillMs = 50;  // between two ticks while machines are made

class World {
 public:
  explicit World(int machines) : machines_(machines), core_(MakeSettings(machines)) {}
  void Fill();
  std::vector<Steps> Measure(int samples);

 private:
  static Settings MakeSettings(int machines);
  [[nodiscard]] Event MakeExec(int user);
  void Step(Event event) { core_.Step(std::move(event), now_, effects_); }
  void StepAndServe(const Event& event);
  // Carries the effects out; what is to be measured is kept, all else is answered at once.
  void Serve(bool ends_runs);
  void Pass(std::int64_t micros) {
    now_.mono_us += micros;
    now_.wall_us += micros;
  }

  const int machines_;
  Core core_;
  Time now_{1'000'000, 1'700'000'000'000'000};
  std::vector<Effect> effects_;
  std::deque<Event> answers_;
  std::optional<std::pair<SendToGuest, guest::Run>> run_;
  std::optional<Publish> publish_;
  std::int64_t offset_ = 0;
  std::int64_t published_ = 0;
};

Settings World::MakeSettings(int machines) {
  Settings settings;
  settings.id = ExecutorId("e1");
  settings.incarnation = "0123456789abcdef";
  settings.acceleration = "simulated";
  settings.profiles = {Profile{"default", 512, 160, 1, 1, 2}};
  settings.runtimes = {Runtime::kPython3, Runtime::kNative};
  settings.memory_mib = 512 * (machines + 8);
  settings.credit = 100'000;
  settings.waiting = 100'000;
  settings.detailed_traces = false;  // as in a daemon whose log is not read for each record
  settings.concurrent_starts = 64;
  return settings;
}

Event World::MakeExec(int user) {
  link::Exec exec;
  exec.ref = {{"t", 0}, offset_++, 1, 1};
  exec.id = InvocationId("i" + std::to_string(exec.ref.offset));
  exec.final_try = true;
  exec.reply_to = "hearth.reply";
  exec.timeout_ms = 60'000;
  Function described;
  described.user = UserId("user-" + std::to_string(user));
  described.name = FunctionName("f");
  described.version = 1;
  described.code = CodeHash(std::string(64, 'a'));
  described.memory_mib = 128;
  exec.function = std::make_shared<const Function>(std::move(described));
  exec.payload = "null";
  return DispatcherMessage{kLink, std::move(exec)};
}

Event EndOf(const std::pair<SendToGuest, guest::Run>& run) {
  guest::Ended ended;
  ended.id = run.second.id;
  ended.attempt = run.second.attempt;
  ended.output = "null";
  return GuestMessage{run.first.machine, {run.first.frame.stream, std::move(ended)}};
}

Event CheckOf(const std::pair<SendToGuest, guest::Run>& run) {
  return GuestMessage{run.first.machine, {run.first.frame.stream, guest::Checked{0, true}}};
}

void World::StepAndServe(const Event& event) {
  Step(event);
  Serve(true);
}

void World::Serve(bool ends_runs) {
  while (true) {
    for (auto& effect : effects_) {
      if (const auto* start = std::get_if<StartMachine>(&effect)) {
        guest::Hello hello;
        hello.runtimes = {"python3", "native"};
        answers_.push_back(MachineReady{start->machine, StartPath::kBoot, std::move(hello)});
      } else if (const auto* destroy = std::get_if<DestroyMachine>(&effect)) {
        answers_.push_back(MachineDestroyed{destroy->machine});
      } else if (const auto* load = std::get_if<LoadCode>(&effect)) {
        answers_.push_back(CodeLoaded{load->user, load->hash, std::make_shared<const std::string>("code"), ""});
      } else if (const auto* archive = std::get_if<SendArchive>(&effect)) {
        answers_.push_back(ArchiveSent{archive->machine, archive->hash});
      } else if (auto* publish = std::get_if<Publish>(&effect)) {
        if (ends_runs) answers_.push_back(PublishFinished{publish->token, true, ""});
        publish_ = std::move(*publish);
      } else if (const auto* send = std::get_if<SendToDispatcher>(&effect)) {
        if (std::holds_alternative<link::Nack>(send->message)) std::abort();  // there is room for it
        if (std::holds_alternative<link::Done>(send->message)) ++published_;
        if (const auto* beat = std::get_if<link::Heartbeat>(&send->message)) {
          answers_.push_back(DispatcherMessage{kLink, link::HeartbeatAck{beat->sequence, beat->sent_mono_us}});
        }
      } else if (auto* frame = std::get_if<SendToGuest>(&effect)) {
        const auto& [stream, message] = frame->frame;
        if (std::holds_alternative<guest::Create>(message)) {
          answers_.push_back(GuestMessage{frame->machine, {stream, guest::Created{}}});
        } else if (const auto* ping = std::get_if<guest::Ping>(&message)) {
          answers_.push_back(GuestMessage{frame->machine, {0, guest::Pong{ping->sequence}}});
        } else if (const auto* run = std::get_if<guest::Run>(&message)) {
          run_.emplace(*frame, *run);
          if (!ends_runs) continue;
          answers_.push_back(EndOf(*run_));
          answers_.push_back(CheckOf(*run_));
        }
      }
    }
    effects_.clear();
    if (answers_.empty()) return;
    Event answer = std::move(answers_.front());
    answers_.pop_front();
    Step(std::move(answer));
  }
}

void World::Fill() {
  StepAndServe(Tick{});
  StepAndServe(DispatcherConnected{kLink, DispatcherId("d1")});
  for (int user = 0; user < machines_; ++user) {
    StepAndServe(MakeExec(user));
    while (published_ <= user) {  // a machine of the pool may have to be made first
      Pass(kFillMs * kMicrosPerMilli);
      StepAndServe(Tick{});
    }
  }
}

std::vector<Steps> World::Measure(int samples) {
  Steps leased("exec → run");
  Steps ended("ended → publish");
  Steps checked("checked → idle");
  Steps published("published → done");
  Steps idle("tick, nothing to do");
  constexpr int kWarmUp = 100;
  for (int i = -kWarmUp; i < samples; ++i) {
    const auto measure = [&](Steps& steps, Event event) {
      Pass(kStepUs);
      if (i < 0) return Step(std::move(event));
      steps.Measure([&] { Step(std::move(event)); });
    };
    run_.reset();
    publish_.reset();
    measure(leased, MakeExec(static_cast<int>((static_cast<std::int64_t>(i) + kWarmUp) * 7919 % machines_)));
    Serve(false);
    if (!run_) std::abort();  // its container is idle
    measure(ended, EndOf(*run_));
    Serve(false);
    measure(checked, CheckOf(*run_));
    Serve(false);
    if (!publish_) std::abort();
    measure(published, PublishFinished{publish_->token, true, ""});
    Serve(false);
    measure(idle, Tick{});
    Serve(false);
  }
  return {std::move(leased), std::move(ended), std::move(checked), std::move(published), std::move(idle)};
}

}  // namespace

std::vector<Steps> MeasureExecutorCore(int machines, int samples) {
  World world(machines);
  world.Fill();
  return world.Measure(samples);
}

}  // namespace hearth::bench
