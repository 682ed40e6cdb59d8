// Reads pieces of partitions by position, outside of any group and beside its consumer. The library's calls for it
// block, so they are made in a thread of its own and answered on the loop. What a broker has sent beyond what was asked
// for is kept for a moment, and nothing is read ahead of that.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "common/loop/loop.h"
#include "schemas/record.h"

namespace hearth::kafka {

// A chunk ends with the record that brings its keys, values and headers to so many bytes. So much is also asked of a
// broker at once; a record that is larger comes alone.
constexpr std::int64_t kChunkBytes = 1 << 20;
// That a chunk is waited for.
constexpr std::int64_t kChunkTimeoutMs = 3000;
// That the rest of a chunk, of which fewer records were wanted than came, is kept for who reads on.
constexpr std::int64_t kChunkRestMs = 500;

struct Chunk {
  // From the offset that was asked for up to here, what is a record is in `records`. It may lie beyond the last record
  // by control records and aborted ones, and beyond the offset that was asked for where the log starts only later.
  std::int64_t next = 0;
  std::vector<std::shared_ptr<const Record>> records;  // by offset
};

class ChunkReader {
 public:
  // kUnavailable: nobody answered within kChunkTimeoutMs; to be asked again.
  // kInvalid: the offset lies beyond the end of the log.
  // kNotFound: the brokers know no such partition.
  using Told = std::function<void(Result<Chunk>)>;

  // Connects in its thread, so that the first chunk need not wait for that. kInvalid: the library refuses a setting.
  static Result<std::unique_ptr<ChunkReader>> Create(Loop& loop, const std::string& bootstrap,
                                                     const std::string& client_id);
  // Waits for the call under way, for some seconds at most; nothing is told any more. Loop thread only.
  ~ChunkReader();
  ChunkReader(const ChunkReader&) = delete;
  ChunkReader& operator=(const ChunkReader&) = delete;

  // What committed records there are from `offset` on, which is not negative, but no more than `most`, which is
  // positive. Empty only at the end of the partition. `told` is called once, on the loop, and may read on. One at a
  // time: aborts while reading(). Loop thread only.
  void Read(const PartitionId& partition, std::int64_t offset, std::int64_t most, Told told);
  // Asked, and not answered yet. Loop thread only.
  [[nodiscard]] bool reading() const { return reading_; }

 private:
  class Fetcher;
  struct Request {
    PartitionId partition;
    std::int64_t offset = 0;
    std::int64_t most = 0;
    Told told;
  };
  // Of which not all was wanted.
  struct Rest {
    PartitionId partition;
    std::int64_t offset = 0;
    Chunk chunk;
    std::int64_t until_us = 0;  // monotonic
  };

  ChunkReader(Loop& loop, Client client);
  void Work();
  Result<Chunk> ReadNow(const Request& request);

  Loop& loop_;
  bool reading_ = false;                                  // loop thread only
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // what is posted finds it gone with us
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Request> request_;    // guarded by mutex_
  std::atomic<bool> ending_ = false;  // set under mutex_
  std::unique_ptr<Fetcher> fetcher_;  // the thread's
  std::optional<Rest> rest_;          // the thread's
  std::thread thread_;
};

}  // namespace hearth::kafka
