// The stages of a fleet's machines, with a libvirt that the test plays and agents that are sockets of the test's own.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "executor/machines/fleet.h"
#include "tests/integration/executor/run_until.h"

namespace hearth::executor {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;

// Keeps what it was asked for; the test answers.
class HeldStarter : public MachineStarter {
 public:
  explicit HeldStarter(Way way) : way_(way) {}
  [[nodiscard]] Way way() const override { return way_; }
  [[nodiscard]] bool has_shells() const override { return way_ == Way::kTemplate; }
  void Start(const DomainSpec& spec, Done done) override { started.emplace_back(spec.socket, std::move(done)); }
  void MakeShell(const DomainSpec& spec, Done done) override { shells.emplace_back(spec.socket, std::move(done)); }
  void Activate(const std::string&, Done done) override { activated.push_back(std::move(done)); }

  std::vector<std::pair<std::string, Done>> started;
  std::vector<std::pair<std::string, Done>> shells;
  std::vector<Done> activated;

 private:
  const Way way_;
};

class FleetStages : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    FleetOptions options;
    options.executor = ExecutorId("executor-1");
    options.incarnation = "0123456789abcdef";
    options.run_dir = folder_;
    Fleet::Callbacks callbacks;
    callbacks.ready = [this](const MachineId& id, StartPath path, const guest::Hello&) { ready_[id.value] = path; };
    callbacks.failed = [this](const MachineId& id, std::string reason) { failed_[id.value] = std::move(reason); };
    callbacks.lost = [this](const MachineId& id, std::string reason) { lost_[id.value] = std::move(reason); };
    callbacks.frame = [](const MachineId&, const guest::Frame&) {};
    callbacks.destroyed = [](const MachineId&) {};
    callbacks.process = [this](pid_t process) { qemu_ = process; };
    callbacks.outcome = [this](const std::string&, const MachineStarter*, const std::string& reason) {
      outcomes_.push_back(reason);
    };
    fleet_.emplace(loop_, hypervisor_, boot_, MachineImage{}, options, std::move(callbacks));
  }
  void TearDown() override {
    agent_.reset();
    fleet_.reset();
    std::filesystem::remove_all(folder_);
  }

  // The agent of the machine whose socket this is connects, and is greeted or not.
  void Connect(const std::string& socket) {
    bool connected = false;
    Dial(loop_, resolver_, "unix:" + socket, [this, &connected](Result<std::unique_ptr<FrameStream>> stream) {
      ASSERT_TRUE(stream) << stream.error().message;
      agent_ = std::move(*stream);
      agent_->Start(
          [this](RawFrame raw) {
            auto frame = guest::DecodeGuestFrame(std::move(raw));
            if (frame && std::holds_alternative<guest::Greet>(frame->message)) ++greetings_;
            if (frame && std::holds_alternative<guest::WarmUp>(frame->message)) ++warm_ups_;
          },
          [](const std::string&) {});
      connected = true;
    });
    ASSERT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return connected; }));
  }
  void Say(guest::Message message) {
    std::string bytes;
    ASSERT_TRUE(guest::AppendGuestFrame(bytes, {0, std::move(message)}));
    agent_->Send(bytes);
  }
  void SayHello() {
    guest::Hello hello;
    hello.boot_nonce = std::string(32, '0');
    Say(hello);
  }
  bool Until(const std::function<bool()>& holds) { return RunUntil(loop_, kPatienceMs, holds); }
  // What was written to a socket of this process is there at once: a few turns of the loop read it and what follows.
  void Turn() {
    for (int i = 0; i < 5; ++i) uv_run(loop_.raw(), UV_RUN_NOWAIT);
  }
  // One shell waits, and its agent is connected.
  void MakeShell() {
    fleet_->Use(profile_, template_);
    fleet_->KeepShells(profile_, 1);
    ASSERT_EQ(template_->shells.size(), 1U);
    Connect(template_->shells[0].first);
    template_->shells[0].second({});
    ASSERT_TRUE(Until([this] { return fleet_->ShellsReady(profile_.name) == 1; }));
  }

  std::string folder_ = testing::TempDir() + "hearth-f-XXXXXX";
  Loop loop_;
  Resolver resolver_{loop_};
  Hypervisor hypervisor_{[] {
                           HypervisorOptions nowhere;
                           nowhere.uri = "qemu+unix:///system?socket=/no/such/socket";
                           return nowhere;
                         }(),
                         [this](std::function<void()> work) { loop_.Post(std::move(work)); },
                         [](Hypervisor::State, const std::string&) {}};
  HeldStarter boot_{Way::kBoot};
  std::shared_ptr<HeldStarter> template_ = std::make_shared<HeldStarter>(Way::kTemplate);
  Profile profile_;
  std::optional<Fleet> fleet_;
  std::unique_ptr<FrameStream> agent_;
  std::map<std::string, StartPath> ready_;
  std::map<std::string, std::string> failed_;
  std::map<std::string, std::string> lost_;
  std::vector<std::string> outcomes_;
  pid_t qemu_ = 0;  // that has connected last
  int greetings_ = 0;
  int warm_ups_ = 0;
};

TEST_F(FleetStages, AMachineIsReadyWithItsHelloThoughLibvirtHasNotAnswered) {
  fleet_->Start(MachineId("m"), profile_, true);
  Connect(boot_.started.at(0).first);
  SayHello();
  ASSERT_TRUE(Until([this] { return !ready_.empty(); }));
  EXPECT_EQ(ready_.at("m"), StartPath::kBoot);
  EXPECT_EQ(warm_ups_, 0) << "a machine that was booted has warmed up before its HELLO";
  boot_.started[0].second({});
  Turn();
  EXPECT_EQ(greetings_, 0);
  EXPECT_TRUE(failed_.empty() && lost_.empty());
}

TEST_F(FleetStages, WhatLibvirtSaysIsWaitedForWhereTheLinkIsLostBefore) {
  fleet_->Start(MachineId("m"), profile_, false);
  Connect(boot_.started.at(0).first);
  agent_.reset();
  Turn();
  EXPECT_TRUE(failed_.empty());
  boot_.started[0].second(Fail(Code::kInternal, "no such kernel"));
  EXPECT_EQ(failed_.at("m"), "no such kernel");
}

TEST_F(FleetStages, ALostLinkIsTheReasonWhereLibvirtHasNone) {
  fleet_->Start(MachineId("m"), profile_, false);
  Connect(boot_.started.at(0).first);
  Say(guest::Pong{});
  Turn();
  boot_.started[0].second({});
  EXPECT_EQ(failed_.at("m"), "the guest did not begin with HELLO");
}

TEST_F(FleetStages, AShellIsFilledGreetedAndWarmedUp) {
  MakeShell();
  fleet_->Start(MachineId("m"), profile_, true);
  ASSERT_EQ(template_->activated.size(), 1U);
  EXPECT_TRUE(template_->started.empty());
  EXPECT_EQ(fleet_->ShellsReady(profile_.name), 0);
  Turn();
  EXPECT_EQ(greetings_, 0) << "it is not filled yet";
  template_->activated[0]({});
  ASSERT_TRUE(Until([this] { return greetings_ > 0; }));
  SayHello();
  ASSERT_TRUE(Until([this] { return warm_ups_ > 0; }));
  EXPECT_TRUE(ready_.empty());
  Say(guest::Warmed{{"python3"}});
  ASSERT_TRUE(Until([this] { return !ready_.empty(); }));
  EXPECT_EQ(ready_.at("m"), StartPath::kRestore);
  EXPECT_EQ(outcomes_, std::vector<std::string>{""});
  agent_.reset();
  ASSERT_TRUE(Until([this] { return !lost_.empty(); })) << "one that was ready is lost, and did not fail";
  EXPECT_TRUE(failed_.empty());
}

TEST_F(FleetStages, AShellThatSpeaksBeforeItIsFilledIsNotOne) {
  MakeShell();
  SayHello();
  ASSERT_TRUE(Until([this] { return fleet_->ShellsReady(profile_.name) == 0; }));
  EXPECT_TRUE(outcomes_.empty()) << "that says nothing of how it was made";
}

TEST_F(FleetStages, AMachineThatIsRemovedRunsNoMoreThoughLibvirtIsAway) {
  fleet_->Start(MachineId("m"), profile_, false);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  boot_.started.at(0).first.copy(address.sun_path, sizeof address.sun_path - 1);
  const pid_t child = fork();
  if (child == 0) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (socket < 0 || connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) _exit(1);
    while (true) pause();
  }
  ASSERT_TRUE(Until([&] { return qemu_ == child; }));
  boot_.started[0].second({});
  fleet_->Destroy(MachineId("m"));
  int status = 0;
  if (!Until([&] { return waitpid(child, &status, WNOHANG) == child; })) {
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
  }
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(fleet_->Left().size(), 1U) << "libvirt has not said that its domain is gone";
}

TEST_F(FleetStages, AShellThatCannotBeMadeIsReported) {
  fleet_->Use(profile_, template_);
  fleet_->KeepShells(profile_, 1);
  template_->shells.at(0).second(Fail(Code::kInternal, "no memory"));
  EXPECT_EQ(outcomes_, std::vector<std::string>{"shell: no memory"});
}

}  // namespace
}  // namespace hearth::executor
