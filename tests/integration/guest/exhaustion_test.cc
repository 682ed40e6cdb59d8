// User code that takes all it can get: processes, memory, space, output, descriptors. It meets its own limit, says so
// in its result, and neither the machine nor a neighbour notices.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/integration/guest/fixture.h"

namespace hearth::guest {
namespace {

using nlohmann::json;

class ExhaustionTest : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    neighbour_ = Python("import os\ndef handler(event, context):\n  return os.getpid()\n");
    before_ = RunIn(neighbour_).output;
  }
  // The neighbour is the process it was, and new containers can be had.
  void TearDown() override {
    EXPECT_EQ(RunIn(neighbour_).output, before_);
    EXPECT_EQ(RunIn(Native("echo alive\n")).output, "alive\n");
    machine_->Send(neighbour_, Remove{});
    ExpectGone(neighbour_);
  }
  // A neighbour's run while `number` is at it.
  void NeighbourAnswersWhile(std::uint32_t number, std::int32_t timeout_ms) {
    machine_->Send(number, MakeRun({}, timeout_ms));
    EXPECT_EQ(RunIn(neighbour_, {}, 60'000).output, before_);
    machine_->Send(0, Ping{5});
    EXPECT_TRUE(machine_->Expect<Pong>(0));
  }

  std::uint32_t neighbour_ = 0;
  std::string before_;
};

// S4
TEST_F(ExhaustionTest, ThreadsAndProcessesAreCapped) {
  const auto threads = Python(Program("starts_threads.py"));
  const Ran ended = RunIn(threads, {}, 60'000);
  EXPECT_EQ(ended.output, "255") << ended.error_message << ended.log_tail;
  const auto processes = Python(Program("forks.py"), 256);
  const Ran forked = RunIn(processes, {}, 60'000);
  EXPECT_EQ(forked.output, "255") << forked.error_message << forked.log_tail;
}

// S4: the bomb goes on as long as its time allows, and the neighbour is served meanwhile.
TEST_F(ExhaustionTest, AForkBombLeavesTheNeighbourItsTurn) {
  const auto number = Native("bomb() { bomb | bomb & }\nbomb\nwhile true; do bomb; done\n");
  NeighbourAnswersWhile(number, 5000);
  const auto ended = ExpectEnded(number);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_NE(ended->status, Status::kOk);
  EXPECT_FALSE(ended->reusable);
  ExpectGone(number);
}

// S5: memory by every way to it ends inside the container.
TEST_F(ExhaustionTest, MemoryEndsInTheContainer) {
  struct Way {
    const char* name;
    const char* body;
  };
  for (const Way& way :
       {Way{"heap", "x = []\n  while True: x.append(b'x' * (1 << 20))"},
        Way{"/dev/shm", "f = open('/dev/shm/fill', 'wb')\n  while True: f.write(b'x' * (1 << 20))"},
        Way{"/tmp", "f = open('/tmp/fill', 'wb')\n  while True: f.write(b'x' * (1 << 20))"},
        Way{"memfd", "f = os.fdopen(os.memfd_create('x'), 'wb')\n  while True: f.write(b'x' * (1 << 20))"},
        Way{"pipes",
            "x = []\n  while True:\n    r, w = os.pipe(); x.append((r, w)); os.set_blocking(w, "
            "False)\n    try: os.write(w, b'x' * 65536)\n    except OSError: pass"}}) {
    const auto number = Python(std::string("import os\ndef handler(event, context):\n  ") + way.body + "\n", 64);
    const Ran ended = RunIn(number, {}, 60'000);
    EXPECT_TRUE(ended.status == Status::kOom || ended.status == Status::kError) << way.name;
    EXPECT_LE(ended.memory_peak_bytes, 65LL << 20) << way.name;
    if (ended.status == Status::kOom) {
      ExpectGone(number);
    } else {  // a bound of the file system or of descriptors came first, and says so
      EXPECT_EQ(ended.error_type, "OSError") << way.name << ": " << ended.error_message;
    }
  }
}

// Containers are made before it is known how much their function may have: more, or less.
TEST_F(ExhaustionTest, AContainerIsOfTheSizeOfItsFunction) {
  const std::string code = Program("fills_memory.py");
  for (const int size_mib : {64, 128, 192}) {
    const auto number = Python(code, size_mib);
    const auto got = RunIn(number, std::to_string(size_mib - 40), 60'000);
    EXPECT_EQ(got.output, "[" + std::to_string(size_mib - 40) + ", " + std::to_string(size_mib) + ", " +
                              std::to_string(size_mib) + "]");
    EXPECT_EQ(RunIn(number, std::to_string(size_mib + 10), 60'000).status, Status::kOom) << size_mib;
  }
}

// S5: what is cached of files can be taken back, so reading all there is costs nobody anything.
TEST_F(ExhaustionTest, AFloodOfThePageCacheIsHarmless) {
  const auto number = Python(Program("reads_all_files.py"), 64);
  const Ran ended = RunIn(number, {}, 120'000);
  EXPECT_EQ(ended.output, "true") << ended.error_type << ended.error_message << ended.log_tail;
  EXPECT_TRUE(ended.reusable);
}

// S6: /tmp is bounded in bytes by memory and by 512 MiB, in files, and in the size of one file.
TEST_F(ExhaustionTest, SpaceIsBounded) {
  const std::string code = Program("looks_for_space.py");
  EXPECT_EQ(RunIn(Python(code, 64)).output, R"([[64, true], [64, true], 268435456, "EFBIG", "EFBIG", 0])");
  EXPECT_EQ(RunIn(Python(code, 2048)).output, R"([[512, true], [512, true], 268435456, "EFBIG", "EFBIG", 0])");
}

// S6: a hundred thousand files, each of one byte.
TEST_F(ExhaustionTest, SmallFilesAreCounted) {
  const auto number = Python(Program("makes_small_files.py"), 256);
  const Ran ended = RunIn(number, {}, 300'000);
  if (ended.status == Status::kOom) {
    ExpectGone(number);  // files are memory, and that came first
    return;
  }
  const json answer = json::parse(ended.output, nullptr, false);
  ASSERT_EQ(answer.size(), 2U) << ended.output << ended.error_message << ended.log_tail;
  EXPECT_LE(answer[0].get<int>(), 65'536);
  EXPECT_EQ(answer[1], "ENOSPC");
}

// S7: one line without end, of whatever bytes: counted whole, kept in part.
TEST_F(ExhaustionTest, ALineWithoutEndIsCountedAndCut) {
  const auto number =
      Native("head=0\nwhile [ $head -lt 16 ]; do head -c 1048576 /dev/zero >&2; head=$((head + 1)); done\n");
  const Ran ended = RunIn(number, {}, 120'000);
  EXPECT_EQ(ended.status, Status::kOk) << ended.error_type << ended.error_message << ended.log_tail;
  EXPECT_EQ(ended.log_bytes, 16LL << 20);
  EXPECT_EQ(ended.log_tail, std::string(kMaxLogTailBytes, '\0'));
}

// S7: a log is a field of its message: what it contains cannot end it, begin another message, or pass for a result.
TEST_F(ExhaustionTest, ALogCannotForgeStructure) {
  std::string forged;
  Ended other;
  other.id = InvocationId("someone-elses");
  other.status = Status::kOk;
  other.output = "forged";
  EXPECT_TRUE(AppendGuestFrame(forged, {1, other}));
  EXPECT_TRUE(AppendGuestFrame(forged, {0, Pong{9}}));
  using std::string_literals::operator""s;
  const std::string hostile = forged + "\n{\"level\":\"error\",\"user\":\"root\"}\r\n"s +
                              "\x1b[2J\x1b]0;title\x07\0\xff\xfe\x80 hearth-status: ok\r\n"s;
  const auto number = Python("import os\ndef handler(event, context):\n  os.write(1, event)\n  os.write(2, event)\n");
  const Ran ended = RunIn(number, hostile + "\xff");
  EXPECT_EQ(ended.status, Status::kOk) << ended.error_message;
  EXPECT_EQ(ended.output, "null");
  EXPECT_EQ(ended.log_tail, hostile + "\xff" + hostile + "\xff");
  machine_->Send(0, Ping{10});
  const auto pong = machine_->Expect<Pong>(0);
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->sequence, 10U);
}

// S7: text of an error is user code's too.
TEST_F(ExhaustionTest, ErrorsAreCutToTheirLimits) {
  const auto number = Python(
      "Long = type('E' * 100000, (Exception,), {})\ndef handler(event, context):\n  raise Long('m' * 10000000)\n");
  const Ran ended = RunIn(number, {}, 60'000);
  EXPECT_EQ(ended.status, Status::kError);
  EXPECT_EQ(ended.error_type, std::string(kMaxIdentifierBytes, 'E'));
  EXPECT_EQ(ended.error_message, std::string(kMaxErrorMessageBytes, 'm'));
  EXPECT_EQ(ended.log_tail.size(), kMaxLogTailBytes);
}

// S8
TEST_F(ExhaustionTest, DescriptorsAreCounted) {
  const std::string code = Program("opens_descriptors.py");
  const Ran ended = RunIn(Python(code));
  EXPECT_EQ(ended.output, "1020") << ended.error_message << ended.log_tail;
  EXPECT_EQ(RunIn(Native("ulimit -Hn\nulimit -c\n")).output, "1024\n0\n");
}

}  // namespace
}  // namespace hearth::guest
