// Sends many records to one partition, one behind the other, and tells where each of them lies: for whoever has more to
// send than fits into memory. The producer is idempotent (acks=all), so no record is written twice, and their offsets
// rise in the order in which they were sent. What fails ends it: whoever uses it begins anew. Blocks; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/kafka/handle.h"
#include "schemas/record.h"

namespace hearth::kafka {

constexpr int kBulkQueueRecords = 100'000;       // that are sent and not acknowledged
constexpr int kBulkQueueKbytes = 64 << 10;       // the same; a record more may be on top
constexpr std::int64_t kBulkSilenceMs = 30'000;  // without an acknowledgement it is given up

class BulkSender {
 public:
  // Told for each record in the order of sending, from inside Send and Finish.
  using Acknowledged = std::function<void(std::int64_t offset)>;

  static Result<BulkSender> Open(const std::string& bootstrap, const std::string& client_id, PartitionId partition,
                                 Acknowledged acknowledged);
  BulkSender(BulkSender&&) noexcept;
  BulkSender& operator=(BulkSender&&) = delete;
  ~BulkSender();

  // Waits while the queue is full. `record` must be for the partition. kUnavailable: the brokers have acknowledged
  // nothing for kBulkSilenceMs; kNotFound, kExhausted, kInvalid, kInternal: a record was refused. After an error
  // nothing may be sent any more.
  Result<void> Send(const OutRecord& record);
  // Waits until all are acknowledged. The same errors.
  Result<void> Finish();

 private:
  struct State;  // what the library calls back with
  BulkSender(Client client, Topic topic, PartitionId partition, std::unique_ptr<State> state);
  Result<void> Poll(std::int64_t timeout_ms);

  std::unique_ptr<State> state_;
  PartitionId partition_;
  Client client_;
  Topic topic_;  // destroyed before the client
};

}  // namespace hearth::kafka
