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
    const Ended ended = RunIn(number, input, timeout_ms);
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

// Shared by the snippets: what an attempt came to.
const std::string kTry = R"(import ctypes, errno, os, signal, socket, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
  ctypes.set_errno(0)
  return libc.syscall(number, *arguments), ctypes.get_errno()
def attempt(what):
  try: return what() or 'done'
  except OSError as error: return errno.errorcode[error.errno]
)";

// S1: the channel, the agent's process, the holder that is PID 1 here, and signals to whatever can be named.
TEST_F(BoundaryTest, TheAgentIsOutOfReach) {
  const auto neighbour = Python("def handler(event, context):\n  return 'here'\n");
  const auto number = Python(kTry + R"(
def handler(event, context):
  wrong = []
  def refused(name, what, *how):
    got = attempt(what)
    if got not in how: wrong.append([name, got])
  devices = sorted(os.listdir('/dev'))
  if devices != ['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']: wrong.append(devices)
  processes = sorted(int(p) for p in os.listdir('/proc') if p.isdigit())
  if processes != [1, os.getpid()]: wrong.append(processes)
  if open('/proc/1/comm').read() != 'holder\n': wrong.append(open('/proc/1/comm').read())
  for major in (5, 10, 229, *range(234, 255)):
    refused('node', lambda: os.mknod('/tmp/node', 0o020666, os.makedev(major, 1)), 'EPERM')
  for name in ('mem', 'environ', 'maps', 'auxv', 'stack', 'syscall'):
    refused(name, lambda: open('/proc/1/' + name, 'rb').read(1), 'EACCES', 'EPERM', 'ENOENT')
  for name in ('root', 'cwd', 'exe'):
    refused(name, lambda: os.readlink('/proc/1/' + name), 'EACCES', 'EPERM')
    refused(name + '/', lambda: os.listdir('/proc/1/' + name + '/'), 'EACCES', 'EPERM', 'ENOTDIR')
  refused('fd', lambda: os.listdir('/proc/1/fd'), 'EACCES', 'EPERM')
  for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
    refused('kill', lambda: os.kill(1, number), 'EPERM')
    refused('pidfd', lambda: signal.pidfd_send_signal(os.pidfd_open(1), number), 'EPERM')
  for name, number, arguments in (('ptrace', 101, (16, 1, 0, 0)), ('seize', 101, (0x4206, 1, 0, 0)), ('read', 310, (1, 0, 0, 0, 0, 0)),
      ('write', 311, (1, 0, 0, 0, 0, 0)), ('getfd', 438, (os.pidfd_open(1), 0, 0)), ('kcmp', 312, (1, 1, 0, 0, 0))):
    if call(number, *arguments) != (-1, errno.EPERM): wrong.append(name)
  refused('all', lambda: os.kill(-1, signal.SIGKILL), 'ESRCH', 'EPERM')  # nobody else is there to be killed
  refused('unix', lambda: [line for line in open('/proc/net/unix').read().splitlines()[1:] if ' @' in line or '/' in line] and 'named', 'done')
  return wrong
)");
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
  const auto number = Python(R"(import os
def handler(event, context):
  for fd in (1, 2): os.write(fd, event)
  os.write(3, event)
  return 1
)");
  machine_->Send(number, MakeRun(frame + std::string(1, '\xff'), 20'000));  // no text, so that it arrives as bytes
  const auto ended = machine_->Expect<Ended>(number);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->status, Status::kError) << ended->error_type;
  ExpectGone(number);
  EXPECT_EQ(RunIn(victim).output, "whole");
  machine_->Send(0, Ping{78});
  EXPECT_TRUE(machine_->Expect<Pong>(0)) << "and not Configured";
}

// S2: what one function leaves in its container, another function of the same user does not find.
TEST_F(BoundaryTest, AnotherFunctionFindsNothingOfTheFirst) {
  const auto first = Python(R"(import builtins, ctypes, json, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None)
kept = []
def handler(event, context):
  for folder in ('/tmp', '/dev/shm', '/var/tmp'):
    try: open(folder + '/left', 'w').write('left')
    except OSError: pass
  os.environ['LEFT'] = os.environ['LD_PRELOAD'] = '/tmp/left'
  builtins.LEFT = sys.LEFT = json.LEFT = 'left'
  json.dumps = lambda *a, **k: 'poisoned'
  json.JSONEncoder.encode = lambda *a: 'poisoned'
  sys.path.insert(0, '/tmp')
  os.umask(0)
  segment = libc.shmget(4711, 4096, 0o1666)
  queue = libc.msgget(4711, 0o1666)
  semaphore = libc.semget(4711, 1, 0o1666)
  for family, address in ((socket.AF_UNIX, '\0left'), (socket.AF_INET, ('127.0.0.1', 4711))):
    kept.append(socket.socket(family)); kept[-1].bind(address); kept[-1].listen()
  return [segment >= 0, queue >= 0, semaphore >= 0]
)");
  const Ended left = RunIn(first);
  ASSERT_EQ(left.status, Status::kOk) << left.error_message << left.log_tail;
  EXPECT_TRUE(left.reusable);
  const std::string look = R"(import builtins, ctypes, json, os, socket, sys
libc = ctypes.CDLL(None)
def handler(event, context):
  found = [folder for folder in ('/tmp', '/dev/shm', '/var/tmp') if os.listdir(folder)]
  found += [name for name in ('LEFT', 'LD_PRELOAD') if name in os.environ]
  found += [place.__name__ for place in (builtins, sys, json) if hasattr(place, 'LEFT')]
  if json.dumps(1) != '1' or '/tmp' in sys.path or os.umask(0o22) != 0o22: found.append('state')
  if libc.shmget(4711, 4096, 0) >= 0: found.append('segment')
  if libc.msgget(4711, 0) >= 0: found.append('queue')
  if libc.semget(4711, 1, 0) >= 0: found.append('semaphore')
  for family, address in ((socket.AF_UNIX, '\0left'), (socket.AF_INET, ('127.0.0.1', 4711))):
    if socket.socket(family).connect_ex(address) == 0: found.append(str(address))
  return found
)";
  EXPECT_EQ(Answer(Python(look)), json::array());
  const Ended native = RunIn(Native("env | grep -c -e LEFT -e PRELOAD; ls -A /tmp /dev/shm | grep -c left; umask\n"));
  EXPECT_EQ(native.output, "0\n0\n0022\n") << native.log_tail;
}

// S2: a process that outlives its run takes the container with it, however it hides.
TEST_F(BoundaryTest, NoProcessOutlivesItsContainer) {
  const std::string hide = R"(import os, signal, time
def handler(event, context):
  if os.fork() == 0:
    os.setsid()
    for number in range(1, 65):
      try: signal.signal(number, signal.SIG_IGN)
      except (OSError, ValueError): pass
    if os.fork() != 0: os._exit(0)
    for fd in range(3): os.close(fd)
    while True: time.sleep(100)
  os.wait()
  return 'left'
)";
  const auto number = Python(hide);
  const Ended ended = RunIn(number);
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
  const CodeHash code = StoreFiles({{"app.py", kTry + R"(
def handler(event, context):
  wrong = []
  for path in ('/code/app.py', '/proc/self/cwd/app.py', '/proc/self/root/code/app.py', '/proc/thread-self/cwd/app.py'):
    for name, what in (('append', lambda: open(path, 'a')), ('truncate', lambda: os.truncate(path, 0)), ('unlink', lambda: os.unlink(path)),
        ('rename', lambda: os.rename(path, path + '2')), ('chmod', lambda: os.chmod(path, 0o777)), ('utime', lambda: os.utime(path)),
        ('link', lambda: os.link(path, '/code/other')), ('symlink', lambda: os.symlink('/tmp/x', '/code/other')), ('mkdir', lambda: os.mkdir('/code/d')),
        ('chown', lambda: os.chown(path, os.getuid(), os.getgid())), ('setxattr', lambda: os.setxattr(path, 'user.x', b'x'))):
      got = attempt(what)
      if got not in ('EROFS', 'EACCES', 'EPERM', 'EXDEV', 'ENOTSUP'): wrong.append([path, name, got])
  import mmap
  with open('/code/app.py', 'rb') as file:
    got = attempt(lambda: mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
    if got != 'EACCES': wrong.append(['mmap', got])
    for name in ('/proc/self/fd/%d' % file.fileno(), '/dev/fd/%d' % file.fileno()):
      got = attempt(lambda: open(name, 'r+b'))
      if got not in ('EROFS', 'EACCES'): wrong.append([name, got])
  return wrong
)"}});
  EXPECT_EQ(Answer(Made(MakeCreate(code, "alice/app", 1))), json::array());
  EXPECT_EQ(Answer(Made(MakeCreate(code, "alice/app", 1))), json::array()) << "the next container of the same code";
}

// S9: lo alone, and it is the container's own; nothing outside can be named.
TEST_F(BoundaryTest, TheOnlyNetworkIsTheContainersOwnLoopback) {
  const std::string code = kTry + R"(
kept = []
def handler(event, context):
  wrong = []
  devices = [line.split(':')[0].strip() for line in open('/proc/net/dev').read().splitlines()[2:]]
  if devices != ['lo']: wrong.append(devices)
  routes = open('/proc/net/route').read().splitlines()[1:]
  if routes: wrong.append(routes)
  if os.path.exists('/sys/class/net') or os.path.exists('/dev/net/tun'): wrong.append('devices')
  hosts = ('169.254.169.254', '10.0.2.2', '10.0.2.3', '192.168.122.1', '172.17.0.1', '8.8.8.8', '255.255.255.255')
  for host in hosts:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
      for port in (53, 80, 443, 6379, 9092, 16509):
        with socket.socket(socket.AF_INET, kind) as s:
          got = attempt(lambda: s.connect((host, port)))
          if got not in ('ENETUNREACH', 'EACCES'): wrong.append([host, port, got])
  for host in ('fe80::1', '2001:4860:4860::8888', 'ff02::1'):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
      got = attempt(lambda: s.connect((host, 80, 0, 0)))
      if got not in ('ENETUNREACH', 'EADDRNOTAVAIL', 'EINVAL', 'EAFNOSUPPORT'): wrong.append([host, got])
  try: wrong.append(socket.getaddrinfo('example.org', 80))
  except OSError: pass
  for kind in (socket.SOCK_RAW,):
    got = attempt(lambda: socket.socket(socket.AF_INET, kind, 1))
    if got != 'EPERM': wrong.append(['raw', got])
  with socket.socket() as s:
    if s.connect_ex(('127.0.0.1', 4712)) == 0: wrong.append('a neighbour answers')
  kept.append(socket.create_server(('0.0.0.0', 4712)))
  return wrong
)";
  EXPECT_EQ(Answer(Python(code)), json::array());
  EXPECT_EQ(Answer(Python(code)), json::array()) << "beside the first, which listens";
}

// S10: what the kernel would offer, beyond the list in IsolationTest.DangerousSystemCallsAreRefused.
TEST_F(BoundaryTest, NoOtherDoorIntoTheKernel) {
  const auto number = Python(kTry + R"(
def handler(event, context):
  wrong = []
  calls = dict(clone_user=(56, 0x10000000 | 17, 0, 0, 0, 0), clone_net=(56, 0x40000000 | 17, 0, 0, 0, 0), personality=(135, 0xffffffff), iopl=(172, 3), ioperm=(173, 0, 1, 1),
    quotactl=(179, 0, 0, 0, 0), lookup_dcookie=(212, 0, 0, 0), request_key=(249, 0, 0, 0, 0), name_to_handle_at=(303, 0, 0, 0, 0, 0), finit_module=(313, 0, 0, 0),
    delete_module=(176, 0, 0), kexec_file_load=(320, 0, 0, 0, 0, 0), io_uring_enter=(426, 0, 0, 0, 0, 0), io_uring_register=(427, 0, 0, 0, 0), open_tree=(428, 0, 0, 0),
    fsmount=(432, 0, 0, 0), mount_setattr=(442, 0, 0, 0, 0, 0), process_madvise=(440, 0, 0, 0, 0, 0), migrate_pages=(256, 0, 0, 0, 0), move_pages=(279, 0, 0, 0, 0, 0, 0),
    settimeofday=(164, 0, 0), adjtimex=(159, 0), sethostname=(170, b'x', 1), setdomainname=(171, b'x', 1), vhangup=(153,), chroot=(161, b'/tmp'), swapoff=(168, 0),
    modify_ldt=(154, 0, 0, 0), seccomp=(317, 1, 0, 0), nfsservctl=(180,), uselib=(134, 0), vserver=(236,), set_mempolicy=(238, 0, 0, 0), fanotify_mark=(301, 0, 0, 0, 0, 0))
  for name, arguments in calls.items():
    got = call(*arguments)
    if got != (-1, errno.EPERM): wrong.append([name, got])
  for family in list(range(1, 46)):
    if family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6): continue
    got = attempt(lambda: socket.socket(family, socket.SOCK_DGRAM).close())
    if got != 'EPERM': wrong.append(['family', family, got])
  for number in (0, 1, 2): 
    if os.isatty(number): wrong.append('a terminal')
  status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
  for key, want in (('NoNewPrivs', '1'), ('Seccomp', '2'), ('Groups', ''), ('CapBnd', '0' * 16), ('CapAmb', '0' * 16)):
    if status[key].strip() != want: wrong.append([key, status[key]])
  return wrong
)");
  EXPECT_EQ(Answer(number), json::array());
  // Numbers of the other instruction sets' tables: the filter knows one table and kills for the rest.
  for (const char* code : {R"(\xb8\x14\x00\x00\x00\xcd\x80\xc3)" /* mov eax, 20; int 0x80; ret */,
                           R"(\xb8\x27\x00\x00\x40\x0f\x05\xc3)" /* mov eax, 0x40000027; syscall; ret */}) {
    const auto foreign = Python(std::string("import ctypes, mmap\ndef handler(event, context):\n"
                                            "  page = mmap.mmap(-1, 4096, prot=7)\n  page.write(b'") +
                                code +
                                "')\n  place = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
                                "  return ctypes.CFUNCTYPE(ctypes.c_int)(place)()\n");
    const Ended ended = RunIn(foreign);
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
  const Ended ended = RunIn(ends_it);
  EXPECT_EQ(ended.status, Status::kError);
  EXPECT_EQ(ended.error_message, "killed by signal 9");
  EXPECT_FALSE(ended.reusable);
  ExpectGone(ends_it);
}

// S10: the doors by which containers were left before: the program's own file, descriptors, /proc, links.
TEST_F(BoundaryTest, ProcAndLinksLeadNowhere) {
  const CodeHash code = StoreFiles({{"app.py", kTry + R"(
def handler(event, context):
  wrong = []
  def refused(name, what, *how):
    got = attempt(what)
    if got not in how: wrong.append([name, got])
  refused('own program', lambda: open('/proc/self/exe', 'r+b'), 'EROFS', 'ETXTBSY', 'EACCES')
  refused('interpreter', lambda: open(os.path.realpath('/usr/bin/python3'), 'r+b'), 'EROFS', 'EACCES')
  held = {os.readlink('/proc/self/fd/' + n).split(':')[0] for n in os.listdir('/proc/self/fd') if os.path.lexists('/proc/self/fd/' + n)}
  if not held <= {'/dev/null', 'pipe', 'socket', '/proc/%d/fd' % os.getpid(), '/proc/self/fd'}: wrong.append(sorted(held))
  if os.getcwd() != '/code' or os.readlink('/proc/self/root') != '/': wrong.append(os.getcwd())
  for link in ('/code/up', '/code/top', '/code/holder'):
    if sorted(os.listdir(os.path.join(link, ''))) != sorted(os.listdir('/')) if link != '/code/holder' else attempt(lambda: os.listdir(link + '/')) not in ('EACCES', 'EPERM'):
      wrong.append(link)
  for path in ('/proc/sys/kernel/core_pattern', '/proc/sys/kernel/hostname', '/proc/sysrq-trigger', '/proc/sys/vm/overcommit_memory', '/proc/sys/kernel/ns_last_pid',
      '/proc/self/uid_map', '/proc/1/oom_score_adj', '/proc/kcore', '/proc/kmsg', '/proc/kpageflags', '/proc/self/mem_of_nobody'):
    refused(path, lambda: open(path, 'r+b').write(b'x'), 'EROFS', 'EACCES', 'EPERM', 'ENOENT')
  refused('kmsg', lambda: open('/dev/kmsg', 'rb'), 'ENOENT')
  refused('mem', lambda: open('/dev/mem', 'rb'), 'ENOENT')
  refused('cgroup', lambda: os.listdir('/sys/fs/cgroup'), 'ENOENT')
  mounts = [line.split() for line in open('/proc/self/mountinfo')]
  for mount in mounts:
    options = mount[5].split(',')
    if 'nosuid' not in options or (mount[4] not in ('/tmp', '/dev/shm') and 'ro' not in options): wrong.append(mount[4:6])
    if mount[4] != '/dev' and 'nodev' not in options: wrong.append(['devices on', mount[4]])
    if any(field.startswith(('shared:', 'master:')) for field in mount[6:]): wrong.append(['propagates', mount[4]])
  for folder, _, files in os.walk('/usr'):
    for name in files:
      mode = os.lstat(os.path.join(folder, name)).st_mode
      if stat.S_ISREG(mode) and mode & 0o6000: wrong.append(['set-id', folder, name])
      if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode): wrong.append(['special', folder, name])
  return wrong
)"},
                                    {"up", "../../../..", '2'},
                                    {"top", "/", '2'},
                                    {"holder", "/proc/1/root", '2'}});
  EXPECT_EQ(Answer(Made(MakeCreate(code, "alice/app", 1)), {}, 60'000), json::array());
}

// S12: containers say who they are, each for itself, and draw different randomness.
TEST_F(BoundaryTest, EachContainerHasAnIdentityAndRandomnessOfItsOwn) {
  const std::string code = R"(import os, random, secrets, socket, tempfile, uuid
import ssl
def handler(event, context):
  machine = open('/etc/machine-id').read()
  try: open('/etc/machine-id', 'w'); machine += 'changed'
  except OSError: pass
  return [machine, socket.gethostname(), os.urandom(16).hex(), str(uuid.uuid4()), str(uuid.uuid1()), random.random(), secrets.token_hex(8),
          ssl.RAND_bytes(16).hex(), next(tempfile._get_candidate_names()), hex(id(object()))][:9]
)";
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
