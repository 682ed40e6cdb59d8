// The python3 zygote: an interpreter started once, which forks a process into a container for each Create. This is the
// agent's end of its control socket (guest/runtime/python3/zygote.py is the other).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "guest/agent/sys.h"

namespace hearth::guest {

struct ZygoteReport {
  std::uint32_t container = 0;
  int wait_status = 0;  // as waitpid gives it
};

class Zygote {
 public:
  // Starts the interpreter chrooted to the image. It need not be ready yet.
  static Result<Zygote> Start(const std::string& seccomp_program);

  [[nodiscard]] int fd() const { return control_.get(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

  // `fields` as zygote.py reads them; `fds`: the holder's pidfd, cgroup.procs, the run socket, the log pipe.
  Result<void> Fork(const std::vector<std::string_view>& fields, const std::vector<int>& fds);
  // All reports that have come. An error: the zygote is gone, and so is the machine's use.
  Result<std::vector<ZygoteReport>> Receive();

 private:
  Zygote(pid_t pid, Fd control) : pid_(pid), control_(std::move(control)) {}

  pid_t pid_ = -1;
  Fd control_;
};

}  // namespace hearth::guest
