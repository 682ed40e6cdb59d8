#include "guest/agent/channel.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace hearth::guest {
namespace {

constexpr std::size_t kMaxDrainBytes = 1U << 20;  // of a log pipe at once: a flood must not hold the loop

}  // namespace

void Channel::AddPolls(std::vector<pollfd>& fds, std::vector<Source>& sources) const {
  if (runtime_) {
    fds.push_back({runtime_.get(), POLLIN, 0});
    sources.push_back(Source::kRuntime);
  }
  if (log_) {
    fds.push_back({log_.get(), POLLIN, 0});
    sources.push_back(Source::kLog);
  }
}

void Channel::Close() {
  runtime_.Reset();
  log_.Reset();
}

void Channel::DrainLog() {
  std::array<char, 65536> block;  // not zeroed: that would cost more than most reads
  for (std::size_t drained = 0; log_ && drained < kMaxDrainBytes;) {
    const ssize_t n = read(log_.get(), block.data(), block.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      log_.Reset();
      return;
    }
    log_tail_.Append({block.data(), static_cast<std::size_t>(n)});
    drained += static_cast<std::size_t>(n);
  }
}

Answer DescribeExit(int wait_status) {
  Answer answer;
  if (WIFSIGNALED(wait_status)) {
    answer.type = "signal";
    answer.message = "killed by signal " + std::to_string(WTERMSIG(wait_status));
  } else {
    answer.type = "exit";
    answer.message = "exit code " + std::to_string(WEXITSTATUS(wait_status));
  }
  return answer;
}

}  // namespace hearth::guest
