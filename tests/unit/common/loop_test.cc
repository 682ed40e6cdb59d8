// The loop beside code that forks. libuv makes its signal pipe once in a process: this has to be the first loop of it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/loop/loop.h"
#include "common/loop/low_descriptors.h"

namespace hearth {
namespace {

constexpr int kDescriptors = 12;  // that libvirt might open

// As libvirt starts QEMU from within a process: fork, close all, open, fork again, use what was opened.
bool KeepsWhatItOpenedThroughASecondFork() {
  for (int fd = 3; fd < 1024; ++fd) close(fd);
  for (int fd = 3; fd < kDescriptors; ++fd) {
    if (dup(0) != fd) return false;
  }
  const pid_t child = fork();
  if (child == 0) {
    struct stat wanted{};
    fstat(0, &wanted);
    for (int fd = 3; fd < kDescriptors; ++fd) {
      struct stat found{};
      if (fstat(fd, &found) != 0 || found.st_ino != wanted.st_ino || found.st_dev != wanted.st_dev) _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(LoopTest, WhatAForkedChildHasOpenedIsNotClosedInAChildOfItsOwn) {
  const LowDescriptors low;
  const Loop loop;
  const pid_t child = fork();
  if (child == 0) _exit(KeepsWhatItOpenedThroughASecondFork() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(TurnEndTest, ComesAfterTimersAndAfterWhatWasPosted) {
  Loop loop;
  int open = 0;  // begun and not finished
  int most = 0;  // at one end
  const TurnEnd end(loop, [&] { most = std::max(most, std::exchange(open, 0)); });
  Timer timer(loop, [&] {
    ++open;
    loop.Post([&] { ++open; });
    loop.Post([&] { ++open; });
    loop.Post([&] { loop.Stop(); });
  });
  timer.StartOnce(0);
  loop.Run();
  EXPECT_EQ(open, 0) << "each is finished before the loop waits";
  EXPECT_EQ(most, 2) << "what came in one turn is finished at once";
}

}  // namespace
}  // namespace hearth
