#include "tools/bench/batch_client.h"

#include <fmt/format.h>

#include "common/base/time.h"
#include "common/kafka/compacted.h"
#include "schemas/batch_item.h"

namespace hearth::bench {
namespace {

constexpr std::int64_t kServerMs = 10'000;
constexpr std::int64_t kSilenceMs = 500;
constexpr std::int64_t kItemsWithinUs = 60 * kMicrosPerSecond;  // from the last one that was sent
constexpr std::int64_t kTellEvery = 1024;
constexpr int kTurnMs = 1;
constexpr int kMachineMib = 512;
constexpr int kHostMib = 1'048'576;  // stand-ins take none of it
constexpr int kContainerIdleS = 300;
constexpr int kMachineIdleS = 900;

void NoReply(std::string_view, std::string_view, std::string_view) {}

}  // namespace

Result<TopicWatch> TopicWatch::Open(const std::string& bootstrap, const PartitionId& partition) {
  auto reader = kafka::PartitionReader::Open(bootstrap, "hearth-bench-batch", partition, kServerMs);
  if (!reader) return std::unexpected(reader.error());
  TopicWatch watch(std::move(*reader));
  auto bounds = watch.reader_.Bounds(kServerMs);
  if (!bounds) return std::unexpected(bounds.error());
  if (auto seek = watch.reader_.Seek(bounds->end); !seek) return std::unexpected(seek.error());
  return watch;
}

Result<std::optional<Record>> TopicWatch::Next(std::int64_t timeout_ms) {
  auto record = reader_.Next(timeout_ms);
  if (record && *record) bytes_ += std::ssize((*record)->key) + std::ssize((*record)->value);
  return record;
}

Result<void> TopicWatch::Drain() {
  for (auto record = Next(kSilenceMs); record; record = Next(kSilenceMs)) {
    if (!*record) return {};
  }
  return Fail(Code::kUnavailable, "a topic of batches cannot be read");
}

Result<BatchClient> BatchClient::Open(const std::string& bootstrap, LoadClient& client, LoadFunction function) {
  const std::int32_t home = kafka::PartitionOfKey(function.user, kOwnPartitions);
  auto states = TopicWatch::Open(bootstrap, {kBatchStateTopic, home});
  if (!states) return std::unexpected(states.error());
  return BatchClient(bootstrap, client, std::move(function), home, std::move(*states));
}

Result<ItemSource> BatchClient::WriteItems(const std::string& id, std::int64_t items, std::size_t payload_bytes,
                                           const std::function<void(std::int64_t)>& told) {
  auto watch = TopicWatch::Open(bootstrap_, {kBatchItemsTopic, home_});
  if (!watch) return std::unexpected(watch.error());
  auto bounds = watch->reader().Bounds(kServerMs);
  if (!bounds) return std::unexpected(bounds.error());
  const std::int64_t first = bounds->end;
  BatchItem item;
  item.payload = MakePayload(payload_bytes);
  for (std::int64_t index = 0; index < items; ++index) {
    OutRecord record = EncodeItem({Ref(id), index}, item, kBatchItemsTopic);
    record.partition = home_;
    if (const auto sent = client_.Send(record); !sent) return std::unexpected(sent.error());
    if (index % kTellEvery != 0) continue;
    client_.Poll(0, NoReply);
    if (told) told(index);
    if (ToldToEnd()) return Fail(Code::kUnavailable, "told to end");
  }
  const std::int64_t end_us = ReadClocks().mono_us + kItemsWithinUs;
  while (bounds->end < first + items && ReadClocks().mono_us < end_us) {
    client_.Poll(kTurnMs, NoReply);
    bounds = watch->reader().Bounds(kServerMs);
    if (!bounds) return std::unexpected(bounds.error());
  }
  if (bounds->end < first + items) return Fail(Code::kDeadline, "the items are not written");
  return ItemSource(StoredItems{"", {{home_, first, first + items - 1}}});
}

Result<void> BatchClient::Submit(const std::string& id, std::int64_t total, ItemSource source) {
  BatchSpec spec;
  spec.function = FunctionName(function_.name);
  spec.total = total;
  spec.items = std::move(source);
  OutRecord record{kBatchesTopic, FormatBatchKey({Ref(id), BatchKey::Kind::kSpec}), EncodeBatchSpec(spec), {}};
  record.partition = home_;
  return client_.Send(record);
}

Result<bool> BatchClient::LookAtState(const std::string& id, const std::function<void(const BatchState&)>& told) {
  for (;;) {
    auto record = states_.Next(0);
    if (!record) return std::unexpected(record.error());
    if (!*record) return false;
    if ((*record)->key != FormatBatchRef(Ref(id))) continue;
    auto state = DecodeBatchState((*record)->value);
    if (!state) return std::unexpected(state.error());
    state_ = std::move(*state);
    if (told) told(state_);
    if (state_.phase == BatchPhase::kEnded) return true;
  }
}

std::vector<OwnExecutor> BatchExecutors(int executors, int credit, const std::string& run) {
  std::vector<OwnExecutor> all;
  for (int i = 1; i <= executors; ++i) {
    OwnExecutor executor;
    executor.id = fmt::format("bench-{}", i);
    executor.profiles = {{kProfile, 1, 0, kMachineMib}};
    executor.memory_mib = kHostMib;
    executor.container_idle_s = kContainerIdleS;
    executor.machine_idle_s = kMachineIdleS;
    executor.simulated = OwnSimulated{"0", "0", run, 0, credit};
    all.push_back(std::move(executor));
  }
  return all;
}

}  // namespace hearth::bench
