#include "executor/machines/process.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hearth::executor {

Process::Process(pid_t pid)
    : handle_(pid > 0 && pid != getpid() ? static_cast<int>(syscall(SYS_pidfd_open, pid, 0)) : -1) {}

void Process::Kill() const {
  if (handle_) syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
}

}  // namespace hearth::executor
