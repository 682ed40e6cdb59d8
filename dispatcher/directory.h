// The shared directory of warmth in Redis, written behind: what the core decides is coalesced for a few milliseconds
// and sent in one pipeline; nothing on the way of a request waits for it. Redis away, emptied or replaced costs nothing
// but the directory, which is written again from this dispatcher's own copy. Layout: dispatcher/README.md. Loop thread
// only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/loop/loop.h"
#include "common/redis/client.h"
#include "schemas/link.h"

namespace hearth::dispatcher {

constexpr std::int64_t kDirectoryFlushMs = 5;
constexpr std::int64_t kDirectoryWatchMs = 1000;  // the epoch of Redis, and who the executors are
constexpr std::size_t kMaxDirectoryBacklog =
    100'000;  // slots that wait to be written; beyond it all is written again later

class Directory {
 public:
  struct Callbacks {
    std::function<void(bool up, const std::string& reason)> state;
    std::function<void(UserId, std::vector<std::pair<ExecutorId, link::Slot>>)> loaded;
    std::function<void(std::vector<std::string>)> executors;  // addresses that Redis names now
    std::function<void(const std::string&)> alarm;
  };
  struct Numbers {
    bool up = false;
    std::int64_t waiting = 0;  // slots that wait to be written
    std::int64_t lag_ms = 0;   // age of the oldest of them
    std::int64_t commands = 0;
    std::int64_t refused = 0;  // writes that a newer epoch had overtaken
  };
  Directory(Loop& loop, const std::string& redis, Callbacks callbacks);

  void Write(const ExecutorId& executor, const link::Slot& slot, std::int64_t fence);
  void DropExecutor(const ExecutorId& executor);
  void Load(const UserId& user);
  [[nodiscard]] Numbers Read() const;

 private:
  struct Entry {
    ExecutorId executor;
    link::Slot slot;
    std::int64_t fence = 0;
  };
  using Key = std::pair<UserId, std::string>;  // user and slot id
  void Mark(const Key& key);
  void Flush();
  void FlushUser(const UserId& user, const std::vector<std::string>& slots);
  void Watch();
  void TakeEpoch(const std::string& epoch);
  void RewriteAll();

  Loop& loop_;
  const Callbacks callbacks_;
  std::map<Key, Entry> known_;  // the working copy; kGone stays until it is written
  std::set<Key> dirty_;
  std::string epoch_;  // sys:epoch as last seen
  std::int64_t dirty_since_us_ = 0;
  std::int64_t refused_ = 0;
  Timer flush_;
  Timer watch_;
  redis::Client client_;
};

}  // namespace hearth::dispatcher
