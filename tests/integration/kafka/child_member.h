// A member of a group in a process of its own, which a test can freeze or kill.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <utility>

namespace hearth::kafka {

// Runs frozen_member.cc.
class ChildMember {
 public:
  ChildMember(const std::string& bootstrap, const std::string& group, const std::string& topic,
              const std::string& instance = "") {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    EXPECT_EQ(pipe2(in.data(), O_CLOEXEC) + pipe2(out.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::array<std::string, 5> words{HEARTH_FROZEN_MEMBER, bootstrap, group, topic, instance};
    std::array<char*, 6> arguments{words[0].data(), words[1].data(), words[2].data(),
                                   words[3].data(), words[4].data(), nullptr};
    EXPECT_EQ(posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, arguments.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    orders_ = in[1];
    answers_ = fdopen(out[0], "r");
  }
  ~ChildMember() {
    Kill();
    close(orders_);
    std::fclose(answers_);
  }
  ChildMember(const ChildMember&) = delete;
  ChildMember& operator=(const ChildMember&) = delete;

  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  void Stop() const { kill(pid_, SIGSTOP); }
  void GoOn() const { kill(pid_, SIGCONT); }
  void Order() const { EXPECT_EQ(write(orders_, "\n", 1), 1); }
  // Its next line. Blocks; empty at its end.
  std::string Answer() {
    std::array<char, 64> line{};
    if (std::feof(answers_) != 0 || std::ferror(answers_) != 0) return "";
    if (std::fgets(line.data(), line.size(), answers_) == nullptr) return "";
    const std::string word(line.data());
    return word.substr(0, word.find('\n'));
  }

 private:
  pid_t pid_ = -1;
  int orders_ = -1;
  FILE* answers_ = nullptr;
};

}  // namespace hearth::kafka
