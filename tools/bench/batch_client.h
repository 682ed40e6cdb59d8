// What a client of batches does on the topics of OwnStack: it writes items and a spec, and follows states. Blocks; one
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/partition_reader.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "tools/bench/load_functions.h"
#include "tools/bench/own_stack.h"

namespace hearth::bench {

constexpr const char* kBatchItemsTopic = "hearth.bench.batch.items";
constexpr const char* kBatchesTopic = "hearth.bench.batches";
constexpr const char* kBatchStateTopic = "hearth.bench.batch.state";
constexpr const char* kBatchResultsTopic = "hearth.bench.batch.results";

// A partition, read from where it ends when this is opened.
class TopicWatch {
 public:
  static Result<TopicWatch> Open(const std::string& bootstrap, const PartitionId& partition);
  // The next record; nothing at the end, or after `timeout_ms`.
  Result<std::optional<Record>> Next(std::int64_t timeout_ms);
  // Reads until nothing comes for half a second.
  Result<void> Drain();
  // Of keys and values that were read.
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  kafka::PartitionReader& reader() { return reader_; }

 private:
  explicit TopicWatch(kafka::PartitionReader reader) : reader_(std::move(reader)) {}
  kafka::PartitionReader reader_;
  std::int64_t bytes_ = 0;
};

// Batches of one function.
class BatchClient {
 public:
  // States count from here on.
  static Result<BatchClient> Open(const std::string& bootstrap, LoadClient& client, LoadFunction function);

  // The partition that everything of the user's batches lies in.
  [[nodiscard]] std::int32_t home() const { return home_; }
  [[nodiscard]] BatchRef Ref(const std::string& id) const { return {UserId(function_.user), BatchId(id)}; }
  // Returns when they are durable. `told`: now and then, how many are sent. kDeadline: they do not become durable.
  Result<ItemSource> WriteItems(const std::string& id, std::int64_t items, std::size_t payload_bytes,
                                const std::function<void(std::int64_t)>& told = {});
  Result<void> Submit(const std::string& id, std::int64_t total, ItemSource source);
  // Reads what has been said of the batch since; does not wait. True: it has ended.
  Result<bool> LookAtState(const std::string& id, const std::function<void(const BatchState&)>& told = {});
  // The last one that LookAtState has read.
  [[nodiscard]] const BatchState& state() const { return state_; }
  // Of all states of the partition that were read.
  [[nodiscard]] std::int64_t state_bytes() const { return states_.bytes(); }

 private:
  BatchClient(std::string bootstrap, LoadClient& client, LoadFunction function, std::int32_t home, TopicWatch states)
      : bootstrap_(std::move(bootstrap)),
        client_(client),
        function_(std::move(function)),
        home_(home),
        states_(std::move(states)) {}

  std::string bootstrap_;
  LoadClient& client_;
  LoadFunction function_;
  std::int32_t home_;
  TopicWatch states_;
  BatchState state_;
};

// A stack whose machines are simulated and have room for any number of containers, for batches.
std::vector<OwnExecutor> BatchExecutors(int executors, int credit, const std::string& run);

}  // namespace hearth::bench
