// What leaves through Kafka: results, each answered by its token, and usage records, best effort. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/kafka/producer.h"
#include "common/loop/loop.h"
#include "schemas/record.h"
#include "schemas/usage.h"

namespace hearth::executor {

// Nobody waits for a usage record, and one request for many leaves the broker to the results.
constexpr int kUsageLingerMs = 100;

class Outbox {
 public:
  using Published = std::function<void(std::uint64_t token, Result<std::int64_t> offset)>;
  // Does not wait for a broker: records wait until one is there.
  static Result<std::unique_ptr<Outbox>> Create(Loop& loop, const std::string& bootstrap, const std::string& client_id,
                                                std::string usage_topic, Published published);

  // Answered once through `published`, after the broker's acknowledgement or when the record will never be written.
  void Publish(std::uint64_t token, SharedRecord record);
  // Results that were not sent yet are answered at once, as purged.
  void PurgeUnsent() { producer_->PurgeUnsent(); }
  void PublishUsage(const Usage& usage);
  // Waits for what was sent; blocks.
  bool Flush(std::int64_t timeout_ms) {
    const bool results = producer_->Flush(timeout_ms);
    return usage_producer_->Flush(timeout_ms) && results;
  }
  [[nodiscard]] std::size_t outstanding() const { return producer_->outstanding() + usage_producer_->outstanding(); }
  [[nodiscard]] std::int64_t usage_lost() const { return usage_lost_; }

 private:
  Outbox(std::string usage_topic, Published published)
      : usage_topic_(std::move(usage_topic)), published_(std::move(published)) {}

  const std::string usage_topic_;
  const Published published_;
  std::int64_t usage_lost_ = 0;
  std::unique_ptr<kafka::Producer> producer_;
  std::unique_ptr<kafka::Producer> usage_producer_;
};

}  // namespace hearth::executor
