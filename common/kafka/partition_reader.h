// Reads one partition by position, without a group: for whoever looks at what a topic holds, or follows it. Only what
// is committed is read. Blocks; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "schemas/record.h"

namespace hearth::kafka {

// Offsets of a log: the first record that is there, and where the next one will be.
struct LogBounds {
  std::int64_t start = 0;
  std::int64_t end = 0;
};

class PartitionReader {
 public:
  // kNotFound: no such topic or partition. kUnavailable: the brokers are away.
  static Result<PartitionReader> Open(const std::string& bootstrap, const std::string& client_id, PartitionId partition,
                                      std::int64_t timeout_ms);
  PartitionReader(PartitionReader&&) noexcept = default;
  PartitionReader& operator=(PartitionReader&&) = delete;
  ~PartitionReader();

  // As they are now. kUnavailable: the leader does not say in time.
  Result<LogBounds> Bounds(std::int64_t timeout_ms);
  // Reading goes on from there. An offset that the log lacks is an error of Next.
  Result<void> Seek(std::int64_t offset);
  // The next record; nothing at the end of what there is, or after `timeout_ms`. kUnavailable: the brokers are away,
  // and may come back; kNotFound: the topic, or the offset, is not there.
  Result<std::optional<Record>> Next(std::int64_t timeout_ms);
  // Where the next record is to be looked for: behind the last one that was read, and behind what is none.
  [[nodiscard]] std::int64_t position() const { return position_; }

 private:
  PartitionReader(Client client, PartitionId partition)
      : client_(std::move(client)), partition_(std::move(partition)) {}

  Client client_;
  PartitionId partition_;
  std::int64_t position_ = 0;
};

}  // namespace hearth::kafka
