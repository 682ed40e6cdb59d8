// Reads what a compacted topic says now of a group of keys, or of all keys in one of its partitions: the last value of
// each. All records of a group are in one partition, which the group's name and the topic's number of partitions
// choose. The library's calls for it block, so they are made in a thread of its own and answered on the loop. Loop
// thread only.
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

constexpr std::int64_t kMostReadMs = 60'000;    // of one round of reading
constexpr std::size_t kBytesBesideValue = 128;  // that a value takes in memory beside its bytes and those of its key

// The partition that Kafka's own clients choose for a key, where the topic has so many.
std::int32_t PartitionOfKey(std::string_view key, std::int32_t partitions);

struct KeyedValue {
  std::string key;
  std::string value;
};

// What is known of a record by its key and its length.
struct KeyedRecord {
  std::string group;
  bool may_lack = false;  // a group that is too large is told without it
};

struct CompactedTopic {
  std::string bootstrap;
  std::string client_id;
  std::string topic;
  std::size_t most_bytes = 1;      // of one answer, while it is read: keys, values, and kBytesBesideValue for each
  std::int64_t silence_ms = 5000;  // reading that gets nothing for so long is given up
};

struct CompactedValues {
  std::vector<KeyedValue> values;  // in the order of the keys, without those whose last value is empty
  std::size_t lacking = 0;         // values that were left out to keep within `most_bytes`
};

class CompactedReader {
 public:
  // Nothing: the record is left out, and counted. Called in the reader's thread.
  using Look = std::function<std::optional<KeyedRecord>(std::string_view key, std::size_t value_bytes)>;
  using Told = std::function<void(Result<CompactedValues>)>;
  using Counted = std::function<void(Result<std::int32_t>)>;

  CompactedReader(Loop& loop, CompactedTopic topic, Look look);
  // Waits for the call under way, for some seconds at most; nothing is told any more.
  ~CompactedReader();
  CompactedReader(const CompactedReader&) = delete;
  CompactedReader& operator=(const CompactedReader&) = delete;

  // Told once, never before the call has returned: what is on the topic up to its end, which is asked for after the
  // call. Only what is committed is read. Where the values take more than `most_bytes`, those that may lack are left
  // out, the ones that were written longest ago first.
  // kNotFound: no such topic. kUnavailable: nothing came for `silence_ms`, or the whole took kMostReadMs; also where an
  // open transaction of somebody hides what is behind it. kExhausted: what may not lack takes more than `most_bytes`.
  void Read(const std::string& group, Told told);
  // The same of all groups in one partition of the topic. kNotFound: no such topic, or partition.
  void ReadPartition(std::int32_t partition, Told told);
  // How many partitions the topic has. Told once, never before the call has returned. kNotFound, kUnavailable.
  void Count(Counted counted);

  // Records that were met and left out as `look` said, each time that it met them. Any thread.
  [[nodiscard]] std::int64_t left_out() const { return left_out_; }

 private:
  struct Question {
    std::uint64_t ticket = 0;
    std::optional<std::string> group;  // none: all that are in the partition
    std::int32_t partition = 0;        // where there is no group
  };
  void Ask(Question question, Told told);
  void Work();
  Result<std::int32_t> AskCount(Client& client);
  void Answer(std::uint64_t ticket, Result<CompactedValues> values);

  Loop& loop_;
  const CompactedTopic topic_;
  const Look look_;
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
