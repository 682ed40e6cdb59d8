#include "dispatcher/core/reading_back.h"

#include <algorithm>
#include <utility>

#include "common/base/time.h"
#include "dispatcher/core/batch.h"
#include "dispatcher/core/partition.h"

namespace hearth::dispatcher {

void ReadingBack::Add(const Want& want) {
  UserId user = want.lane == nullptr ? UserId() : want.lane->user();
  if (const Batch* batch = want.partition->batch(); batch != nullptr) user = batch->ref.user;
  if (want.spec != nullptr) user = want.spec->ref.user;
  auto& wants = wants_[user];
  if (wants.empty()) turns_.push_back(user);
  wants.push_back(want);
}

std::optional<ReadingBack::Want> ReadingBack::Next() {
  if (turns_.empty()) return std::nullopt;
  const UserId user = std::move(turns_.front());
  turns_.pop_front();
  const auto wants = wants_.find(user);
  const Want next = wants->second.front();
  wants->second.pop_front();
  if (wants->second.empty()) {
    wants_.erase(wants);
  } else {
    turns_.push_back(user);
  }
  return next;
}

void ReadingBack::Forget(const Partition& partition) {
  for (auto user = wants_.begin(); user != wants_.end();) {
    std::erase_if(user->second, [&](const Want& want) { return want.partition == &partition; });
    if (user->second.empty()) {
      std::erase(turns_, user->first);
      user = wants_.erase(user);
    } else {
      ++user;
    }
  }
  if (under_way_ == &partition) under_way_ = nullptr;
  away_.erase(partition.id());
}

void ReadingBack::Fail(const PartitionId& partition, std::int64_t now_us) {
  Away& away = away_[partition];
  const std::int64_t doublings = std::min<std::int64_t>(away.failures++, 10);
  away.until_us = now_us + std::min(kMaxReadRetryMs, kReadRetryMs << doublings) * kMicrosPerMilli;
}

std::vector<PartitionId> ReadingBack::TakeRetries(std::int64_t now_us) {
  std::vector<PartitionId> due;
  for (auto& [partition, away] : away_) {
    if (away.until_us == 0 || away.until_us > now_us) continue;
    away.until_us = 0;
    due.push_back(partition);
  }
  return due;
}

void ReadingBack::Begin(Partition& partition) {
  under_way_ = &partition;
  is_busy_ = true;
}

Partition* ReadingBack::End() {
  is_busy_ = false;
  return std::exchange(under_way_, nullptr);
}

}  // namespace hearth::dispatcher
