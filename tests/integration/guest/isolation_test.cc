// What user code cannot do, and what the agent does not believe. In a real machine.
#include <gmock/gmock.h>

#include "tests/integration/guest/fixture.h"

namespace hearth::guest {
namespace {

using testing::HasSubstr;

class IsolationTest : public GuestTest {};

TEST_F(IsolationTest, ContainersSeeNothingOfEachOther) {
  const std::string code = Program("sees_others.py");
  const auto first = Python(code), second = Python(code);
  const std::string a = RunIn(first, "a").output, b = RunIn(second, "b").output;
  EXPECT_THAT(a, testing::StartsWith(R"([[], [], ["1", "2"], )"));
  EXPECT_THAT(b, testing::StartsWith(R"([[], [], ["1", "2"], )"));
  EXPECT_NE(a, b) << "the uids must differ";
  EXPECT_THAT(RunIn(first, "c").output, testing::StartsWith(R"([["a"], ["a"], ["1", "2"], )"));
}

TEST_F(IsolationTest, UserCodeHasNoRights) {
  const auto number = Python(Program("tells_its_rights.py"));
  const Ran ended = RunIn(number);
  const std::string none = R"("0000000000000000", )";
  EXPECT_EQ(ended.output, "[" + none + none + none + none + none +
                              R"("1", "2", "", true, ["/dev/null", "pipe", "pipe", "socket"], )" +
                              "true, true, true, true, true, true, true, true, true, []]")
      << ended.error_message << ended.log_tail;
}

TEST_F(IsolationTest, DangerousSystemCallsAreRefused) {
  const auto number = Python(Program("makes_dangerous_system_calls.py"));
  EXPECT_EQ(RunIn(number).output, "[]");
}

TEST_F(IsolationTest, ThereIsNoNetwork) {
  const auto number = Python(Program("connects.py"));
  EXPECT_EQ(RunIn(number).output, "none");
}

TEST_F(IsolationTest, ForgedAnswerBelongsToItsOwnRunAndCostsTheContainer) {
  const auto number = Python(Program("forges_an_answer.py"));
  const Ran ended = RunIn(number);
  EXPECT_EQ(ended.output, "forged");
  EXPECT_EQ(ended.start_us, 0);
  EXPECT_LE(ended.run_us, ended.total_us) << "times of a liar are bounded by the agent's own";
  ExpectGone(number);
}

// What user code writes in its runtime's place is that attempt's failure: it costs the container, and neither the
// agent, nor the machine, nor a neighbour.
TEST_F(IsolationTest, WhateverIsWrittenOnTheRunSocketCostsTheContainer) {
  const auto neighbour = Python("def handler(event, context):\n  return 'here'\n");
  struct Try {
    const char* bytes;
    const char* type;
  };
  const std::string code = Program("writes_on_the_run_socket.py");
  const Try tries[] = {{"bytes([255]) * 64", "result_too_large"},
                       {"struct.pack('<II', 4, 2 ** 32 - 1)", "invalid_answer"},
                       {"struct.pack('<II', 4, 0) * 100000", "invalid_answer"},
                       {"answer(1100000)", "result_too_large"},
                       {"answer(1250000)", "result_too_large"},
                       {"answer(1310720)", "result_too_large"},
                       {"answer(50000000)", "result_too_large"},
                       {"answer(1) * 1000", ""},
                       {"b'x'", "timeout"},
                       {"answer(1000000)[:500000]", "timeout"}};
  for (const auto& [bytes, type] : tries) {
    SCOPED_TRACE(bytes);
    const auto number = Python(code, 256);
    const bool silent = std::string_view(type) == "timeout";
    EXPECT_EQ(RunIn(number, bytes, silent ? 3'000 : 60'000).error_type, type);
    machine_->Send(number, Remove{});  // one whose answer was too large by itself may live on
    ExpectGone(number);
    EXPECT_EQ(RunIn(neighbour).output, "here");
  }
  machine_->Send(0, Ping{79});
  EXPECT_TRUE(machine_->Expect<Pong>(0));
}

TEST_F(IsolationTest, CodeStaysInItsFolder) {
  const std::string good = MakeUstar({{"a.py", "x = 1\n"}});
  Create create;
  create.code = CodeHash(std::string(64, 'a'));
  create.memory_mib = 128;
  create.handler = "a.handler";
  machine_->Send(9001, create);
  const auto created = machine_->Expect<Created>(9001);
  ASSERT_TRUE(created);
  EXPECT_THAT(created->error, HasSubstr("not stored"));

  const std::vector<std::vector<ArchiveEntry>> bad = {{{"../escape", "x"}},
                                                      {{"/etc/escape", "x"}},
                                                      {{"a/../../escape", "x"}},
                                                      {{"link", "/", '2'}, {"link/escape", "x"}},
                                                      {{"link", "..", '2'}, {"link/escape", "x"}},
                                                      {{"device", "", '3'}}};
  for (const auto& entries : bad) {
    const std::string archive = MakeUstar(entries);
    auto answer = machine_->Store(HashOf(archive), archive);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_FALSE(answer->error.empty()) << entries.back().path;
  }
  machine_->Send(0, CodeOffer{CodeHash("../../etc"), 10});
  auto refused = machine_->Expect<CodeStored>(0);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->error.empty());
  auto again = machine_->Store(HashOf(good), good);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->error, "");
}

TEST_F(IsolationTest, ContainerNumbersAreTakenOnce) {
  const auto number = Native("echo first\n");
  Create create;
  create.memory_mib = 128;
  create.runtime = Runtime::kNative;
  machine_->Send(number, create);
  const auto second = machine_->Expect<Created>(number);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->error.empty());
  EXPECT_EQ(RunIn(number).output, "first\n");
}

// Of what the executor asks, a frame that cannot be read concerns its container and not the agent.
TEST_F(IsolationTest, AFrameThatCannotBeReadCostsItsContainer) {
  const auto neighbour = Python("def handler(event, context):\n  return 'here'\n");
  const auto number = Python("def handler(event, context):\n  return 'here'\n");
  std::string frames;
  EXPECT_TRUE(AppendFrame(frames, 9, number, "\xc1"));          // a Run
  EXPECT_TRUE(AppendFrame(frames, 7, ++last_number_, "\xc1"));  // a Create
  machine_->SendRaw(frames);
  ExpectGone(number);
  ExpectGone(last_number_);
  EXPECT_EQ(RunIn(neighbour).output, "here");
}

TEST_F(IsolationTest, MachineIsBoundOnce) {
  Configure other = MakeConfigure();
  other.user = UserId("mallory");
  other.wall_us = 0;
  machine_->Send(0, other);
  machine_->Send(0, Ping{1});
  const auto answer = machine_->Expect<Pong>(0);  // and not Configured
  EXPECT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(RunIn(Native("echo $(($(date +%s) / 1000000))\n")).output, "1800\n");
}

TEST_F(IsolationTest, LinkThatCameBackGetsHelloAndTheMachineStillServes) {
  const auto number = Native("echo on\n");
  const auto cut = machine_->CutLink();
  ASSERT_TRUE(cut) << cut.error().message;
  const auto hello = machine_->Expect<Hello>(0);
  ASSERT_TRUE(hello) << hello.error().message;
  EXPECT_EQ(hello->boot_nonce, hello_.boot_nonce) << "it is the same machine";
  EXPECT_EQ(RunIn(number).output, "on\n");
}

TEST_F(IsolationTest, TogetherContainersGetNoMoreThanTheMachineHas) {
  const std::string code =
      "def handler(event, context):\n  return len([bytes([n % 256]) * (1 << 20) for n in range(event)])\n";
  const auto greedy = Python(code, 4096);
  EXPECT_EQ(RunIn(greedy, "4000").status, Status::kOom);
  ExpectGone(greedy);
  EXPECT_EQ(RunIn(Python(code), "1").output, "1") << "the zygote survived";
}

// The last, in a machine of its own: a protocol error ends it.
TEST(ProtocolTest, GarbageEndsTheMachine) {
  const char* set = std::getenv("HEARTH_IMAGE");
  auto machine = Machine::Start(set != nullptr ? set : HEARTH_DEFAULT_IMAGE);
  ASSERT_TRUE(machine) << machine.error().message;
  ASSERT_TRUE((*machine)->Expect<Hello>(0, kBootTimeout));
  Create create;
  create.memory_mib = 128;
  (*machine)->Send(1, create);
  const auto created = (*machine)->Expect<Created>(1);
  ASSERT_TRUE(created);
  EXPECT_THAT(created->error, HasSubstr("no user"));
  (*machine)->SendRaw(std::string(64, '\xff'));
  EXPECT_TRUE((*machine)->WaitForEnd(kReplyTimeout));
}

}  // namespace
}  // namespace hearth::guest
