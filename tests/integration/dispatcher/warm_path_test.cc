// No invocation waits for Redis: the dispatcher's core and its directory together, with an executor of the test's own.
// Where a thousand invocations complete without one turn of the loop, no command can have been awaited.
#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "common/base/time.h"
#include "dispatcher/core/core.h"
#include "schemas/request.h"
#include "tests/integration/dispatcher/directory_writer.h"
#include "tests/integration/dispatcher/redis_server.h"

namespace hearth::dispatcher {
namespace {

using executor::RunUntil;

constexpr int kInvocations = 1000;
const PartitionId kPartition{"hearth.invoke.std", 0};
const ExecutorId kExecutor("ex-1");

// As the dispatcher's shell joins the two; the executor runs everything at once in one container of alice.
class Joined {
 public:
  Joined(Loop& loop, const std::string& address)
      : core_(MakeSettings()),
        directory_(loop, address, {DispatcherId("d-1"), "127.0.0.1:7"},
                   {[this](bool up, const std::string&) { up_ = up; },
                    [this](UserId user, std::vector<std::pair<ExecutorId, link::Slot>> slots) {
                      Handle(UserLoaded{std::move(user), std::move(slots)});
                    },
                    [](const std::vector<std::string>&) {}, [](const std::string&) {},
                    [this](UserId user, bool shared) { Handle(UserShared{std::move(user), shared}); },
                    [this](UserId user, ExecutorId at, ContainerId container, std::int64_t since_ms, bool granted) {
                      Handle(SlotClaimed{std::move(user), std::move(at), std::move(container), since_ms, granted});
                    }},
                   {}),
        tick_(loop, [this] { Handle(Tick{}); }) {
    tick_.StartEvery(10);
    auto function = std::make_shared<Function>();
    function->user = kAlice;
    function->name = FunctionName("greet");
    function->version = 1;
    Handle(FunctionUpdated{function});
    link::ExecutorHello hello;
    hello.executor = kExecutor;
    hello.incarnation = "first";
    hello.credit = 8;
    hello.profiles = {{"default", 1, 0, 1}};
    hello.slots = {MakeSlot("i-1/1")};
    Handle(ExecutorConnected{hello});
    Handle(PartitionAssigned{kPartition, 0, ""});
  }

  void Invoke() {
    Request request;
    request.user = kAlice;
    request.function = FunctionName("greet");
    request.id = InvocationId("i" + std::to_string(offset_));
    const OutRecord out = EncodeRequest(request, kPartition.topic);
    auto record = std::make_shared<Record>();
    record->partition = kPartition;
    record->offset = offset_++;
    record->timestamp_ms = ReadClocks().wall_us / kMicrosPerMilli;
    record->value = out.value;
    record->headers = out.headers;
    // Heartbeats of the executor, as they would come meanwhile.
    Handle(ExecutorMessage{kExecutor, link::Heartbeat{1, 0, 8, 0, false, {{"default", 1, 0, 1}}}});
    Handle(RecordsReceived{{record}});
  }
  [[nodiscard]] Gauges Numbers() const { return core_.ReadGauges(ReadClocks()); }
  [[nodiscard]] Directory::Numbers Redis() const { return directory_.Read(); }
  [[nodiscard]] bool Settled() const { return up_ && directory_.Read().waiting == 0; }
  [[nodiscard]] int warm() const { return warm_; }
  [[nodiscard]] int claims() const { return claims_; }

 private:
  static Settings MakeSettings() {
    Settings settings;
    settings.id = DispatcherId("d-1");
    settings.request_topics = {{kPartition.topic, RequestClass::kStandard}};
    return settings;
  }
  void Handle(Event event) {
    events_.push_back(std::move(event));
    if (stepping_) return;
    stepping_ = true;
    while (!events_.empty()) {
      const Event next = std::move(events_.front());
      events_.pop_front();
      std::vector<Effect> effects;
      core_.Step(next, ReadClocks(), effects);
      for (const Effect& effect : effects) CarryOut(effect);
    }
    stepping_ = false;
  }
  void CarryOut(const Effect& effect) {
    if (const auto* commit = std::get_if<Commit>(&effect)) {
      events_.push_back(CommitFinished{commit->partition, commit->epoch, true, ""});
    } else if (const auto* load = std::get_if<LoadUser>(&effect)) {
      directory_.Load(load->user);
    } else if (const auto* write = std::get_if<DirectoryWrite>(&effect)) {
      directory_.Write(write->executor, write->slot);
    } else if (const auto* claim = std::get_if<ClaimSlot>(&effect)) {
      ++claims_;
      directory_.Claim(claim->user, claim->executor, claim->container, claim->since_ms);
    } else if (const auto* trace = std::get_if<Trace>(&effect)) {
      if (trace->kind == Trace::Kind::kPlaced && trace->path == StartPath::kContainer) ++warm_;
    } else if (const auto* send = std::get_if<SendToExecutor>(&effect)) {
      Execute(send->message);
    }
  }
  void Execute(const link::Message& message) {
    if (const auto* fence = std::get_if<link::Fence>(&message)) {
      events_.push_back(ExecutorMessage{kExecutor, link::FenceReport{fence->partition, fence->epoch, {}, {}}});
    } else if (const auto* exec = std::get_if<link::Exec>(&message)) {
      link::Done done;
      done.ref = exec->ref;
      done.id = exec->id;
      done.start_path = StartPath::kContainer;
      done.times = exec->times;
      done.times.leased_us = 1;
      auto slot = MakeSlot("i-1/1", link::SlotState::kBusy);
      slot.since_ms = ++since_ms_;
      events_.push_back(ExecutorMessage{kExecutor, link::SlotReport{{slot}}});
      slot.state = link::SlotState::kIdle;
      slot.since_ms = ++since_ms_;
      events_.push_back(ExecutorMessage{kExecutor, done});
      events_.push_back(ExecutorMessage{kExecutor, link::SlotReport{{slot}}});
    }
  }

  Core core_;
  std::deque<Event> events_;
  bool stepping_ = false;
  bool up_ = false;
  int warm_ = 0;
  int claims_ = 0;
  std::int64_t offset_ = 0;
  std::int64_t since_ms_ = 1000;
  Directory directory_;
  Timer tick_;
};

class WarmPath : public testing::Test {
 protected:
  void SetUp() override { server_.Start(); }
  void ServeAll(Joined& dispatcher) {
    const auto complete = dispatcher.Numbers().complete;
    const int warm = dispatcher.warm();
    const auto commands = dispatcher.Redis().commands;
    for (int i = 0; i < kInvocations; ++i) dispatcher.Invoke();
    EXPECT_EQ(dispatcher.Numbers().complete - complete, kInvocations);
    EXPECT_EQ(dispatcher.warm() - warm, kInvocations);
    EXPECT_EQ(dispatcher.Redis().commands, commands) << "not even sent";
    EXPECT_EQ(dispatcher.claims(), 0);
  }
  bool Until(const std::function<bool()>& holds) { return RunUntil(loop_, kPatienceMs, holds); }

  RedisServer server_;
  Loop loop_;
};

TEST_F(WarmPath, AThousandInvocationsAwaitNoCommandAndCostAFewInAll) {
  Joined dispatcher(loop_, server_.Address());
  dispatcher.Invoke();  // the first sight of the user is read from Redis, in the background
  ASSERT_TRUE(Until([&] { return dispatcher.Settled(); }));
  ServeAll(dispatcher);
  const auto before = dispatcher.Redis().commands;
  ASSERT_TRUE(Until([&] { return dispatcher.Settled(); }));
  // One index entry and one write for two thousand changes, and what the watch of each second adds.
  EXPECT_LE(dispatcher.Redis().commands - before, kInvocations / 10);
}

TEST_F(WarmPath, AFrozenRedisChangesNothingForThem) {
  Joined dispatcher(loop_, server_.Address());
  dispatcher.Invoke();
  ASSERT_TRUE(Until([&] { return dispatcher.Settled(); }));
  server_.Freeze();
  ServeAll(dispatcher);
  EXPECT_TRUE(Until([&] { return !dispatcher.Redis().up; }));
  ServeAll(dispatcher);  // and after it was given up
  server_.Thaw();
  EXPECT_TRUE(Until([&] { return dispatcher.Settled(); }));
}

TEST_F(WarmPath, ARedisThatIsFlushedOrGoneChangesNothingForThem) {
  Joined dispatcher(loop_, server_.Address());
  dispatcher.Invoke();
  ASSERT_TRUE(Until([&] { return dispatcher.Settled(); }));
  server_.Ask({"FLUSHALL"});
  ServeAll(dispatcher);
  EXPECT_TRUE(Until([&] { return server_.Ask({"HLEN", kSlots}).integer == 1; }));
  server_.Kill();
  ASSERT_TRUE(Until([&] { return !dispatcher.Redis().up; }));
  ServeAll(dispatcher);
  server_.Start();  // an empty one in its place
  EXPECT_TRUE(Until([&] { return server_.Ask({"HLEN", kSlots}).integer == 1; }));
}

// Shared users do wait, for one answer and not for long: with Redis frozen the time allowed passes, and they go on.
TEST_F(WarmPath, SharedUsersAskAndGoOnWithoutAnAnswer) {
  Joined one(loop_, server_.Address());
  one.Invoke();
  ASSERT_TRUE(Until([&] { return one.Settled(); }));
  Writer other(loop_, server_.Address(), {}, "d-2");
  ASSERT_TRUE(Until([&] { return other.up; }));
  other.directory.Load(kAlice);
  ASSERT_TRUE(Until([&] { return other.shared.value_or(false); }));
  one.Invoke();  // its write tells that there is another one
  ASSERT_TRUE(Until([&] {
    if (one.Settled() && one.claims() == 0) one.Invoke();
    return one.claims() > 0;
  }));
  ASSERT_TRUE(Until([&] { return one.Numbers().in_flight == 0; })) << "granted";
  server_.Freeze();
  const int asked = one.claims();
  one.Invoke();
  EXPECT_EQ(one.claims(), asked + 1);
  EXPECT_EQ(one.Numbers().in_flight, 1);
  EXPECT_TRUE(Until([&] { return one.Numbers().in_flight == 0; })) << "not granted, and not waited for";
  server_.Thaw();
}

}  // namespace
}  // namespace hearth::dispatcher
