// hearth-agent: PID 1 of a hearth machine. Boots, starts the runtimes, and serves the executor until the machine ends.
#include <signal.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <memory>

#include "guest/agent/agent.h"
#include "guest/agent/boot.h"
#include "guest/agent/seccomp.h"

namespace hearth::guest {
namespace {

Error Serve() {
  if (auto done = PrepareMachine(); !done) return done.error();
  auto filter = BuildSeccompProgram();
  if (!filter) return filter.error();
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, nullptr);
  Fd child_signals(signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!child_signals) return FailErrno("signalfd").error();
  auto home = Home::Open();
  if (!home) return home.error();
  auto zygote = Zygote::Start(*filter);
  if (!zygote) return zygote.error();
  auto port = OpenPort();
  if (!port) return port.error();
  Agent agent(std::move(*port), std::move(child_signals),
              Services{*filter, nullptr, kContainerCgroups, std::move(*home), {}},
              std::make_unique<Zygote>(std::move(*zygote)));
  return agent.Loop();
}

}  // namespace
}  // namespace hearth::guest

int main() {
  if (getpid() != 1) {
    constexpr char kText[] = "hearth-agent is PID 1 of a hearth machine and runs nowhere else\n";
    (void)!write(2, kText, sizeof kText - 1);
    return 2;
  }
  hearth::guest::OpenStandardDescriptors();
  const hearth::Error error = hearth::guest::Serve();
  hearth::guest::Note(error.message);
  reboot(RB_POWER_OFF);  // the executor sees the machine end
  return 1;
}
