// What a function and its caller see: results, errors, limits, logs. In a real machine.
#include <gmock/gmock.h>

#include "tests/integration/guest/fixture.h"

namespace hearth::guest {
namespace {

using testing::HasSubstr;

class RuntimeTest : public GuestTest {};

TEST_F(RuntimeTest, SaysHelloWithBothRuntimes) {
  EXPECT_EQ(hello_.protocol, kProtocolVersion);
  EXPECT_THAT(hello_.runtimes, testing::ElementsAre("python3", "native"));
  EXPECT_EQ(hello_.boot_nonce.size(), 32U);
  EXPECT_EQ(configured_.nonce.size(), 32U);
  EXPECT_NE(configured_.nonce, hello_.boot_nonce);
  EXPECT_GT(hello_.memory_bytes, 400LL << 20);
}

TEST_F(RuntimeTest, PythonKeepsItsStateFromRunToRun) {
  const auto number = Python(
      "count = 0\ndef handler(event, context):\n  global count\n  count += 1\n  print('run', count)\n  return "
      "{'count': count, 'event': event}\n");
  const Ran first = RunIn(number, R"({"a": [1, null]})");
  EXPECT_EQ(first.status, Status::kOk) << first.error_message << first.log_tail;
  EXPECT_EQ(first.output, R"({"count": 1, "event": {"a": [1, null]}})");
  EXPECT_EQ(first.log_tail, "run 1\n");
  EXPECT_EQ(first.log_bytes, 6);
  EXPECT_TRUE(first.reusable);
  EXPECT_GT(first.start_us, 0);
  EXPECT_GT(first.memory_peak_bytes, 0);
  const Ran second = RunIn(number, "not json");
  EXPECT_EQ(second.output, R"({"count": 2, "event": "not json"})");
  EXPECT_EQ(second.log_tail, "run 2\n");
}

TEST_F(RuntimeTest, PythonLearnsItsInvocation) {
  const auto number = Python(Program("tells_its_invocation.py"));
  const Ran ended = RunIn(number);
  EXPECT_EQ(ended.output,
            R"([")" + ended.id.str() + R"(", "alice/app", 7, 2, 128, true, true, "blue", "alice/app", 1800])")
      << ended.log_tail;
}

TEST_F(RuntimeTest, PythonGivesBytesBackAsTheyAre) {
  const auto number = Python(
      "def handler(event, context):\n  return event if isinstance(event, bytes) else b'\\x00' + event.encode()\n");
  EXPECT_EQ(RunIn(number, "\xff\xfe").output, "\xff\xfe");
  EXPECT_EQ(RunIn(number, "x").output, std::string("\0x", 2));
}

TEST_F(RuntimeTest, PythonExceptionIsAnErrorAndTheContainerLives) {
  const auto number = Python("def handler(event, context):\n  raise ValueError('no ' + event)\n");
  const Ran ended = RunIn(number, "good");
  EXPECT_EQ(ended.status, Status::kError);
  EXPECT_EQ(ended.error_type, "ValueError");
  EXPECT_EQ(ended.error_message, "no good");
  EXPECT_THAT(ended.log_tail, HasSubstr("app.py"));
  EXPECT_TRUE(ended.reusable);
  EXPECT_EQ(RunIn(number, "again").error_message, "no again");
}

TEST_F(RuntimeTest, ModuleThatDoesNotLoadIsAnErrorOfTheRun) {
  const auto number = Python("import nothing_of_this_name\n");
  const Ran ended = RunIn(number);
  EXPECT_EQ(ended.status, Status::kError);
  EXPECT_EQ(ended.error_type, "ImportError");
  EXPECT_THAT(ended.error_message, HasSubstr("nothing_of_this_name"));
  const auto syntax = Python("def handler(:\n");
  EXPECT_EQ(RunIn(syntax).error_type, "ImportError");
  const auto missing = Python("x = 1\n");
  EXPECT_EQ(RunIn(missing).error_type, "ImportError");
}

TEST_F(RuntimeTest, ReturnsNothing) {
  EXPECT_EQ(RunIn(Python("def handler(event, context):\n  pass\n")).output, "null");
  const Ran native = RunIn(Native("exit 0\n"));
  EXPECT_EQ(native.status, Status::kOk);
  EXPECT_EQ(native.output, "");
  EXPECT_TRUE(native.reusable);
}

TEST_F(RuntimeTest, NativeReadsStdinAndWritesStdout) {
  const auto number = Native("echo told >&2\necho $HEARTH_INVOCATION_ID $HEARTH_ATTEMPT $COLOUR\ncat\n");
  const std::string payload(700'000, 'p');
  for (int i = 0; i < 2; ++i) {
    const Ran ended = RunIn(number, payload);
    EXPECT_EQ(ended.status, Status::kOk) << ended.error_message;
    EXPECT_EQ(ended.output, ended.id.str() + " 2 blue\n" + payload);
    EXPECT_EQ(ended.log_tail, "told\n");
    EXPECT_TRUE(ended.reusable);
    EXPECT_GT(ended.start_us, 0);
  }
}

// The next attempt's process waits in the container before it is asked for: what it was made with is not what it is
// sent.
TEST_F(RuntimeTest, NativeLearnsEachInvocationAnew) {
  const auto number = Native(
      "echo $HEARTH_INVOCATION_ID $HEARTH_CONTENT_TYPE $TRACEPARENT $COLOUR\n"
      "env | grep -c -e ^HEARTH_ATTEMPT= -e ^LD_\ncat\n");
  for (int i = 0; i < 3; ++i) {
    guest::Run run = MakeRun("in " + std::to_string(i), 20'000);
    run.content_type = std::string("text/plain\0LD_PRELOAD=/tmp/x", 28);  // no way to a variable of the caller's choice
    run.traceparent = "trace-" + std::to_string(i);
    machine_->Send(number, run);
    const auto ended = ExpectEnded(number);
    ASSERT_TRUE(ended) << ended.error().message;
    EXPECT_EQ(ended->output, run.id.str() + " text/plain " + run.traceparent + " blue\n1\n" + run.input);
    EXPECT_TRUE(ended->reusable);
  }
}

// Byte code that comes with the source is what runs: here it differs from its source, to be seen.
TEST_F(RuntimeTest, ByteCodeOfTheArchiveIsTaken) {
  const auto compiler = Python(Program("compiles_byte_code.py"));
  const std::string byte_code = RunIn(compiler).output;
  ASSERT_GT(byte_code.size(), 16U);
  const std::string source = "def handler(event, context): return 'source'";
  for (const auto& [version, output] : {std::pair("311", "byte code"), {"310", "source"}}) {
    const std::string name = std::string("__pycache__/app.cpython-") + version + ".pyc";
    const auto code = StoreFiles({{"app.py", source}, {name, byte_code}});
    EXPECT_EQ(RunIn(MakeContainer(Runtime::kPython3, code)).output, output);
  }
}

TEST_F(RuntimeTest, PythonAnswersAndTakesAllThatIsJson) {
  const auto number = Python(Program("answers_json.py"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(RunIn(number, " {\"a\": [1.5, \"\u00e4\"]}\n").output, R"({"is": {"a": [1.5, "ä"]}, "attempt": 2})");
    EXPECT_EQ(RunIn(number, "1 2").output, R"({"is": "1 2", "attempt": 2})");
    EXPECT_EQ(RunIn(number, "{\"a\":").output, R"({"is": "{\"a\":", "attempt": 2})");
    EXPECT_EQ(RunIn(number, "odd").error_type, "TypeError");
    EXPECT_EQ(RunIn(number, "self").error_type, "ValueError") << "a circle";
    EXPECT_EQ(RunIn(number, "nan").error_type, "ValueError");
    EXPECT_EQ(RunIn(number, std::string(100'000, '[')).status, Status::kOk) << "too deep is text";
  }
}

TEST_F(RuntimeTest, Exit137) {
  const Ran native = RunIn(Native("exit 137\n"));
  EXPECT_EQ(native.status, Status::kError);
  EXPECT_EQ(native.error_type, "exit");
  EXPECT_EQ(native.error_message, "exit code 137");
  for (const char* how : {"sys.exit(137)", "os._exit(137)"}) {
    const auto number = Python(std::string("import os, sys\ndef handler(event, context):\n  ") + how + "\n");
    const Ran python = RunIn(number);
    EXPECT_EQ(python.status, Status::kError);
    EXPECT_EQ(python.error_type, "exit");
    EXPECT_EQ(python.error_message, "exit code 137");
    EXPECT_FALSE(python.reusable);
    ExpectGone(number);
  }
}

// What starts a native program stays when the program ends all that it can.
TEST_F(RuntimeTest, NativeMayEndAllThatItCan) {
  const auto number =
      Native("sleep 1000000 &\nfor s in TERM HUP INT USR1 CHLD; do kill -$s -1; done\nwait\necho done\n");
  for (int i = 0; i < 2; ++i) {
    const Ran ended = RunIn(number);
    EXPECT_EQ(ended.output, "done\n") << ended.error_message;
    EXPECT_TRUE(ended.reusable);
  }
}

TEST_F(RuntimeTest, NativeKilledBySignalOrNotThere) {
  const Ran killed = RunIn(Native("kill -SEGV $$\n"));
  EXPECT_EQ(killed.error_type, "signal");
  EXPECT_EQ(killed.error_message, "killed by signal 11");
  const Ran absent = RunIn(MakeContainer(Runtime::kNative, "#!/bin/no-such-shell\n"));
  EXPECT_EQ(absent.status, Status::kError);
  EXPECT_EQ(absent.error_type, "exec");
  EXPECT_THAT(absent.error_message, HasSubstr("No such file"));
}

TEST_F(RuntimeTest, SleepsForEver) {
  for (const auto number :
       {Python("import time\ndef handler(event, context):\n  print('in', flush=True)\n  time.sleep(1e6)\n"),
        Native("echo in >&2\nsleep 1000000\n")}) {
    const Ran ended = RunIn(number, {}, 1500);
    EXPECT_EQ(ended.status, Status::kTimeout);
    EXPECT_EQ(ended.error_type, "timeout");
    EXPECT_EQ(ended.log_tail, "in\n");
    EXPECT_GE(ended.total_us, 1'500'000);
    EXPECT_LT(ended.total_us, 4'000'000);
    EXPECT_FALSE(ended.reusable);
    ExpectGone(number);
  }
}

TEST_F(RuntimeTest, BusyForEverWhileTheAgentAnswers) {
  const auto number = Python("def handler(event, context):\n  while True: pass\n");
  machine_->Send(number, MakeRun({}, 3000));
  const auto before = std::chrono::steady_clock::now();
  machine_->Send(0, Ping{41});
  const auto pong = machine_->Expect<Pong>(0, Millis(2000));
  ASSERT_TRUE(pong) << pong.error().message;
  EXPECT_EQ(pong->sequence, 41U);
  EXPECT_LT(std::chrono::steady_clock::now() - before, Millis(2000));
  const auto ended = ExpectEnded(number);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->status, Status::kTimeout);
  EXPECT_GT(ended->cpu_us, 1'000'000);
  ExpectGone(number);
}

TEST_F(RuntimeTest, EatsMemory) {
  const auto python =
      Python("def handler(event, context):\n  eaten = []\n  while True: eaten.append(bytearray(1 << 20))\n", 64);
  const auto native = Native("x=0123456789abcdef\nwhile true; do x=$x$x; done\n", 64);
  for (const auto number : {python, native}) {
    const Ran ended = RunIn(number);
    EXPECT_EQ(ended.status, Status::kOom) << ended.error_type << ended.error_message;
    EXPECT_EQ(ended.error_type, "out_of_memory");
    EXPECT_LE(ended.memory_peak_bytes, 65LL << 20);
    ExpectGone(number);
  }
  // /tmp is memory too.
  const auto files = Native("dd if=/dev/zero of=/tmp/fill bs=1M count=1000 2>&1\n", 64);
  EXPECT_NE(RunIn(files).status, Status::kOk);
}

TEST_F(RuntimeTest, ForksWithoutEnd) {
  const auto python = Python(
      "import os, time\ndef handler(event, context):\n  while True:\n    if os.fork() == 0: time.sleep(1000)\n", 256);
  const auto native = Native("bomb() { bomb | bomb & }\nbomb\nwhile true; do bomb; done\n");
  for (const auto number : {python, native}) {
    const Ran ended = RunIn(number, {}, 10'000);
    EXPECT_NE(ended.status, Status::kOk);
    EXPECT_FALSE(ended.reusable);
    ExpectGone(number);
  }
  EXPECT_EQ(RunIn(Native("echo alive\n")).output, "alive\n");
}

TEST_F(RuntimeTest, PrintsOneGibibyte) {
  const auto number = Python(
      "import sys\nblock = 'x' * (1 << 20)\ndef handler(event, context):\n  for _ in range(1024): "
      "sys.stdout.write(block)\n  print('end')\n");
  const Ran ended = RunIn(number, {}, 60'000);
  EXPECT_EQ(ended.status, Status::kOk) << ended.error_message;
  EXPECT_EQ(ended.log_bytes, (1LL << 30) + 4);
  EXPECT_EQ(ended.log_tail.size(), kMaxLogTailBytes);
  EXPECT_TRUE(ended.log_tail.ends_with("xend\n"));
  EXPECT_TRUE(ended.reusable);
}

TEST_F(RuntimeTest, OutputBeyondTheLimit) {
  const auto python = Python("def handler(event, context):\n  return 'x' * int(event)\n");
  EXPECT_EQ(RunIn(python, std::to_string(kMaxOutputBytes)).output.size(), kMaxOutputBytes);
  EXPECT_EQ(RunIn(python, std::to_string(kMaxOutputBytes + 1)).error_type, "result_too_large");
  const auto native = Native("yes flood\n");
  const Ran ended = RunIn(native);
  EXPECT_EQ(ended.status, Status::kError);
  EXPECT_EQ(ended.error_type, "result_too_large");
  ExpectGone(native);
}

TEST_F(RuntimeTest, ProcessLeftBehindCondemnsTheContainer) {
  const auto python =
      Python("import subprocess\ndef handler(event, context):\n  subprocess.Popen(['sleep', '1000'])\n  return 1\n");
  const auto native = Native("sleep 1000 &\necho 1\n");
  for (const auto number : {python, native}) {
    const Ran ended = RunIn(number);
    EXPECT_EQ(ended.status, Status::kOk) << ended.error_message << ended.log_tail;
    EXPECT_FALSE(ended.reusable);
    ExpectGone(number);
  }
}

TEST_F(RuntimeTest, PythonRunsProgramsAndThreads) {
  const auto number = Python(Program("runs_programs_and_threads.py"));
  const Ran ended = RunIn(number);
  EXPECT_EQ(ended.output, R"([14, "in", 42])") << ended.error_message << ended.log_tail;
  EXPECT_TRUE(ended.reusable);
}

TEST_F(RuntimeTest, RemoveKillsWhatRuns) {
  const auto number = Python("import time\ndef handler(event, context):\n  time.sleep(1e6)\n");
  machine_->Send(number, MakeRun({}, 60'000));
  machine_->Send(number, Remove{});
  ExpectGone(number);
  machine_->Send(number, Remove{});
  ExpectGone(number);
  machine_->Send(number, MakeRun({}, 1000));
  ExpectGone(number);
}

}  // namespace
}  // namespace hearth::guest
