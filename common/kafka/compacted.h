// Reads what a compacted topic says now of one group of keys: the last value of each. All records of a group are in one
// partition of the topic, which the group's name and the topic's number of partitions choose. The library's calls for
// it block, so they are made in a thread of its own and answered on the loop. Loop thread only.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/handle.h"

namespace hearth::kafka {

constexpr std::int64_t kMostReadMs = 60'000;  // of one round of reading

// The partition that Kafka's own clients choose for a key, where the topic has so many.
std::int32_t PartitionOfKey(std::string_view key, std::int32_t partitions);

struct KeyedValue {
  std::string key;
  std::string value;
};

struct CompactedTopic {
  std::string bootstrap;
  std::string client_id;
  std::string topic;
  std::size_t most_keys = 1;       // of a group
  std::int64_t silence_ms = 5000;  // reading that gets nothing for so long is given up
};

class CompactedReader {
 public:
  // The group that a record belongs to; nothing: it is left out, and counted. Called in the reader's thread.
  using GroupOf = std::function<std::optional<std::string>(std::string_view key, std::size_t value_bytes)>;
  using Told = std::function<void(Result<std::vector<KeyedValue>>)>;
  using Counted = std::function<void(Result<std::int32_t>)>;

  CompactedReader(Loop& loop, CompactedTopic topic, GroupOf group_of);
  // Waits for the call under way, for some seconds at most; nothing is told any more.
  ~CompactedReader();
  CompactedReader(const CompactedReader&) = delete;
  CompactedReader& operator=(const CompactedReader&) = delete;

  // Told once, never before the call has returned: what is on the topic up to its end, which is asked for after the
  // call; in the order of the keys, without those whose last value is empty. Only what is committed is read.
  // kNotFound: no such topic. kUnavailable: nothing came for `silence_ms`, or the whole took kMostReadMs; also where an
  // open transaction of somebody hides what is behind it. kExhausted: the group has more than `most_keys`.
  void Read(const std::string& group, Told told);
  // How many partitions the topic has. Told once, never before the call has returned. kNotFound, kUnavailable.
  void Count(Counted counted);

  // Records that Read met and that no group has, each time that it met them. Any thread.
  [[nodiscard]] std::int64_t left_out() const { return left_out_; }

 private:
  struct Question {
    std::uint64_t ticket = 0;
    std::string group;
  };
  void Work();
  Result<std::int32_t> AskCount(Client& client);
  void Answer(std::uint64_t ticket, Result<std::vector<KeyedValue>> values);

  Loop& loop_;
  const CompactedTopic topic_;
  const GroupOf group_of_;
  std::shared_ptr<CompactedReader*> self_;  // what is posted finds it gone once the reader is
  std::map<std::uint64_t, Told> told_;      // by ticket
  std::vector<Counted> counted_;
  std::uint64_t last_ticket_ = 0;

  std::atomic<std::int64_t> left_out_ = 0;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Question> questions_;  // guarded by mutex_
  bool count_wanted_ = false;        // guarded by mutex_
  std::thread thread_;               // the last member: it uses the others
};

}  // namespace hearth::kafka
