// The boundary around user code, tried from inside: the agent, other containers, the code, the network, the kernel.
// docs/testing.md, "Isolation", says which goal each test holds and which mutant it was seen to notice.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/guest/fixture.h"

namespace hearth::guest {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class BoundaryTest : public GuestTest {
 protected:
  // What a python handler returned, or null with the reason as a failure.
  static json Answer(std::uint32_t number, const std::string& input = {}, std::int32_t timeout_ms = 30'000) {
    const Ran ended = RunIn(number, input, timeout_ms);
    EXPECT_EQ(ended.status, Status::kOk) << ended.error_type << ": " << ended.error_message << "\n" << ended.log_tail;
    return json::parse(ended.output, nullptr, false);
  }
  static Create MakeCreate(const CodeHash& code, const std::string& function, std::int64_t version) {
    Create create;
    create.code = code;
    create.function = function;
    create.version = version;
    create.handler = "app.handler";
    create.memory_mib = 128;
    return create;
  }
  static std::uint32_t Made(const Create& create) {
    const std::uint32_t number = ++last_number_;
    machine_->Send(number, create);
    auto created = machine_->Expect<Created>(number);
    EXPECT_TRUE(created && created->error.empty()) << (created ? created->error : created.error().message);
    return number;
  }
};

// Put before programs that try what must be refused.
const std::string kTry = Program("attempt.py");

// S1: the channel, the agent's process, the holder that is PID 1 here, and signals to whatever can be named.
TEST_F(BoundaryTest, TheAgentIsOutOfReach) {
  const auto neighbour = Python("def handler(event, context):\n  return 'here'\n");
  const auto number = Python(kTry + Program("reaches_for_the_agent.py"));
  EXPECT_EQ(Answer(number), json::array());
  EXPECT_EQ(RunIn(neighbour).output, "here") << "a neighbour was hit";
  machine_->Send(0, Ping{77});
  EXPECT_TRUE(machine_->Expect<Pong>(0));
}

// S1: a frame of the executor's, written to all that user code can write to, changes nothing.
TEST_F(BoundaryTest, FramesOfTheExecutorMeanNothingFromInside) {
  std::string frame;
  Configure other = MakeConfigure();
  other.user = UserId("mallory");
  EXPECT_TRUE(AppendGuestFrame(frame, {0, other}));
  EXPECT_TRUE(AppendGuestFrame(frame, {1, Remove{}}));
  const auto victim = Python("def handler(event, context):\n  return 'whole'\n");
  const auto number = Python(Program("writes_everywhere.py"));
  machine_->Send(number, MakeRun(frame + std::string(1, '\xff'), 20'000));  // no text, so that it arrives as bytes
  const auto ended = ExpectEnded(number);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->status, Status::kError) << ended->error_type;
  ExpectGone(number);
  EXPECT_EQ(RunIn(victim).output, "whole");
  machine_->Send(0, Ping{78});
  EXPECT_TRUE(machine_->Expect<Pong>(0)) << "and not Configured";
}

// S2: what one function leaves in its container, another function of the same user does not find.
TEST_F(BoundaryTest, AnotherFunctionFindsNothingOfTheFirst) {
  const auto first = Python(Program("leaves_all_it_can.py"));
  const Ran left = RunIn(first);
  ASSERT_EQ(left.status, Status::kOk) << left.error_message << left.log_tail;
  EXPECT_TRUE(left.reusable);
  const std::string look = Program("finds_what_was_left.py");
  EXPECT_EQ(Answer(Python(look)), json::array());
  const Ran native = RunIn(Native("env | grep -c -e LEFT -e PRELOAD; ls -A /tmp /dev/shm | grep -c left; umask\n"));
  EXPECT_EQ(native.output, "0\n0\n0022\n") << native.log_tail;
}

// S2: a process that outlives its run takes the container with it, however it hides.
TEST_F(BoundaryTest, NoProcessOutlivesItsContainer) {
  const std::string hide = Program("hides_a_process.py");
  const auto number = Python(hide);
  const Ran ended = RunIn(number);
  EXPECT_EQ(ended.output, "left");
  EXPECT_FALSE(ended.reusable);
  ExpectGone(number);  // sent only once all its processes are reaped and its control group is removed
}

// S3: a name says nothing about the code: each version gets its own bytes, and the earlier one keeps its own.
TEST_F(BoundaryTest, SameNameOtherCodeIsOtherCode) {
  const auto code = [](int n) {
    return StoreFiles({{"app.py", "def handler(event, context):\n  return " + std::to_string(n) + "\n"}});
  };
  const CodeHash one = code(1), two = code(2);
  const auto first = Made(MakeCreate(one, "alice/app", 1)), second = Made(MakeCreate(two, "alice/app", 1));
  EXPECT_EQ(RunIn(first).output, "1");
  EXPECT_EQ(RunIn(second).output, "2");
  EXPECT_EQ(RunIn(Made(MakeCreate(one, "bob/app", 9))).output, "1");
}

// S3: a transfer that is cut short, overtaken or too long stores nothing under the hash it promised, and what is stored
// is never replaced. That the bytes have the hash, the executor sees to (CodeStoreTest).
TEST_F(BoundaryTest, PartOfACodeIsNoCode) {
  const std::string archive = MakeUstar({{"app.py", "def handler(event, context):\n  return 'cut'\n"}});
  const CodeHash hash = HashOf(archive);
  const auto size = static_cast<std::int64_t>(archive.size());
  const auto refused = [&hash] {
    const std::uint32_t number = ++last_number_;
    machine_->Send(number, MakeCreate(hash, "alice/app", 1));
    auto created = machine_->Expect<Created>(number);
    ASSERT_TRUE(created) << created.error().message;
    EXPECT_THAT(created->error, HasSubstr("not stored"));
  };
  machine_->Send(0, CodeOffer{hash, size});
  machine_->Send(0, CodeChunk{archive.substr(0, archive.size() / 2)});
  refused();
  const std::string other = MakeUstar({{"app.py", "x = 1\n"}});
  auto stored = machine_->Store(HashOf(other), other);  // takes the place of the unfinished one
  ASSERT_TRUE(stored && stored->error.empty());
  refused();
  stored = machine_->Store(hash, archive.substr(0, archive.size() - 1024));  // as offered, but no end in it
  ASSERT_TRUE(stored);
  EXPECT_THAT(stored->error, HasSubstr("cut short"));
  refused();
  machine_->Send(0, CodeOffer{hash, size});
  machine_->Send(0, CodeChunk{archive + "x"});
  auto longer = machine_->Expect<CodeStored>(0);
  ASSERT_TRUE(longer);
  EXPECT_FALSE(longer->error.empty());
  refused();
  stored = machine_->Store(hash, archive);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->error, "");
  EXPECT_EQ(RunIn(Made(MakeCreate(hash, "alice/app", 1))).output, "cut");
  const std::string swapped = MakeUstar({{"app.py", "def handler(event, context):\n  return 'swapped'\n"}});
  stored = machine_->Store(hash, swapped);
  ASSERT_TRUE(stored);
  EXPECT_EQ(RunIn(Made(MakeCreate(hash, "alice/app", 2))).output, "cut");
}

// S3: a container that was made ahead has its code in the folder that it came with, where that was the next to be
// stored; else it is attached over it. Both were stored before either container here was asked for.
TEST_F(BoundaryTest, CodeCanOnlyBeReadWhicheverWayItCame) {
  const auto code = [](const std::string& mark) {
    return StoreFiles({{"app.py", R"(
def handler(event, context):
  mounts = [line.split() for line in open('/proc/self/mountinfo')]
  return [mount[5].split(',')[0] for mount in mounts if mount[4] == '/code']
# )" + mark}});
  };
  const CodeHash one = code("1"), two = code("2");
  const json first = Answer(Made(MakeCreate(one, "alice/app", 1)));
  const json second = Answer(Made(MakeCreate(two, "alice/app", 1)));
  EXPECT_THAT(first, testing::AnyOf(json({"ro"}), json({"ro", "ro"})));
  EXPECT_EQ(second, json({"ro", "ro"}));
}

// S3: what is stored stays as it was stored, by whatever name user code finds it.
TEST_F(BoundaryTest, StoredCodeCannotBeChanged) {
  const CodeHash code = StoreFiles({{"app.py", kTry + Program("changes_stored_code.py")}});
  EXPECT_EQ(Answer(Made(MakeCreate(code, "alice/app", 1))), json::array());
  EXPECT_EQ(Answer(Made(MakeCreate(code, "alice/app", 1))), json::array()) << "the next container of the same code";
}

// S9: lo alone, and it is the container's own; nothing outside can be named.
TEST_F(BoundaryTest, TheOnlyNetworkIsTheContainersOwnLoopback) {
  const std::string code = kTry + Program("looks_for_a_network.py");
  EXPECT_EQ(Answer(Python(code)), json::array());
  EXPECT_EQ(Answer(Python(code)), json::array()) << "beside the first, which listens";
}

// S10: what the kernel would offer, beyond the list in IsolationTest.DangerousSystemCallsAreRefused.
TEST_F(BoundaryTest, NoOtherDoorIntoTheKernel) {
  const auto number = Python(kTry + Program("makes_other_system_calls.py"));
  EXPECT_EQ(Answer(number), json::array());
  // Numbers of the other instruction sets' tables: the filter knows one table and kills for the rest.
  for (const char* code : {R"(\xb8\x14\x00\x00\x00\xcd\x80\xc3)" /* mov eax, 20; int 0x80; ret */,
                           R"(\xb8\x27\x00\x00\x40\x0f\x05\xc3)" /* mov eax, 0x40000027; syscall; ret */}) {
    const auto foreign = Python(std::string("import ctypes, mmap\ndef handler(event, context):\n"
                                            "  page = mmap.mmap(-1, 4096, prot=7)\n  page.write(b'") +
                                code +
                                "')\n  place = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
                                "  return ctypes.CFUNCTYPE(ctypes.c_int)(place)()\n");
    const Ran ended = RunIn(foreign);
    if (ended.status == Status::kOk) {
      EXPECT_THAT(ended.output, testing::AnyOf("-1", "-38")) << "the call was made";
    } else {
      EXPECT_EQ(ended.error_message, "killed by signal 31");
      ExpectGone(foreign);
    }
  }
}

// S10: a native function comes by another way into its container, and has as little.
TEST_F(BoundaryTest, NativeCodeHasNoRightsEither) {
  const auto number = Native(
      "grep -e ^Cap -e ^NoNewPrivs -e '^Seccomp:' -e ^Groups /proc/self/status | tr -d ' \\t'\n"
      "id -u | grep -c '^1[0-9][0-9][0-9][0-9]$'\nls /proc/self/fd | wc -l\n"
      "for p in /proc/1/root/ /proc/1/fd/ /proc/1/mem; do ls $p >/dev/null 2>&1 && [ $p != /proc/1/mem ] && echo open "
      "$p\n"
      "done\nkill -9 1 2>/dev/null && echo killed\nexit 0\n");
  const std::string none = "0000000000000000\n";
  EXPECT_EQ(RunIn(number).output, "Groups:\nCapInh:" + none + "CapPrm:" + none + "CapEff:" + none + "CapBnd:" + none +
                                      "CapAmb:" + none + "NoNewPrivs:1\nSeccomp:2\n1\n4\n");
}

// S10: what starts a container's programs has their uid, and is neither read nor spoken for; to end it ends the
// container.
TEST_F(BoundaryTest, TheLauncherIsOutOfReach) {
  const auto number = Native(
      "cat /proc/$PPID/comm\n"
      "for p in environ maps auxv; do cat /proc/$PPID/$p >/dev/null 2>&1 && echo read $p; done\n"
      "for p in fd cwd/ root/ map_files; do ls /proc/$PPID/$p >/dev/null 2>&1 && echo open $p; done\n"
      "(exec 5</proc/$PPID/mem) 2>/dev/null && echo memory\nexit 0\n");
  EXPECT_EQ(RunIn(number).output, "launcher\n");
  EXPECT_EQ(RunIn(number).output, "launcher\n");
  const auto ends_it = Native("kill -9 $PPID\nsleep 1000000\n");
  const Ran ended = RunIn(ends_it);
  EXPECT_EQ(ended.status, Status::kError);
  EXPECT_EQ(ended.error_message, "killed by signal 9");
  EXPECT_FALSE(ended.reusable);
  ExpectGone(ends_it);
}

// S10: the doors by which containers were left before: the program's own file, descriptors, /proc, links.
TEST_F(BoundaryTest, ProcAndLinksLeadNowhere) {
  const CodeHash code = StoreFiles({{"app.py", kTry + Program("follows_proc_and_links.py")},
                                    {"up", "../../../..", '2'},
                                    {"top", "/", '2'},
                                    {"holder", "/proc/1/root", '2'}});
  EXPECT_EQ(Answer(Made(MakeCreate(code, "alice/app", 1)), {}, 60'000), json::array());
}

// S12: containers say who they are, each for itself, and draw different randomness.
TEST_F(BoundaryTest, EachContainerHasAnIdentityAndRandomnessOfItsOwn) {
  const std::string code = Program("tells_its_identity.py");
  constexpr std::size_t kContainers = 6;
  std::vector<std::set<std::string>> seen(9);
  for (std::size_t i = 0; i < kContainers; ++i) {
    const json answer = Answer(Python(code));
    ASSERT_EQ(answer.size(), seen.size());
    EXPECT_THAT(answer[0].get<std::string>(), testing::MatchesRegex("[0-9a-f]+\n"));
    EXPECT_EQ(answer[0].get<std::string>().size(), 33U);
    EXPECT_THAT(answer[1].get<std::string>(), testing::StartsWith("fn-"));
    for (std::size_t n = 0; n < seen.size(); ++n) seen[n].insert(answer[n].dump());
  }
  for (std::size_t n = 0; n < seen.size(); ++n) EXPECT_EQ(seen[n].size(), kContainers) << "answer " << n << " repeats";
}

}  // namespace
}  // namespace hearth::guest
