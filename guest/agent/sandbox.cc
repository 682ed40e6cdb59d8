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

#include "guest/agent/seccomp.h"

namespace hearth::guest {
namespace {

constexpr int kHolderTimeoutMs = 5000;
constexpr uid_t kHolderId = 999;

void BlockAllSignals(sigset_t* old) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, old);
}

bool Mount(const char* source, const std::string& target, const char* type, unsigned long flags,
           const std::string& options = {}) {
  return mount(source, target.c_str(), type, flags, options.empty() ? nullptr : options.c_str()) == 0;
}

// /etc/machine-id of this container alone: a file of its own over the image's empty one. It lies on the container's
// /tmp without a name there, root's, and read-only.
const char* MakeMachineId(const std::string& root, const std::string& machine_id) {
  const std::string file = root + "/tmp/.machine-id";
  const std::string text = machine_id + "\n";
  const Fd written(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!written || write(written.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return "machine-id";
  if (!Mount(file.c_str(), root + "/etc/machine-id", nullptr, MS_BIND)) return "/etc/machine-id";
  return unlink(file.c_str()) == 0 ? nullptr : "machine-id without a name";
}

// The container's root: the image, read-only, with the code in /code and a private /tmp.
const char* MakeRoot(const std::string& code_layer, std::int64_t memory_bytes, const Identity& identity) {
  const std::string root = kMountPoint;
  const std::string tmp_options = "mode=1777,size=" + std::to_string(std::min(memory_bytes, kMaxTmpBytes)) +
                                  ",nr_inodes=" + std::to_string(kMaxTmpFiles);
  constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV;
  if (!Mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE)) return "private mounts";
  // Of a read-only mount without set-user-id programs and devices, as this one is too.
  if (!Mount(kRuntimeRoot, root, nullptr, MS_BIND)) return "root";
  const std::string code = code_layer + "/code";
  if (!Mount(code.c_str(), root + "/code", nullptr, MS_BIND)) return "/code";
  if (!Mount(nullptr, root + "/code", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kSafe)) return "/code read-only";
  if (!Mount("tmp", root + "/tmp", "tmpfs", kSafe, tmp_options)) return "/tmp";
  if (const char* failed = MakeMachineId(root, identity.machine_id); failed != nullptr) return failed;
  if (!Mount(kDeviceRoot, root + "/dev", nullptr, MS_BIND)) return "/dev";
  if (!Mount(nullptr, root + "/dev", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC))
    return "/dev read-only";
  if (!Mount("shm", root + "/dev/shm", "tmpfs", kSafe | MS_NOEXEC, tmp_options)) return "/dev/shm";
  if (!Mount("proc", root + "/proc", "proc", kSafe | MS_NOEXEC | MS_RDONLY)) return "/proc";
  if (chdir(kMountPoint) != 0) return "chdir";
  // The old root comes to lie on top of the new one and is taken away: nothing of the agent's is left to see.
  if (syscall(SYS_pivot_root, ".", ".") != 0) return "pivot_root";
  if (umount2(".", MNT_DETACH) != 0) return "umount old root";
  if (chdir("/") != 0) return "chdir /";
  return nullptr;
}

const char* RaiseLoopback() {
  const Fd channel(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
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

[[noreturn]] void HolderMain(const std::string& code_layer, std::int64_t memory_bytes, const Identity& identity,
                             int report_fd) {
  const char* failed = MakeRoot(code_layer, memory_bytes, identity);
  if (failed == nullptr && sethostname(identity.hostname.data(), identity.hostname.size()) != 0) failed = "sethostname";
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

// Waits for the order and appends its variables, which lie in `order` from then on.
const char* AwaitOrder(int fd, std::string& order, std::vector<char*>& environment) {
  std::uint32_t size = 0;
  if (recv(fd, &size, sizeof size, MSG_WAITALL) != sizeof size) _exit(0);  // let go
  if (size > kMaxOrderBytes) return "order";
  order.resize(size);
  if (size > 0 && recv(fd, order.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size)) _exit(0);
  for (std::size_t at = 0; at < size; at += std::strlen(order.data() + at) + 1)
    environment.push_back(order.data() + at);
  environment.push_back(nullptr);
  return nullptr;
}

const char* EnterAndExecute(const Holder& holder, int cgroup_procs_fd, uid_t id, const std::string& seccomp_program,
                            const Command& command, std::vector<char*>& environment, Launch* launch) {
  if (write(cgroup_procs_fd, "0", 1) != 1) return "enter cgroup";
  if (setns(holder.pidfd.get(), CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) != 0)
    return "enter namespaces";
  setsid();
  if (dup2(command.stdin_fd, 0) < 0 || dup2(command.stdout_fd, 1) < 0 || dup2(command.stderr_fd, 2) < 0) return "dup2";
  // All of the agent's but the order's, which closes on exec: while it waits, this process holds nothing of others.
  const auto order_fd = static_cast<unsigned>(command.order_fd);
  if (order_fd < 3) return "order's descriptor";
  if ((order_fd > 3 && close_range(3, order_fd - 1, 0) != 0) || close_range(order_fd + 1, ~0U, 0) != 0)
    return "close_range";
  if (!Limit(RLIMIT_NOFILE, kMaxOpenFiles) || !Limit(RLIMIT_CORE, 0) ||
      !Limit(RLIMIT_FSIZE, static_cast<rlim_t>(kMaxTmpBytes)))
    return "rlimit";
  if (const char* failed = DropRights(id); failed != nullptr) return failed;
  if (chdir("/code") != 0) return "chdir /code";
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!InstallSeccompProgram(seccomp_program)) return "seccomp";
  std::string order;
  if (const char* failed = AwaitOrder(command.order_fd, order, environment); failed != nullptr) return failed;
  launch->start_us = MonotonicMicros();
  const char* const arguments[] = {command.path.c_str(), nullptr};
  execve(command.path.c_str(), const_cast<char* const*>(arguments), environment.data());
  return "execute";
}

}  // namespace

Result<Holder> StartHolder(const std::string& code_layer, std::int64_t memory_bytes, const Identity& identity) {
  auto report = MakePipe();
  if (!report) return std::unexpected(report.error());
  constexpr unsigned long kFlags =
      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD | SIGCHLD;
  int pidfd = -1;
  const auto pid = static_cast<pid_t>(syscall(SYS_clone, kFlags, nullptr, &pidfd, nullptr, nullptr));
  if (pid < 0) return FailErrno("clone");
  if (pid == 0) HolderMain(code_layer, memory_bytes, identity, report->theirs.get());
  Holder holder{pid, Fd(pidfd)};
  report->theirs.Reset();
  pollfd wait{report->ours.get(), POLLIN, 0};
  char answer[128] = {};
  ssize_t n = 0;
  if (poll(&wait, 1, kHolderTimeoutMs) == 1) n = read(report->ours.get(), answer, sizeof answer - 1);
  if (n == 1 && answer[0] == '+') return holder;
  kill(pid, SIGKILL);  // reaped by the agent's loop, which knows no such container and forgets it
  return Fail(Code::kInternal, n > 0 ? "container: " + std::string(answer) : "container: its holder did not answer");
}

Result<pid_t> Spawn(const Holder& holder, int cgroup_procs_fd, uid_t id, const std::string& seccomp_program,
                    const Command& command, Launch* launch) {
  *launch = Launch();
  std::vector<char*> environment;
  for (const auto& entry : command.environment) environment.push_back(const_cast<char*>(entry.c_str()));
  const Fd self(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  // The agent's next child is born in the container's PID namespace, and still is the agent's to reap.
  if (!self || setns(holder.pidfd.get(), CLONE_NEWPID) != 0) return FailErrno("enter PID namespace");
  sigset_t old;
  BlockAllSignals(&old);
  const pid_t pid = fork();
  if (pid == 0) {
    const char* failed = EnterAndExecute(holder, cgroup_procs_fd, id, seccomp_program, command, environment, launch);
    launch->error = errno;
    std::strncpy(launch->step, failed, sizeof launch->step - 1);
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

Result<void> SendOrder(const Fd& order, const std::vector<std::string>& environment) {
  std::string bytes(sizeof(std::uint32_t), '\0');
  for (const auto& entry : environment) {
    bytes += entry.c_str();  // up to a zero byte, which would begin another variable
    bytes += '\0';
  }
  const std::size_t size = bytes.size() - sizeof(std::uint32_t);
  if (size > kMaxOrderBytes) return Fail(Code::kExhausted, "the invocation's own variables are too long");
  const auto head = static_cast<std::uint32_t>(size);
  std::memcpy(bytes.data(), &head, sizeof head);
  if (send(order.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
    return FailErrno("order");
  return {};
}

}  // namespace hearth::guest
