// Where a user's batches are on Kafka, and what the topic hearth.batch.state says of them. Blocks; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/kafka/admin.h"
#include "common/kafka/partition_reader.h"
#include "schemas/batch.h"
#include "schemas/batch_state.h"
#include "schemas/batch_want.h"
#include "schemas/topics.h"
#include "tools/hearth/context.h"

namespace hearth::tool {

// The partition that everything of the user's batches lies in, in each of their topics. kNotFound: one of those that
// are needed is not there, or has not as many partitions as the others. Pure.
Result<std::int32_t> HomeIn(const std::vector<kafka::TopicInfo>& topics, const UserId& user,
                            std::initializer_list<Topic> needed);
// The same, of the topics that are there now. kUnavailable: Kafka is away.
Result<std::int32_t> FindHome(const Context& context, std::initializer_list<Topic> needed);
// All partitions of the topics of batches, the user's first: a client with another partitioner may have written a batch
// to one of the others, and it runs there. The errors of FindHome.
Result<std::vector<std::int32_t>> FindHomes(const Context& context, std::initializer_list<Topic> needed);

// The states of a partition, as they come.
class StateReader {
 public:
  struct Seen {
    BatchRef ref;
    std::optional<BatchState> state{};  // none: it was taken away, or
    std::string unreadable{};           // why nobody can read it
  };
  static Result<StateReader> Open(const Context& context, std::int32_t home);

  // All that is there now. kUnavailable: it does not come.
  Result<void> ReadAll(const std::function<void(Seen)>& told);
  // The next one; nothing: there is none, or none came in time. kUnavailable: the brokers are away, and may come back;
  // kNotFound: the topic is not there any more.
  Result<std::optional<Seen>> Next(std::int64_t timeout_ms);

 private:
  explicit StateReader(kafka::PartitionReader reader) : reader_(std::move(reader)) {}
  kafka::PartitionReader reader_;
};

// One batch: what is said of it now, and what is said of it later.
class BatchFollower {
 public:
  // Reads all that is there. kInvalid: nobody can read its state; and the errors of StateReader.
  static Result<BatchFollower> Open(const Context& context, std::int32_t home, BatchRef ref);

  [[nodiscard]] const BatchRef& ref() const { return ref_; }
  // Nothing: there is no such batch, or nobody has taken it.
  [[nodiscard]] const std::optional<BatchState>& state() const { return state_; }
  // Whether something was said of it that can be read. The errors of StateReader::Next.
  Result<bool> Next(std::int64_t timeout_ms);

 private:
  // False: it cannot be read, and what was said before stands.
  bool Take(StateReader::Seen seen);
  BatchFollower(StateReader reader, BatchRef ref) : reader_(std::move(reader)), ref_(std::move(ref)) {}
  StateReader reader_;
  BatchRef ref_;
  std::optional<BatchState> state_;
  std::string unreadable_;
};

// A batch, and the partition that everything of it lies in.
struct FoundBatch {
  std::int32_t home = 0;
  BatchFollower batch;  // nothing is said of it: it is in none of them, and `home` is the user's
};
// Looks for it in one partition after the other. The errors of FindHomes and of BatchFollower.
Result<FoundBatch> FindBatch(const Context& context, const BatchRef& ref, std::initializer_list<Topic> needed);

// Waits until `holds` for what is said of the batch; false: it did not within `timeout_ms`. What seems to be missing is
// noted in `progress`, and in `missing`, where it is known.
Result<bool> WaitFor(const Context& context, BatchFollower& batch, std::int64_t timeout_ms,
                     const std::function<bool(const BatchFollower&)>& holds, Progress& progress, std::string& missing);

Result<void> WriteWant(const Context& context, std::int32_t home, const BatchRef& ref, const Want& want);

// How somebody types a command of batches again: "hearth --user alice batch status nightly --watch", where --user and
// --bootstrap were options of this one.
std::string Again(const Context& context, std::string_view words);

// How a batch that pauses goes on.
std::string ResumeHint(const Context& context, const BatchRef& ref);

// Says that the user has no such batch, which may have been meant, and who has one of that name; the exit code.
int ReportUnknownBatch(const Context& context, const BatchRef& ref);

}  // namespace hearth::tool
