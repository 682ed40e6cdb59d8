#include "guest/agent/zygote.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "guest/agent/fields.h"
#include "guest/agent/sandbox.h"

namespace hearth::guest {

Result<Zygote> Zygote::Start(const std::string& seccomp_program) {
  auto control = MakeSocketPair(SOCK_SEQPACKET);
  if (!control) return std::unexpected(control.error());
  auto filter = MakeSealedFile(seccomp_program);
  if (!filter) return std::unexpected(filter.error());
  const pid_t pid = fork();
  if (pid < 0) return FailErrno("fork");
  if (pid == 0) {
    // Above 4 first: either could be 3 or 4 itself.
    const int control_fd = fcntl(control->theirs.get(), F_DUPFD, 10);
    const int filter_fd = fcntl(filter->get(), F_DUPFD, 10);
    dup2(control_fd, 3);
    dup2(filter_fd, 4);
    close_range(5, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (chroot(kRuntimeRoot) != 0 || chdir("/") != 0) _exit(126);
    const char* const arguments[] = {"/usr/bin/python3", "-I", "-B", "/usr/lib/hearth/python3/zygote.py", nullptr};
    // Memory is asked of the kernel in large pieces and not given back: each time costs a first run some thousand
    // instructions that an emulated machine has not translated yet.
    const char* const environment[] = {"LANG=C.UTF-8", "PATH=/usr/bin", "MALLOC_TOP_PAD_=1048576",
                                       "MALLOC_TRIM_THRESHOLD_=67108864", nullptr};
    execve(arguments[0], const_cast<char* const*>(arguments), const_cast<char* const*>(environment));
    _exit(127);
  }
  return Zygote(pid, std::move(control->ours));
}

Result<void> Zygote::Fork(const std::vector<std::string_view>& fields, const std::vector<int>& fds) {
  const auto packet = EncodeFields(fields);
  if (!packet) return std::unexpected(packet.error());
  return SendWithFds(control_, *packet, fds);
}

Result<std::vector<ZygoteReport>> Zygote::Receive() {
  std::vector<ZygoteReport> reports;
  std::array<char, 256> packet{};
  for (;;) {
    const ssize_t n = recv(control_.get(), packet.data(), packet.size(), 0);
    if (n < 0 && errno == EAGAIN) return reports;
    if (n <= 0) return Fail(Code::kUnavailable, "the python3 zygote is gone");
    FieldsReader reader;
    if (!reader.Feed({packet.data(), static_cast<std::size_t>(n)}))
      return Fail(Code::kInternal, "the python3 zygote speaks nonsense");
    const auto fields = reader.Next();
    if (!fields || fields->size() != 2) return Fail(Code::kInternal, "the python3 zygote speaks nonsense");
    reports.push_back(
        {static_cast<std::uint32_t>(std::strtoul((*fields)[0].c_str(), nullptr, 10)), std::atoi((*fields)[1].c_str())});
  }
}

}  // namespace hearth::guest
