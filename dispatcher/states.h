// The states of batches on their topic (schemas/batch_state.h), read whole when a partition is taken over. Loop thread
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/compacted.h"
#include "common/loop/loop.h"
#include "dispatcher/core/events.h"

namespace hearth::dispatcher {

// In memory, of one partition, while its states are read: 100,000 of usual ones, which take a kilobyte each.
constexpr std::size_t kMostStateBytes = 128U << 20;
constexpr std::size_t kStatesATurn = 256;  // that are decoded in one turn of the loop: some milliseconds

struct StoredStates {
  std::vector<StatesRead::State> states;  // by batch
  std::size_t lacking = 0;                // left out, because all take too many bytes
  std::size_t unreadable = 0;             // left out too
  std::string why;                        // the first of these is unreadable, with its key
};

struct StateTopic {
  std::string bootstrap;
  std::string client_id;
  std::string topic;
  std::int64_t silence_ms = 5000;  // reading that gets nothing for so long is given up
  std::size_t most_bytes = kMostStateBytes;
};

class StateStore {
 public:
  using Told = std::function<void(Result<StoredStates>)>;

  StateStore(Loop& loop, const StateTopic& topic);
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // The states in the partition of that number, up to its end, which is asked for after the call: the last of each
  // batch, without those that have a tombstone. Told once, never before the call has returned.
  //
  // Where they take more than `most_bytes`, the ones that were written longest ago are left out: a take-over does not
  // wait for them. A batch that runs is not among them, for its state is written over and over. Whoever asks takes a
  // batch that lacks for one of which nothing was written.
  //
  // Its errors are those of kafka::CompactedReader::ReadPartition, but for kExhausted, which does not come.
  void Read(std::int32_t partition, Told done);

  // Records whose keys name no batch, or whose values are too long, each time that they were met. Any thread.
  [[nodiscard]] std::int64_t strange() const { return reader_.left_out(); }

 private:
  struct Decoding {
    kafka::CompactedValues found;
    std::size_t next = 0;
    StoredStates stored;
    Told done;
  };
  void Decode(std::shared_ptr<Decoding> decoding);

  Loop& loop_;
  kafka::CompactedReader reader_;
  std::shared_ptr<StateStore*> self_;  // what is posted finds it gone once the store is
};

}  // namespace hearth::dispatcher
