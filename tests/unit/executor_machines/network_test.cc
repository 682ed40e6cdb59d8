// A process that shares the executor's network, or has interfaces of its own, is found out.
#include "executor/machines/network.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace hearth::executor {
namespace {

// A process with the namespaces that `flags` name of its own; it waits to be ended.
class Process {
 public:
  explicit Process(int flags) {
    std::array<int, 2> told{};
    if (pipe(told.data()) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      const char apart = unshare(flags) == 0 ? 1 : 0;
      (void)!write(told[1], &apart, 1);
      for (;;) pause();
    }
    char apart = 0;
    apart_ = read(told[0], &apart, 1) == 1 && apart == 1;
    close(told[0]);
    close(told[1]);
  }
  ~Process() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool apart() const { return apart_; }

 private:
  pid_t pid_ = -1;
  bool apart_ = false;
};

TEST(MachineNetwork, AProcessInTheExecutorsNetworkIsFoundOut) {
  const Process process(0);
  EXPECT_NE(NetworkFault(process.pid()).find("share the executor's network"), std::string::npos);
  EXPECT_NE(NetworkFault(getpid()), "");
}

TEST(MachineNetwork, AProcessWithoutInterfacesIsFine) {
  const Process process(CLONE_NEWUSER | CLONE_NEWNET);
  if (!process.apart()) GTEST_SKIP() << "this host makes no namespaces for this account";
  EXPECT_EQ(NetworkFault(process.pid()), "");
}

TEST(MachineNetwork, WhatIsNotThereIsNotFine) {
  EXPECT_NE(NetworkFault(0x7fffffff).find("cannot be looked at"), std::string::npos);
}

}  // namespace
}  // namespace hearth::executor
