// One machine for a whole suite; each test takes containers with numbers of their own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>

#include "tools/machine/machine.h"

namespace hearth::guest {

// A program of the folder programs/, to be run in a machine.
inline std::string Program(const std::string& name) {
  std::ifstream file(std::string(HEARTH_PROGRAMS) + "/" + name);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty()) std::abort();  // a test without its program would test nothing
  return text;
}

// How a run ended, and what the check after it found.
struct Ran : Ended {
  std::int64_t cpu_us = 0;
  bool reusable = false;
};

class GuestTest : public testing::Test {
 protected:
  static std::string ImageFolder() {
    const char* set = std::getenv("HEARTH_IMAGE");
    return set != nullptr ? set : HEARTH_DEFAULT_IMAGE;
  }

  static Configure MakeConfigure() {
    Configure configure;
    configure.machine = MachineId("test-instance");
    configure.user = UserId("alice");
    configure.wall_us = 1'800'000'000'000'000;  // 2027: not what QEMU's clock says
    configure.entropy = std::string(64, 'e');
    return configure;
  }

  static void SetUpTestSuite() {
    auto started = Machine::Start(ImageFolder());
    ASSERT_TRUE(started) << started.error().message;
    machine_ = std::move(*started);
    auto hello = machine_->Expect<Hello>(0, kBootTimeout);
    ASSERT_TRUE(hello) << hello.error().message;
    hello_ = *hello;
    machine_->Send(0, MakeConfigure());
    auto configured = machine_->Expect<Configured>(0);
    ASSERT_TRUE(configured) << configured.error().message;
    configured_ = *configured;
  }
  static void TearDownTestSuite() { machine_.reset(); }
  void SetUp() override { ASSERT_NE(machine_, nullptr) << "the machine did not start"; }

  static CodeHash StoreFiles(const std::vector<ArchiveEntry>& entries) {
    const std::string archive = MakeUstar(entries);
    auto stored = machine_->Store(HashOf(archive), archive);
    EXPECT_TRUE(stored && stored->error.empty()) << (stored ? stored->error : stored.error().message);
    return HashOf(archive);
  }
  // A container of one file; its number.
  static std::uint32_t MakeContainer(Runtime runtime, const std::string& content, std::int32_t memory_mib = 128) {
    return MakeContainer(runtime, StoreFiles({{runtime == Runtime::kPython3 ? "app.py" : "run", content, '0', 0755}}),
                         memory_mib);
  }
  static std::uint32_t MakeContainer(Runtime runtime, const CodeHash& code, std::int32_t memory_mib = 128) {
    const bool python = runtime == Runtime::kPython3;
    Create create;
    create.code = code;
    create.function = "alice/app";
    create.version = 7;
    create.runtime = runtime;
    create.handler = python ? "app.handler" : "run";
    create.memory_mib = memory_mib;
    create.environment = {{"COLOUR", "blue"}};
    const std::uint32_t number = ++last_number_;
    machine_->Send(number, create);
    auto created = machine_->Expect<Created>(number);
    EXPECT_TRUE(created && created->error.empty()) << (created ? created->error : created.error().message);
    return number;
  }
  static std::uint32_t Python(const std::string& content, std::int32_t memory_mib = 128) {
    return MakeContainer(Runtime::kPython3, content, memory_mib);
  }
  static std::uint32_t Native(const std::string& script, std::int32_t memory_mib = 128) {
    return MakeContainer(Runtime::kNative, "#!/bin/sh\n" + script, memory_mib);
  }

  static guest::Run MakeRun(const std::string& input, std::int32_t timeout_ms) {
    guest::Run run;
    run.id = InvocationId("inv-" + std::to_string(++last_invocation_));
    run.attempt = 2;
    run.timeout_ms = timeout_ms;
    run.input = input;
    return run;
  }
  static Result<Ran> ExpectEnded(std::uint32_t number, Millis timeout = kReplyTimeout) {
    auto ended = machine_->Expect<Ended>(number, timeout);
    if (!ended) return std::unexpected(ended.error());
    Ran ran{std::move(*ended)};
    auto next = machine_->Next(number);
    if (!next) return std::unexpected(next.error());
    if (const auto* checked = std::get_if<Checked>(&*next)) {
      ran.cpu_us = checked->cpu_us;
      ran.reusable = checked->reusable;
    } else if (std::holds_alternative<ContainerGone>(*next)) {
      gone_.insert(number);  // before its check
    } else {
      return Fail(Code::kInvalid, "another message came: variant " + std::to_string(next->index()));
    }
    return ran;
  }
  static Ran RunIn(std::uint32_t number, const std::string& input = {}, std::int32_t timeout_ms = 20'000) {
    const guest::Run run = MakeRun(input, timeout_ms);
    machine_->Send(number, run);
    auto ended = ExpectEnded(number, Millis(timeout_ms) + kReplyTimeout);
    EXPECT_TRUE(ended) << ended.error().message;
    if (!ended) return Ran();
    EXPECT_EQ(ended->id, run.id);
    EXPECT_EQ(ended->attempt, 2);
    EXPECT_GE(ended->total_us, ended->start_us + ended->run_us);
    return *ended;
  }
  static void ExpectGone(std::uint32_t number) {
    if (gone_.erase(number) > 0) return;
    auto gone = machine_->Expect<ContainerGone>(number);
    EXPECT_TRUE(gone) << gone.error().message;
  }

  static inline std::unique_ptr<Machine> machine_;
  static inline Hello hello_;
  static inline Configured configured_;
  static inline std::uint32_t last_number_ = 0;
  static inline int last_invocation_ = 0;
  static inline std::set<std::uint32_t> gone_;  // heard of already
};

}  // namespace hearth::guest
