// A fleet whose machines are restored, and what a test says to their agents.
#pragma once

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <map>
#include <string>
#include <vector>

#include "common/base/sha256.h"
#include "common/base/time.h"
#include "executor/machines/ways.h"
#include "tests/integration/executor/machine_fixture.h"
#include "tools/machine/machine.h"

namespace hearth::executor {

class CloneFixture : public MachineFixture {
 protected:
  struct Clone {
    StartPath path = StartPath::kNone;
    std::optional<guest::Hello> hello;
    std::string failed, lost;
    std::vector<guest::Frame> frames;
    bool destroyed = false;
  };

  // Says nothing, unless HEARTH_LOG_LEVEL asks for it.
  static Logger TestLog() {
    auto log = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    const std::string level = Environment("HEARTH_LOG_LEVEL");
    log->set_level(level.empty() ? spdlog::level::off : spdlog::level::from_str(level));
    return log;
  }

  static Profile SmallProfile() {
    Profile profile;
    profile.memory_mib = 256;
    profile.reserve_mib = 128;
    return profile;
  }

  WaysOptions Choose(StartChoice choice) const {
    WaysOptions options;
    options.choice = choice;
    options.folder = (folder_ / "templates").string();
    return options;
  }

  void MakeFleet(WaysOptions options, const std::string& incarnation = "life") {
    Fleet::Callbacks callbacks;
    callbacks.ready = [this](const MachineId& id, StartPath path, guest::Hello hello) {
      clones_[id.value].path = path;
      clones_[id.value].hello = std::move(hello);
    };
    callbacks.failed = [this](const MachineId& id, std::string reason) {
      clones_[id.value].failed = std::move(reason);
    };
    callbacks.lost = [this](const MachineId& id, std::string reason) { clones_[id.value].lost = std::move(reason); };
    callbacks.frame = [this](const MachineId& id, guest::Frame frame) {
      clones_[id.value].frames.push_back(std::move(frame));
    };
    callbacks.destroyed = [this](const MachineId& id) { clones_[id.value].destroyed = true; };
    callbacks.shells = [this](const std::string&, std::int32_t ready) { shells_.push_back(ready); };
    callbacks.outcome = [this](const std::string& profile, const MachineStarter* starter, const std::string& reason) {
      ways_->Report(profile, starter, reason);
    };
    const FleetOptions fleet = Options(incarnation);
    fleet_ = std::make_unique<Fleet>(loop_, *hypervisor_, *starter_, image_, fleet, std::move(callbacks));
    ways_ =
        std::make_unique<Ways>(*hypervisor_, *fleet_, image_, fleet, std::move(options), std::vector<Profile>{profile_},
                               loop_, TestLog(), [](const std::string&, const Ways::Status&) {});
    ways_->Begin();
  }
  // The end of this life of the executor; nothing of its machines is left.
  void End() {
    if (ways_ != nullptr) ways_->Stop();
    MachineFixture::TearDown();
    ways_.reset();
    fleet_.reset();
  }
  void TearDown() override { End(); }

  const Ways::Status& Settled() {
    EXPECT_TRUE(RunUntil(loop_, 3 * kPatienceMs, [this] { return ways_->Of(profile_.name).settled; }));
    return ways_->Of(profile_.name);
  }
  bool ShellsWait(std::int32_t count) {
    return RunUntil(loop_, kPatienceMs, [&] { return fleet_->ShellsReady(profile_.name) == count; });
  }

  Clone& Start(const std::string& name, bool warm_up = false) {
    fleet_->Start(MachineId(name), profile_, warm_up);
    Clone& clone = clones_[name];
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&clone] { return clone.hello || !clone.failed.empty(); }));
    EXPECT_TRUE(clone.hello) << name << ": " << clone.failed;
    return clone;
  }
  void Destroy(const std::string& name) {
    fleet_->Destroy(MachineId(name));
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&] { return clones_[name].destroyed; }));
  }

  // The next message of the type on the stream.
  template <class T>
  std::optional<T> Await(const std::string& name, std::uint32_t stream) {
    Clone& clone = clones_[name];
    std::optional<T> found;
    EXPECT_TRUE(RunUntil(loop_, kPatienceMs, [&] {
      for (auto frame = found ? clone.frames.end() : clone.frames.begin(); frame != clone.frames.end(); ++frame) {
        auto* message = std::get_if<T>(&frame->message);
        if (message == nullptr || frame->stream != stream) continue;
        found = std::move(*message);
        clone.frames.erase(frame);
        return true;
      }
      return found || !clone.lost.empty();
    })) << name;
    EXPECT_TRUE(found) << name << ": " << clone.lost;
    return found;
  }

  void Configure(const std::string& name) {
    guest::Configure configure;
    configure.machine = MachineId(name);
    configure.user = UserId("alice");
    configure.wall_us = configured_us_[name] = ReadClocks().wall_us;
    configure.entropy = Sha256Hex(name);  // 64 bytes, others for each
    fleet_->Send(MachineId(name), {0, configure});
  }

  // Runs a function of one file; what it returned.
  std::string Run(const std::string& name, std::uint32_t number, Runtime runtime, const std::string& content,
                  const std::string& input) {
    const std::string archive = guest::MakeUstar({{runtime == Runtime::kPython3 ? "app.py" : "run", content}});
    const CodeHash hash(Sha256Hex(archive));
    const MachineId id(name);
    fleet_->Send(id, {0, guest::CodeOffer{hash, static_cast<std::int64_t>(archive.size())}});
    fleet_->Send(id, {0, guest::CodeChunk{archive}});
    const auto stored = Await<guest::CodeStored>(name, 0);
    EXPECT_EQ(stored.value_or(guest::CodeStored{{}, "none"}).error, "");
    guest::Create create;
    create.code = hash;
    create.function = "alice/app";
    create.version = 1;
    create.runtime = runtime;
    create.handler = runtime == Runtime::kPython3 ? "app.handler" : "run";
    create.memory_mib = 64;
    fleet_->Send(id, {number, create});
    const auto created = Await<guest::Created>(name, number);
    EXPECT_EQ(created.value_or(guest::Created{"none"}).error, "");
    guest::Run run;
    run.id = InvocationId(name + "-" + std::to_string(number));
    run.timeout_ms = 60'000;
    run.input = input;
    fleet_->Send(id, {number, run});
    const auto ended = Await<guest::Ended>(name, number);
    if (!ended) return "";
    EXPECT_EQ(ended->status, Status::kOk) << ended->error_type << ": " << ended->error_message << ended->log_tail;
    return ended->output;
  }

  Profile profile_ = SmallProfile();
  std::map<std::string, Clone> clones_;
  std::map<std::string, std::int64_t> configured_us_;
  std::vector<std::int32_t> shells_;
  std::unique_ptr<Ways> ways_;
};

}  // namespace hearth::executor
