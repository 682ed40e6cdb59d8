// The shared directory of warmth in Redis, written behind: what the core decides is coalesced for a few milliseconds
// and sent in one pipeline; nothing on the way of a request waits for it. Redis away, emptied or replaced costs nothing
// but the directory, which is written again from this dispatcher's own copy. Layout: docs/directory.md. Loop thread
// only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/loop/loop.h"
#include "common/redis/client.h"
#include "schemas/link.h"

namespace hearth::dispatcher {

constexpr std::int64_t kDirectoryFlushMs = 5;
constexpr std::int64_t kDirectoryWatchMs = 1000;   // the epoch of Redis, and who the executors are
constexpr std::int64_t kDirectoryExpiryMs = 3000;  // of the dispatcher's own record
constexpr std::int64_t kDirectoryLeaveMs = 500;
constexpr std::int64_t kDirectoryRetryMs = 200;       // after a write that failed
constexpr std::int64_t kDirectorySweepMs = 5000;      // between two batches of the reaper
constexpr std::int64_t kDirectoryReapMs = 30'000;     // an executor that Redis has not named for so long is gone
constexpr std::size_t kMaxSweepUsers = 64;            // looked at in one batch, those that were not for longest
constexpr std::size_t kMaxDirectoryBacklog = 10'000;  // commands without an answer; beyond it slots wait here

class Directory {
 public:
  struct Callbacks {
    std::function<void(bool up, const std::string& reason)> state;
    // What Redis has of the user: in answer to Load, and whenever the reaper has looked.
    std::function<void(UserId, std::vector<std::pair<ExecutorId, link::Slot>>)> loaded;
    std::function<void(std::vector<std::string>)> executors;  // addresses that Redis names now
    std::function<void(const std::string&)> alarm;
    // Whether other dispatchers write about the user too; told when it changes.
    std::function<void(UserId, bool shared)> shared;
    // Answer to Claim, once for each. Granted also where Redis cannot be asked: then the executor decides.
    std::function<void(UserId, ExecutorId, ContainerId, std::int64_t since_ms, bool granted)> claimed;
  };
  struct Numbers {
    bool up = false;
    std::int64_t waiting = 0;  // slots that Redis has not confirmed
    std::int64_t lag_ms = 0;   // age of the oldest of them
    std::int64_t commands = 0;
    std::int64_t refused = 0;  // writes about a slot of which something newer was known
    std::int64_t reaped = 0;   // slots of executors that were gone
  };
  // What the dispatcher says of itself: the hash di:<id>, which expires unless it is renewed, and its place in di:idx.
  struct Self {
    DispatcherId id;
    std::string http;         // HOST:PORT
    std::string decisions{};  // unix:PATH; empty: nowhere
  };
  struct Options {
    redis::Credentials credentials{};
    std::string library{};  // another functions library than hearth's own, for tests
    std::int64_t sweep_ms = kDirectorySweepMs;
    std::int64_t reap_ms = kDirectoryReapMs;
  };
  Directory(Loop& loop, const std::string& redis, Self self, Callbacks callbacks, Options options);

  void Write(const ExecutorId& executor, const link::Slot& slot);
  void DropExecutor(const ExecutorId& executor);
  void Load(const UserId& user);
  // That this dispatcher will use the container, idle since then: of several dispatchers one is granted it.
  void Claim(const UserId& user, const ExecutorId& executor, const ContainerId& container, std::int64_t since_ms);
  // Takes its own record out, then calls `done`, at the latest after kDirectoryLeaveMs.
  void Leave(std::function<void()> done);
  [[nodiscard]] Numbers Read() const;

 private:
  struct Entry {
    ExecutorId executor;
    link::Slot slot;
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
  void TakeExecutors(const std::vector<std::pair<std::string, std::string>>& addresses);
  void TakeOwners(const UserId& user, std::int64_t owners);
  void Sweep();
  void SweepUser(const std::string& user);
  [[nodiscard]] bool Gone(const std::string& executor, std::int64_t now_us) const;
  void RewriteAll();

  const Self self_;
  const Callbacks callbacks_;
  const Options options_;
  std::map<Key, Entry> known_;             // the working copy; kGone stays until Redis confirmed it
  std::set<Key> dirty_;                    // to be sent with the next tick
  std::map<Key, std::int64_t> unwritten_;  // not confirmed yet, since when (monotonic, µs)
  std::int64_t revisions_ = 0;
  std::int64_t retry_at_us_ = 0;
  std::string epoch_;  // sys:epoch as last seen
  std::int64_t refused_ = 0;
  std::int64_t reaped_ = 0;
  std::set<UserId> shared_;
  std::map<std::string, std::int64_t> executors_seen_us_;  // when Redis named it last
  std::int64_t up_since_us_ = 0;                           // of this connection and this content
  std::int64_t watched_us_ = 0;                            // the last whole answer about executors
  Timer flush_;
  Timer watch_;
  Timer sweep_;
  std::function<void()> left_;
  Timer give_up_;  // of leaving
  redis::Client client_;
};

}  // namespace hearth::dispatcher
