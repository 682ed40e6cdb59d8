#include "guest/agent/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "guest/agent/seccomp.h"

namespace hearth::guest {
namespace {

constexpr int kHolderTimeoutMs = 5000;
constexpr std::size_t kProgramStackBytes = 32U << 10;  // before it executes
constexpr uid_t kHolderId = 999;
constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV;

void BlockAllSignals(sigset_t* old) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, old);
}

bool Mount(const char* source, const std::string& target, const char* type, unsigned long flags,
           const std::string& options = {}) {
  return mount(source, target.c_str(), type, flags, options.empty() ? nullptr : options.c_str()) == 0;
}

std::string TmpOptions(std::int64_t memory_bytes) {
  return "mode=1777,size=" + std::to_string(std::min(memory_bytes, kMaxTmpBytes)) +
         ",nr_inodes=" + std::to_string(kMaxTmpFiles);
}

// Puts `source` there, only to be read.
bool BindToRead(const std::string& source, const std::string& target, unsigned long flags) {
  return Mount(source.c_str(), target, nullptr, MS_BIND) &&
         Mount(nullptr, target, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | flags);
}

// The container's root: the image, read-only, with a private /tmp, and a machine id of its own over the image's.
const char* MakeRoot(const std::string& code_folder, const std::string& machine_id) {
  const std::string root = kMountPoint;
  const std::string tmp_options = TmpOptions(kEmptyMemoryBytes);
  if (!Mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE)) return "private mounts";
  // Of a read-only mount without set-user-id programs and devices, as this one is too.
  if (!Mount(kRuntimeRoot, root, nullptr, MS_BIND)) return "root";
  if (!BindToRead(code_folder, root + "/code", kSafe)) return "/code";
  if (!BindToRead(machine_id, root + "/etc/machine-id", kSafe | MS_NOEXEC)) return "/etc/machine-id";
  if (!Mount("tmp", root + "/tmp", "tmpfs", kSafe, tmp_options)) return "/tmp";
  if (!BindToRead(kDeviceRoot, root + "/dev", MS_NOSUID | MS_NOEXEC)) return "/dev";
  if (!Mount("shm", root + "/dev/shm", "tmpfs", kSafe | MS_NOEXEC, tmp_options)) return "/dev/shm";
  if (!Mount("proc", root + "/proc", "proc", kSafe | MS_NOEXEC | MS_RDONLY)) return "/proc";
  if (chdir(kMountPoint) != 0) return "chdir";
  // The old root comes to lie on top of the new one and is taken away: nothing of the agent's is left to see.
  if (syscall(SYS_pivot_root, ".", ".") != 0) return "pivot_root";
  if (umount2(".", MNT_DETACH) != 0) return "umount old root";
  if (chdir("/") != 0) return "chdir /";
  return nullptr;
}

// The step of furnishing that failed, or null. Inside the container's UTS namespace, and in its mount namespace where
// there is code to attach or space to change.
const char* FurnishInside(const Fd& code, std::int64_t memory_bytes, const Identity& identity) {
  if (code && move_mount(code.get(), "", AT_FDCWD, "/code", MOVE_MOUNT_F_EMPTY_PATH) != 0) return "/code";
  if (sethostname(identity.hostname.data(), identity.hostname.size()) != 0) return "sethostname";
  if (memory_bytes == kEmptyMemoryBytes) return nullptr;
  const std::string options = TmpOptions(memory_bytes);
  if (!Mount(nullptr, "/tmp", nullptr, MS_REMOUNT | kSafe, options)) return "size of /tmp";
  if (!Mount(nullptr, "/dev/shm", nullptr, MS_REMOUNT | kSafe | MS_NOEXEC, options)) return "size of /dev/shm";
  return nullptr;
}

// The folder as a mount that can be attached anywhere, only to be read.
Result<Fd> OpenToRead(const std::string& folder) {
  Fd tree(open_tree(AT_FDCWD, folder.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return FailErrno("container: its code");
  mount_attr safe{};
  safe.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH, &safe, sizeof safe) != 0)
    return FailErrno("container: its code read-only");
  return tree;
}

const char* RaiseLoopback() {
  const Fd channel(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return channel && ioctl(channel.get(), SIOCSIFFLAGS, &request) == 0 ? nullptr : "loopback";
}

const char* DropRights(uid_t id) {
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) return "drop capabilities";
  }
  if (setgroups(0, nullptr) != 0) return "setgroups";
  if (setresgid(id, id, id) != 0) return "setresgid";
  if (setresuid(id, id, id) != 0) return "setresuid";  // from 0 to another: the capabilities go with it
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "no-new-privileges";
  return nullptr;
}

[[noreturn]] void HolderMain(const std::string& code_folder, const std::string& machine_id, int report_fd) {
  const char* failed = MakeRoot(code_folder, machine_id);
  if (failed == nullptr) failed = RaiseLoopback();
  if (failed == nullptr) failed = DropRights(kHolderId);
  if (failed != nullptr) {
    const std::string text = std::string(failed) + ": " + std::strerror(errno);
    (void)!write(report_fd, text.data(), text.size());
    _exit(1);
  }
  prctl(PR_SET_NAME, "holder");
  (void)!write(report_fd, "+", 1);
  close_range(0, ~0U, 0);
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  for (;;) {
    sigwaitinfo(&wanted, nullptr);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {}
  }
}

bool Limit(int resource, rlim_t value) {
  const rlimit limit{value, value};
  return setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
}

void NoteFailure(Launch* launch, const char* step) {
  launch->error = errno;
  std::strncpy(launch->step, step, sizeof launch->step - 1);
}

// The program's path and its environment, which lie in `bytes`, and a null at the end.
struct Order {
  std::vector<char> bytes = std::vector<char>(kMaxOrderBytes);
  std::vector<char*> parts;
};

// False where the agent let the container go.
bool AwaitOrder(int fd, Order& order) {
  const ssize_t n = recv(fd, order.bytes.data(), order.bytes.size(), 0);
  order.parts.clear();
  for (ssize_t at = 0; at < n; at += static_cast<ssize_t>(std::strlen(order.bytes.data() + at)) + 1)
    order.parts.push_back(order.bytes.data() + at);
  order.parts.push_back(nullptr);
  return n > 0;
}

// What the process of a program shares with the launcher until it executes the program.
struct Program {
  int orders_fd;
  Stdio stdio{};
  Order order;
  Launch* launch;
};

int RunProgram(void* argument) {
  auto& program = *static_cast<Program*>(argument);
  setsid();
  for (int fd = 0; fd < 3; ++fd) {
    if (dup2(program.stdio[static_cast<std::size_t>(fd)], fd) == fd) continue;
    NoteFailure(program.launch, "stdio");
    return 127;
  }
  program.launch->waiting = true;
  if (!AwaitOrder(program.orders_fd, program.order)) return 0;
  if (chdir("/code") == 0) {  // it is there now
    program.launch->start_us = MonotonicMicros();
    char* const* const parts = program.order.parts.data();
    char* const arguments[] = {parts[0], nullptr};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(arguments[0], arguments, parts + 1);
  }
  NoteFailure(program.launch, "execute");
  return 127;
}

void Launcher(int orders_fd, Launch* launch) {
  Program program{orders_fd, {}, {}, launch};
  const auto stack = std::make_unique_for_overwrite<char[]>(kProgramStackBytes);  // aligned as malloc does
  char word = 0;
  while (ReceiveWithFds(orders_fd, {&word, 1}, program.stdio)) {
    // In this memory, and this process stands still until the program is executed: nothing is copied.
    const pid_t pid = clone(RunProgram, stack.get() + kProgramStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, &program);
    if (pid < 0) return NoteFailure(launch, "fork");
    for (const int fd : program.stdio) close(fd);
    int wait_status = 0;
    if (waitpid(pid, &wait_status, 0) != pid) return NoteFailure(launch, "wait");
    if (send(orders_fd, &wait_status, sizeof wait_status, MSG_NOSIGNAL) != sizeof wait_status) return;
  }
}

const char* Enter(const Holder& holder, int cgroup_procs_fd, uid_t id, const std::string& seccomp_program,
                  int orders_fd) {
  if (write(cgroup_procs_fd, "0", 1) != 1) return "enter cgroup";
  if (setns(holder.pidfd.get(), CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) != 0)
    return "enter namespaces";
  setsid();
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) return "/dev/null";
  // All of the agent's but the orders', which closes on exec: this process holds nothing of others.
  const auto kept = static_cast<unsigned>(orders_fd);
  if (kept < 3) return "orders' descriptor";
  if ((kept > 3 && close_range(3, kept - 1, 0) != 0) || close_range(kept + 1, ~0U, 0) != 0) return "close_range";
  if (!Limit(RLIMIT_NOFILE, kMaxOpenFiles) || !Limit(RLIMIT_CORE, 0) ||
      !Limit(RLIMIT_FSIZE, static_cast<rlim_t>(kMaxTmpBytes)))
    return "rlimit";
  if (const char* failed = DropRights(id); failed != nullptr) return failed;
  // All signals stay blocked: a program that ends all that it can still gets its answer.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  // Neither traced nor read by user code, which has its uid. A program that is executed is its own again.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return "dumpable";
  prctl(PR_SET_NAME, "launcher");
  if (!InstallSeccompProgram(seccomp_program)) return "seccomp";
  return nullptr;
}

}  // namespace

Result<Holder> StartHolder(const std::string& code_folder, const std::string& scratch) {
  auto report = MakePipe();
  if (!report) return std::unexpected(report.error());
  Holder holder;
  holder.code_folder = code_folder;
  holder.machine_id.Reset(open(scratch.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!holder.machine_id) return FailErrno("container: machine-id");
  constexpr unsigned long kFlags =
      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD | SIGCHLD;
  int pidfd = -1;
  holder.pid = static_cast<pid_t>(syscall(SYS_clone, kFlags, nullptr, &pidfd, nullptr, nullptr));
  if (holder.pid == 0) HolderMain(code_folder, scratch, report->theirs.get());
  const int clone_errno = errno;
  char answer[128] = {};
  ssize_t n = 0;
  if (holder.pid > 0) {
    holder.pidfd.Reset(pidfd);
    report->theirs.Reset();
    pollfd wait{report->ours.get(), POLLIN, 0};
    if (poll(&wait, 1, kHolderTimeoutMs) == 1) n = read(report->ours.get(), answer, sizeof answer - 1);
  }
  unlink(scratch.c_str());
  if (n == 1 && answer[0] == '+') return holder;
  if (holder.pid < 0) {
    errno = clone_errno;
    return FailErrno("clone");
  }
  kill(holder.pid, SIGKILL);  // reaped by the agent's loop, which knows no such container and forgets it
  return Fail(Code::kInternal, n > 0 ? "container: " + std::string(answer) : "container: its holder did not answer");
}

Result<Home> Home::Open() {
  // PID 1 shares its root and its working directory with kernel threads, and nobody who shares them changes namespaces.
  if (unshare(CLONE_FS) != 0) return FailErrno("unshare the working directory");
  Home home{Fd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)), Fd(open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC))};
  if (!home.mounts || !home.uts) return FailErrno("open the agent's namespaces");
  return home;
}

Result<void> Furnish(const Holder& holder, const Home& home, const std::string& code_folder, std::int64_t memory_bytes,
                     const Identity& identity) {
  const std::string text = identity.machine_id + "\n";
  if (write(holder.machine_id.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return FailErrno("container: machine-id");
  Fd code;
  if (code_folder != holder.code_folder) {
    auto tree = OpenToRead(code_folder);
    if (!tree) return std::unexpected(tree.error());
    code = std::move(*tree);
  }
  const bool mounts = code || memory_bytes != kEmptyMemoryBytes;
  if (setns(holder.pidfd.get(), mounts ? CLONE_NEWNS | CLONE_NEWUTS : CLONE_NEWUTS) != 0)
    return FailErrno("container: enter it");
  const char* failed = FurnishInside(code, memory_bytes, identity);
  const int failed_errno = errno;
  if ((mounts && setns(home.mounts.get(), CLONE_NEWNS) != 0) || setns(home.uts.get(), CLONE_NEWUTS) != 0) std::abort();
  if (failed == nullptr) return {};
  errno = failed_errno;
  return FailErrno("container: " + std::string(failed));
}

Result<pid_t> StartLauncher(const Holder& holder, int cgroup_procs_fd, uid_t id, const std::string& seccomp_program,
                            int orders_fd, Launch* launch) {
  *launch = Launch();
  const Fd self(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  // The agent's next child is born in the container's PID namespace, and still is the agent's to reap.
  if (!self || setns(holder.pidfd.get(), CLONE_NEWPID) != 0) return FailErrno("enter PID namespace");
  sigset_t old;
  BlockAllSignals(&old);
  const pid_t pid = fork();
  if (pid == 0) {
    if (const char* failed = Enter(holder, cgroup_procs_fd, id, seccomp_program, orders_fd); failed != nullptr)
      NoteFailure(launch, failed);
    else
      Launcher(orders_fd, launch);
    _exit(127);
  }
  const int fork_errno = errno;
  sigprocmask(SIG_SETMASK, &old, nullptr);
  if (setns(self.get(), CLONE_NEWPID) != 0) std::abort();  // children would be born into a container
  if (pid < 0) {
    errno = fork_errno;
    return FailErrno("fork");
  }
  return pid;
}

Result<void> PrepareProgram(const Fd& orders, const Stdio& stdio) {
  return SendWithFds(orders, "+", stdio);
}

Result<void> SendOrder(const Fd& orders, const std::vector<std::string>& path_and_environment) {
  std::string bytes;
  for (const auto& entry : path_and_environment) {
    bytes += entry.c_str();  // up to a zero byte, which would begin another variable
    bytes += '\0';
  }
  if (bytes.size() > kMaxOrderBytes) return Fail(Code::kExhausted, "the environment is too long");
  if (send(orders.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
    return FailErrno("order");
  return {};
}

}  // namespace hearth::guest
