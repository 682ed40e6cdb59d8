#include "tools/hearth/interrupts.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "tools/hearth/context.h"

namespace hearth::tool {
namespace {

constexpr int kExitBySignal = 128;

sigset_t Held() {
  sigset_t held;
  sigemptyset(&held);
  sigaddset(&held, SIGINT);
  sigaddset(&held, SIGTERM);
  return held;
}

}  // namespace

Interrupts::Interrupts() {
  const sigset_t held = Held();
  pthread_sigmask(SIG_BLOCK, &held, nullptr);
  signals_.Reset(signalfd(-1, &held, SFD_CLOEXEC));
  ending_.Reset(eventfd(0, EFD_CLOEXEC));
  thread_ = std::jthread([this] { Run(); });
}

Interrupts::~Interrupts() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(ending_.get(), &one, sizeof one);
  thread_.join();
  const sigset_t held = Held();
  pthread_sigmask(SIG_UNBLOCK, &held, nullptr);
}

void Interrupts::Mean(std::string text) {
  const std::scoped_lock lock(mutex_);
  text_ = std::move(text);
}

void Interrupts::TakeAway(std::function<void()> what) {
  const std::scoped_lock lock(mutex_);
  take_away_ = std::move(what);
}

void Interrupts::Run() {
  std::array<pollfd, 2> watched{{{signals_.get(), POLLIN, 0}, {ending_.get(), POLLIN, 0}}};
  while (poll(watched.data(), watched.size(), -1) < 0) {}
  signalfd_siginfo signal{};
  if (watched[0].revents == 0 || read(signals_.get(), &signal, sizeof signal) != sizeof signal) return;
  const std::scoped_lock lock(mutex_);
  if (take_away_) take_away_();
  if (isatty(STDERR_FILENO) != 0) std::fputs("\r\x1b[K", stderr);  // what tells of progress has a line there
  ReportUsage(text_);
  std::fflush(nullptr);
  _exit(kExitBySignal + static_cast<int>(signal.ssi_signo));
}

}  // namespace hearth::tool
