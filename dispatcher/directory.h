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
constexpr std::int64_t kDirectoryWatchMs = 1000;      // the epoch of Redis, and who the executors are
constexpr std::int64_t kDirectoryExpiryMs = 3000;     // of the dispatcher's own record
constexpr std::int64_t kDirectoryRetryMs = 200;       // after a write that failed
constexpr std::size_t kMaxDirectoryBacklog = 10'000;  // commands without an answer; beyond it slots wait here

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
    std::int64_t waiting = 0;  // slots that Redis has not confirmed
    std::int64_t lag_ms = 0;   // age of the oldest of them
    std::int64_t commands = 0;
    std::int64_t refused = 0;  // writes that a newer epoch had overtaken
  };
  // What the dispatcher says of itself: the hash di:<id>, which expires unless it is renewed, and its place in di:idx.
  struct Self {
    DispatcherId id;
    std::string http;  // HOST:PORT
  };
  // `library`: another functions library than hearth's own, for tests.
  Directory(Loop& loop, const std::string& redis, Self self, Callbacks callbacks, std::string library = {});

  void Write(const ExecutorId& executor, const link::Slot& slot, std::int64_t fence);
  void DropExecutor(const ExecutorId& executor);
  void Load(const UserId& user);
  void Leave();  // takes its own record out, best effort
  [[nodiscard]] Numbers Read() const;

 private:
  struct Entry {
    ExecutorId executor;
    link::Slot slot;
    std::int64_t fence = 0;
    std::int64_t revision = 0;  // of this copy: tells whether an answer is about what is known now
  };
  using Sent = std::vector<std::pair<std::string, std::int64_t>>;  // slot id and revision
  using Key = std::pair<UserId, std::string>;                      // user and slot id
  void Mark(const Key& key);
  void Flush();
  void FlushUser(const UserId& user, const std::vector<std::string>& slots);
  void Written(const UserId& user, const Sent& sent, const Result<redis::Value>& answer);
  void LoadLibrary();
  void Watch();
  void Announce();
  void TakeEpoch(const std::string& epoch);
  void RewriteAll();

  const Self self_;
  const Callbacks callbacks_;
  const std::string library_;
  std::map<Key, Entry> known_;             // the working copy; kGone stays until Redis confirmed it
  std::set<Key> dirty_;                    // to be sent with the next tick
  std::map<Key, std::int64_t> unwritten_;  // not confirmed yet, since when (monotonic, µs)
  std::int64_t revisions_ = 0;
  std::int64_t retry_at_us_ = 0;
  std::string epoch_;  // sys:epoch as last seen
  std::int64_t refused_ = 0;
  Timer flush_;
  Timer watch_;
  redis::Client client_;
};

}  // namespace hearth::dispatcher
