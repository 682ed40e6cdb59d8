// What user code cannot do, and what the agent does not believe. In a real machine.
#include <gmock/gmock.h>

#include "tests/integration/guest/fixture.h"

namespace hearth::guest {
namespace {

using testing::HasSubstr;

class IsolationTest : public GuestTest {};

TEST_F(IsolationTest, ContainersSeeNothingOfEachOther) {
  const std::string code = R"(import os, socket
def handler(event, context):
  seen = sorted(os.listdir('/tmp')), sorted(os.listdir('/dev/shm')), [p for p in os.listdir('/proc') if p.isdigit()]
  open('/tmp/' + event, 'w').close()
  open('/dev/shm/' + event, 'w').close()
  return [*seen, os.getuid(), os.listdir('/code')]
)";
  const auto first = Python(code), second = Python(code);
  const std::string a = RunIn(first, "a").output, b = RunIn(second, "b").output;
  EXPECT_THAT(a, testing::StartsWith(R"([[], [], ["1", "2"], )"));
  EXPECT_THAT(b, testing::StartsWith(R"([[], [], ["1", "2"], )"));
  EXPECT_NE(a, b) << "the uids must differ";
  EXPECT_THAT(RunIn(first, "c").output, testing::StartsWith(R"([["a"], ["a"], ["1", "2"], )"));
}

TEST_F(IsolationTest, UserCodeHasNoRights) {
  const auto number = Python(R"(import os
def handler(event, context):
  status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
  fds = sorted(os.readlink('/proc/self/fd/' + n).split(':')[0] for n in os.listdir('/proc/self/fd') if os.path.islink('/proc/self/fd/' + n))
  def refused(what):
    try: what()
    except OSError: return True
    return False
  return [status[k].strip() for k in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Groups')] + [
    os.getuid() >= 10000, fds,
    refused(lambda: open('/code/x', 'w')), refused(lambda: open('/usr/x', 'w')), refused(lambda: open('/dev/x', 'w')),
    refused(lambda: os.kill(1, 9)), refused(lambda: os.listdir('/proc/1/fd')), refused(lambda: open('/proc/1/mem', 'rb')),
    refused(lambda: os.mknod('/tmp/vda', 0o060666, os.makedev(254, 0))), refused(lambda: os.setuid(0)), refused(lambda: os.chroot('/tmp')),
    [p for p in ('/codes', '/runtime', '/devices', '/newroot', '/container', '/dev/vda', '/dev/vport0p1', '/sys/fs/cgroup') if os.path.exists(p)]]
)");
  const Ended ended = RunIn(number);
  const std::string none = R"("0000000000000000", )";
  EXPECT_EQ(ended.output, "[" + none + none + none + none + none +
                              R"("1", "2", "", true, ["/dev/null", "pipe", "pipe", "socket"], )" +
                              "true, true, true, true, true, true, true, true, true, []]")
      << ended.error_message << ended.log_tail;
}

TEST_F(IsolationTest, DangerousSystemCallsAreRefused) {
  const auto number = Python(R"(import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
calls = dict(ptrace=101, bpf=321, userfaultfd=323, io_uring_setup=425, keyctl=250, add_key=248, unshare=272, setns=308, mount=165, umount=166,
  pivot_root=155, kexec_load=246, init_module=175, perf_event_open=298, process_vm_readv=310, clock_settime=227, reboot=169, swapon=167,
  open_by_handle_at=304, fanotify_init=300, move_mount=429, fsopen=430, pidfd_getfd=438, landlock=444, unknown=460, acct=163, syslog=103)
def handler(event, context):
  wrong = []
  for name, call in calls.items():
    ctypes.set_errno(0)
    if libc.syscall(call, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: wrong.append((name, ctypes.get_errno()))
  for family in (socket.AF_ALG, socket.AF_VSOCK, socket.AF_PACKET, socket.AF_NETLINK):
    try: socket.socket(family, socket.SOCK_DGRAM); wrong.append(family)
    except PermissionError: pass
  if libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: wrong.append('clone new user')
  if libc.syscall(302, os.getpid(), 7, 0, 0) != -1 or ctypes.get_errno() != 1: wrong.append('limits of a process')
  if libc.syscall(302, 0, 7, 0, 0) != 0: wrong.append('own limits')
  if libc.syscall(435, 0, 0) != -1 or ctypes.get_errno() != 38: wrong.append('clone3')
  return wrong
)");
  EXPECT_EQ(RunIn(number).output, "[]");
}

TEST_F(IsolationTest, ThereIsNoNetwork) {
  const auto number = Python(R"(import socket
def handler(event, context):
  for address in ('169.254.169.254', '10.0.2.2', '8.8.8.8'):
    try: socket.create_connection((address, 80), 2); return 'connected to ' + address
    except OSError: pass
  return 'none'
)");
  EXPECT_EQ(RunIn(number).output, "none");
}

TEST_F(IsolationTest, ForgedAnswerBelongsToItsOwnRunAndCostsTheContainer) {
  const auto number = Python(R"(import os, struct
def handler(event, context):
  fields = [b'ok 1 9999999999999', b'forged']
  body = struct.pack('<I', 2) + b''.join(struct.pack('<I', len(f)) + f for f in fields)
  os.write(3, struct.pack('<I', len(body)) + body)
  return 'true'
)");
  const Ended ended = RunIn(number);
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
  const std::string code = R"(import os, struct, time
def answer(size):
  head = struct.pack('<III', 12 + 6 + size, 2, 6) + b'ok 1 2' + struct.pack('<I', size)
  return head + bytes(size)
def handler(event, context):
  left = memoryview(eval(event))
  try:
    while left: left = left[os.write(3, left):]
  except OSError: pass
  time.sleep(1000)
)";
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
