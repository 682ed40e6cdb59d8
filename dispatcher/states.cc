#include "dispatcher/states.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "schemas/limits.h"

namespace hearth::dispatcher {
namespace {

std::optional<kafka::KeyedRecord> LookAtState(std::string_view key, std::size_t value_bytes) {
  if (!ParseBatchRef(key) || value_bytes > kMaxBatchStateBytes) return std::nullopt;
  return kafka::KeyedRecord{"", true};
}

}  // namespace

StateStore::StateStore(Loop& loop, const StateTopic& topic)
    : loop_(loop),
      reader_(loop, {topic.bootstrap, topic.client_id, topic.topic, topic.most_bytes, topic.silence_ms}, LookAtState),
      self_(std::make_shared<StateStore*>(this)) {}

void StateStore::Read(std::int32_t partition, Told done) {
  reader_.ReadPartition(partition, [this, done = std::move(done)](Result<kafka::CompactedValues> found) {
    if (!found) return done(std::unexpected(std::move(found.error())));
    auto decoding = std::make_shared<Decoding>();
    decoding->found = std::move(*found);
    decoding->stored.lacking = decoding->found.lacking;
    decoding->stored.states.reserve(decoding->found.values.size());
    decoding->done = done;
    Decode(std::move(decoding));
  });
}

void StateStore::Decode(std::shared_ptr<Decoding> decoding) {
  Decoding& of = *decoding;
  std::vector<kafka::KeyedValue>& values = of.found.values;
  const std::size_t end = std::min(values.size(), of.next + kStatesATurn);
  for (; of.next < end; ++of.next) {
    auto& [key, value] = values[of.next];
    auto batch = ParseBatchRef(key);
    auto state = DecodeBatchState(value);
    value = {};
    if (batch && state) {
      of.stored.states.push_back({std::move(*batch), std::move(*state)});
    } else if (++of.stored.unreadable == 1) {
      of.stored.why = key + ": " + (batch ? state.error() : batch.error()).message;
    }
  }
  if (end < values.size()) {
    return loop_.Post([self = std::weak_ptr(self_), decoding = std::move(decoding)]() mutable {
      if (const auto alive = self.lock()) (*alive)->Decode(std::move(decoding));
    });
  }
  std::ranges::sort(of.stored.states, {}, &StatesRead::State::batch);  // of the keys "a-b/x" is before "a/x"
  of.done(std::move(of.stored));
}

}  // namespace hearth::dispatcher
