#include "executor/outbox.h"

#include <utility>

namespace hearth::executor {

Result<std::unique_ptr<Outbox>> Outbox::Create(Loop& loop, const std::string& bootstrap, const std::string& client_id,
                                               std::string usage_topic, Published published) {
  auto producer = kafka::Producer::Create(loop, bootstrap, client_id);
  if (!producer) return std::unexpected(producer.error());
  auto usage_producer = kafka::Producer::Create(loop, bootstrap, client_id + "-usage", kUsageLingerMs);
  if (!usage_producer) return std::unexpected(usage_producer.error());
  auto outbox = std::unique_ptr<Outbox>(new Outbox(std::move(usage_topic), std::move(published)));
  outbox->producer_ = std::move(*producer);
  outbox->usage_producer_ = std::move(*usage_producer);
  return outbox;
}

void Outbox::Publish(std::uint64_t token, SharedRecord record) {
  producer_->Send(std::move(record),
                  [this, token](Result<std::int64_t> result) { published_(token, std::move(result)); });
}

void Outbox::PublishUsage(const Usage& usage) {
  OutRecord record;
  record.topic = usage_topic_;
  record.key = usage.id.value;
  record.value = EncodeUsage(usage);
  usage_producer_->Send(std::move(record), [this](const Result<std::int64_t>& result) {
    if (!result) ++usage_lost_;
  });
}

}  // namespace hearth::executor
