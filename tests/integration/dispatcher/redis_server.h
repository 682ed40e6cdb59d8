// A redis-server of a test's own: on a Unix socket in a folder that goes with it.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/redis/blocking.h"

namespace hearth::dispatcher {

class RedisServer {
 public:
  RedisServer() {
    std::string pattern = "/tmp/hearth-r-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~RedisServer() {
    Kill();
    std::filesystem::remove_all(folder_);
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // `accounts`: the content of an ACL file; empty: everybody may do all.
  void Start(const std::string& accounts = {}) {
    if (!accounts.empty()) std::ofstream(folder_ + "/users.acl") << accounts;
    std::string program = "redis-server";
    std::string words[] = {program,
                           "--port",
                           "0",
                           "--unixsocket",
                           Socket(),
                           "--save",
                           "",
                           "--appendonly",
                           "no",
                           "--dir",
                           folder_,
                           "--logfile",
                           folder_ + "/log",
                           "--aclfile",
                           accounts.empty() ? "" : folder_ + "/users.acl"};
    char* arguments[std::size(words) + 1] = {};
    for (std::size_t i = 0; i < std::size(words); ++i) arguments[i] = words[i].data();
    if (posix_spawnp(&pid_, "redis-server", nullptr, nullptr, arguments, environ) != 0) abort();
  }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
    unlink(Socket().c_str());
  }
  void Freeze() const { kill(pid_, SIGSTOP); }
  void Thaw() const { kill(pid_, SIGCONT); }

  [[nodiscard]] std::string Socket() const { return folder_ + "/redis.sock"; }
  [[nodiscard]] std::string Address() const { return "unix:" + Socket(); }

  // What Redis answers; an answer of kNil where it cannot be asked.
  redis::Value Ask(const std::vector<std::string>& words) const {
    auto client = redis::BlockingClient::Connect(Address(), 5000);
    if (!client) return {};
    auto answer = client->Command(words);
    return answer ? *answer : redis::Value{};
  }

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace hearth::dispatcher
