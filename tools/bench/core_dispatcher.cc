// The dispatcher's core in a world of many users and executors, without input and output.
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/time.h"
#include "dispatcher/core/core.h"
#include "schemas/request.h"
#include "tools/bench/core_steps.h"

namespace hearth::bench {
namespace {

using namespace dispatcher;

constexpr const char* kTopic = "hearth.invoke.std";
constexpr const char* kRealtime = "hearth.invoke.rt";
constexpr const char* kFunction = "f";
constexpr const char* kNowhere = "nowhere";  // a function of a profile that no executor has
constexpr std::int32_t kCredit = 1000;       // of each executor
constexpr std::int64_t kStepUs = 10;         // virtual time between two steps
constexpr int kUsersThatWait = 1000;         // at most: whose records the waiting ones are

class World {
 public:
  World(const DispatcherWorldSize& size, double most_seconds)
      : size_(size), most_us_(static_cast<std::int64_t>(most_seconds * kMicrosPerSecond)), core_(MakeSettings()) {}
  // False: the time was not enough.
  bool Fill();
  [[nodiscard]] int filled() const { return filled_; }
  std::vector<Steps> Measure(int samples);

 private:
  static Settings MakeSettings();
  static std::string UserName(int number) { return "user-" + std::to_string(number); }
  void Deploy(const std::string& user, const char* name, const char* profile);
  void Connect(int number);
  void Own(const char* topic);
  [[nodiscard]] Event MakeRecord(const char* topic, const std::string& user, const char* function);
  void Step(const Event& event) { core_.Step(event, now_, effects_); }
  void StepAndServe(const Event& event);
  // Carries the effects out as an idle world would; what it answers is stepped, too.
  void Serve();
  // The token of the newest record that is to be written, which is not answered by Serve then.
  std::optional<std::uint64_t> TakeProduce();
  Event DoneOf(const link::Exec& exec) const;
  [[nodiscard]] bool Late() const { return ReadClocks().mono_us > end_us_; }

  const DispatcherWorldSize size_;
  const std::int64_t most_us_;
  Core core_;
  Time now_{1'000'000'000, 1'700'000'000'000'000};
  std::vector<Effect> effects_;
  std::deque<Event> answers_;
  std::optional<std::pair<ExecutorId, link::Exec>> exec_;  // the newest
  std::map<std::string, std::int64_t> next_offset_;
  std::int64_t end_us_ = 0;
  int filled_ = 0;
};

Settings World::MakeSettings() {
  Settings settings;
  settings.id = DispatcherId("d1");
  settings.request_topics = {{kRealtime, RequestClass::kRealtime}, {kTopic, RequestClass::kStandard}};
  settings.user_concurrency = 1'000'000;
  settings.detailed_traces = false;  // as in a daemon whose log is not read for each record
  return settings;
}

void World::Deploy(const std::string& user, const char* name, const char* profile) {
  auto function = std::make_shared<Function>();
  function->user = UserId(user);
  function->name = FunctionName(name);
  function->version = 1;
  function->code = CodeHash(std::string(64, 'a'));
  function->handler = "noop.handler";
  function->profile = profile;
  StepAndServe(FunctionUpdated{std::move(function)});
}

void World::Connect(int number) {
  link::ExecutorHello hello;
  hello.executor = ExecutorId("e" + std::to_string(number));
  hello.incarnation = "first";
  hello.credit = kCredit;
  hello.profiles = {{"default", 4, 0, 1000}};
  const std::string prefix = hello.executor.value + "-";
  for (int user = number; user < size_.users; user += size_.executors) {
    link::Slot machine;
    machine.user = UserId(UserName(user));
    machine.machine = MachineId(prefix + std::to_string(user));
    machine.memory_mib = 256;
    link::Slot container = machine;
    container.container = ContainerId(machine.machine.value + "/1");
    container.function = FunctionName(kFunction);
    container.version = 1;
    container.memory_mib = kDefaultMemoryMib;
    hello.slots.push_back(std::move(machine));
    hello.slots.push_back(std::move(container));
  }
  StepAndServe(ExecutorConnected{std::move(hello)});
}

void World::Own(const char* topic) {
  StepAndServe(PartitionAssigned{{topic, 0}, 0, "", INT64_MAX});
}

Event World::MakeRecord(const char* topic, const std::string& user, const char* function) {
  const std::int64_t offset = next_offset_[topic]++;
  Request request;
  request.user = UserId(user);
  request.function = FunctionName(function);
  request.id = InvocationId("i" + std::to_string(offset));
  request.payload = "null";
  OutRecord out = EncodeRequest(request, topic);
  auto record = std::make_shared<Record>();
  record->partition = {topic, 0};
  record->offset = offset;
  record->timestamp_ms = now_.wall_us / kMicrosPerMilli;
  record->key = user;
  record->value = std::move(out.value);
  record->headers = std::move(out.headers);
  return RecordsReceived{{std::move(record)}};
}

Event World::DoneOf(const link::Exec& exec) const {
  link::Done done;
  done.ref = exec.ref;
  done.id = exec.id;
  done.times = exec.times;
  done.times.leased_us = now_.wall_us;
  return ExecutorMessage{exec_->first, std::move(done)};
}

std::optional<std::uint64_t> World::TakeProduce() {
  for (auto at = effects_.begin(); at != effects_.end(); ++at) {
    const auto* produce = std::get_if<Produce>(&*at);
    if (produce == nullptr) continue;
    const std::uint64_t token = produce->token;
    effects_.erase(at);
    return token;
  }
  return std::nullopt;
}

void World::StepAndServe(const Event& event) {
  Step(event);
  Serve();
}

void World::Serve() {
  do {
    for (auto& effect : effects_) {
      if (auto* send = std::get_if<SendToExecutor>(&effect)) {
        if (auto* exec = std::get_if<link::Exec>(&send->message)) exec_.emplace(send->executor, std::move(*exec));
        if (auto* fence = std::get_if<link::Fence>(&send->message)) {
          answers_.push_back(
              ExecutorMessage{send->executor, link::FenceReport{fence->partition, fence->epoch, {}, {}}});
        }
      } else if (const auto* commit = std::get_if<Commit>(&effect)) {
        answers_.push_back(CommitFinished{commit->partition, commit->epoch, true, ""});
      } else if (const auto* produce = std::get_if<Produce>(&effect)) {
        answers_.push_back(ProduceFinished{produce->token, true, "", false});
      } else if (const auto* load = std::get_if<LoadUser>(&effect)) {
        answers_.push_back(UserLoaded{load->user, {}});
      }
    }
    effects_.clear();
    if (answers_.empty()) return;
    const Event answer = std::move(answers_.front());
    answers_.pop_front();
    Step(answer);
  } while (true);
}

bool World::Fill() {
  end_us_ = ReadClocks().mono_us + most_us_;
  for (int user = 0; user < size_.users && !Late(); ++user) Deploy(UserName(user), kFunction, "default");
  for (int number = 0; number < size_.executors && !Late(); ++number) Connect(number);
  Own(kTopic);
  Own(kRealtime);
  const int waiting_users = std::min(size_.users, kUsersThatWait);
  for (int user = 0; size_.waiting > 0 && user < waiting_users; ++user) Deploy(UserName(user), kNowhere, kNowhere);
  for (; filled_ < size_.waiting && !Late(); ++filled_) {
    StepAndServe(MakeRecord(kTopic, UserName(filled_ % waiting_users), kNowhere));
  }
  return !Late();
}

std::vector<Steps> World::Measure(int samples) {
  Steps placed("record → exec");
  Steps completed("done → complete");
  Steps idle("tick, nothing to place");
  Steps refused("record refused → answer");
  Steps answered("answer written → complete");
  constexpr int kWarmUp = 100;
  end_us_ = ReadClocks().mono_us + most_us_;
  for (int i = -kWarmUp; i < samples && !Late(); ++i) {
    const std::string user = UserName(static_cast<int>((static_cast<std::int64_t>(i) + kWarmUp) * 7919 % size_.users));
    const auto measure = [&](Steps& steps, const Event& event) {
      now_.mono_us += kStepUs;
      now_.wall_us += kStepUs;
      if (i < 0) return Step(event);
      steps.Measure([&] { Step(event); });
    };
    exec_.reset();
    measure(placed, MakeRecord(kTopic, user, kFunction));
    Serve();
    if (!exec_) std::abort();  // there is room for it
    measure(completed, DoneOf(exec_->second));
    Serve();
    measure(idle, Tick{});
    Serve();
    measure(refused, MakeRecord(kRealtime, user, kFunction));
    if (const auto token = TakeProduce()) measure(answered, ProduceFinished{*token, true, "", false});
    Serve();
  }
  return {std::move(placed), std::move(completed), std::move(idle), std::move(refused), std::move(answered)};
}

}  // namespace

DispatcherFigures MeasureDispatcherCore(const DispatcherWorldSize& size, int samples, double most_seconds) {
  World world(size, most_seconds);
  const bool whole = world.Fill();
  return {world.filled(), whole ? world.Measure(samples) : std::vector<Steps>{}};
}

}  // namespace hearth::bench
