#include "dispatcher/core/backlog.h"

#include <algorithm>
#include <utility>

#include "dispatcher/core/check.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

Backlog::Lane& Backlog::LaneOf(const UserId& user, const FunctionName& function, bool has_order_key) {
  static const FunctionName ordered;
  const FunctionName& name = has_order_key ? ordered : function;
  const auto [found, is_new] = users_[user].try_emplace(name);
  Lane& lane = found->second;
  if (is_new) {
    ++lanes_;
    lane.number_ = ++last_number_;
    lane.user_ = user;
    lane.function_ = name;
  }
  return lane;
}

std::int64_t Backlog::LaneBytes() const {
  return bytes_ <= room_.bytes ? room_.lane_bytes : std::min(room_.lane_bytes, room_.bytes / lanes_);
}

bool Backlog::HasRoom(const Lane& lane, std::int64_t bytes, bool is_unread) const {
  if (lane.has_parked()) return false;
  if (unread_ && !is_unread && lane.function_.empty()) return false;  // something before it may be found yet
  if (lane.held_ == 0) return true;
  return lane.held_ < room_.lane_records && lane.bytes_ + bytes <= LaneBytes();
}

void Backlog::Hold(Lane& lane, std::int64_t bytes) {
  ++lane.held_;
  lane.bytes_ += bytes;
  bytes_ += bytes;
}

void Backlog::Release(Lane& lane, std::int64_t bytes) {
  --lane.held_;
  lane.bytes_ -= bytes;
  bytes_ -= bytes;
  Check(lane.held_ >= 0, "a lane holds less than nothing", lane.held_);
}

void Backlog::Park(Lane& lane, std::int64_t offset, std::int64_t deadline_ms) {
  ++parked_;
  const bool first = !lane.has_parked();
  SetParked(lane, first ? offset : std::min(lane.first_, offset), first ? offset : std::max(lane.last_, offset));
  if (in_chunk_) LeaveChunk(lane);
  if (deadline_ms == 0) return;
  const std::int64_t minute = (deadline_ms + kMinuteMs - 1) / kMinuteMs;
  if (const auto known = lane.expiring_.find(minute); known != lane.expiring_.end() && known->second.first <= offset) {
    known->second.last = std::max(known->second.last, offset);
    return;
  }
  EndDue(lane);
  Lane::Expiring& expiring = lane.expiring_.try_emplace(minute, Lane::Expiring{offset, offset}).first->second;
  expiring.first = std::min(expiring.first, offset);
  expiring.last = std::max(expiring.last, offset);
  by_minute_.emplace(lane.expiring_.begin()->first, lane.number_, &lane);
}

// It stands in no order of what expires.
void Backlog::EndDue(Lane& lane) {
  if (lane.expiring_.empty()) return;
  const auto& [minute, expiring] = *lane.expiring_.begin();
  by_minute_.erase({minute, lane.number_, &lane});
  by_expired_.erase({expiring.first, lane.number_, &lane});
  lane.is_due_ = false;
}

void Backlog::SetParked(Lane& lane, std::int64_t first, std::int64_t last) {
  if (lane.has_parked() && first == lane.first_ && first <= last) {
    lane.last_ = last;
    return;
  }
  if (lane.has_parked()) by_first_.erase({lane.first_, lane.number_, &lane});
  lane.first_ = first;
  lane.last_ = last;
  if (lane.has_parked()) by_first_.emplace(first, lane.number_, &lane);
}

// Half of its room is free, so that a read brings many.
bool Backlog::MayRead(const Lane& lane) const {
  if (!lane.has_parked() || (unread_ && lane.function_.empty())) return false;
  if (lane.held_ == 0) return true;
  return lane.held_ <= room_.lane_records / 2 && lane.bytes_ <= LaneBytes() / 2;
}

bool Backlog::Want(Lane& lane) {
  if (lane.is_wanted_) return false;
  if (away_ || !(MayRead(lane) || lane.is_due_)) {
    Tidy(lane);
    return false;
  }
  lane.is_wanted_ = true;
  return true;
}

std::optional<std::int64_t> Backlog::TakeWant(Lane& lane) {
  lane.is_wanted_ = false;
  const bool may_read = MayRead(lane);
  if (away_ || !(may_read || lane.is_due_)) {
    Tidy(lane);
    return std::nullopt;
  }
  lane.due_next_ = lane.is_due_ && (!may_read || !lane.due_next_);
  return lane.due_next_ ? lane.expiring_.begin()->second.first : lane.first_;
}

bool Backlog::Take(Lane& lane, std::int64_t offset, std::int64_t bytes, bool has_expired) {
  const bool takes_part = lane.has_parked() && lane.first_ >= chunk_from_ && !lane.is_full_;
  const bool waits = unread_ && lane.function_.empty();
  const bool has_room = lane.held_ == 0 || (lane.held_ < room_.lane_records && lane.bytes_ + bytes <= LaneBytes());
  if (takes_part && has_room && !waits) {
    --parked_;
    return true;
  }
  if (takes_part) {
    LeaveChunk(lane);
    SetParked(lane, offset, lane.last_);
  }
  if (!has_expired || bytes_ > room_.bytes) return false;
  --parked_;
  return true;
}

void Backlog::BeginChunk(std::int64_t from) {
  chunk_from_ = from;
  ++chunk_;
  in_chunk_ = true;
}

void Backlog::LeaveChunk(Lane& lane) {
  if (!std::exchange(lane.is_full_, true)) full_.push_back(&lane);
}

bool Backlog::IsFirstLook(Lane& lane) const {
  return std::exchange(lane.chunk_, chunk_) != chunk_;
}

std::vector<Backlog::Lane*> Backlog::EndChunk(std::int64_t to) {
  in_chunk_ = false;
  std::vector<Lane*> lanes = std::exchange(full_, {});
  const auto from = [this](const Order& order) { return order.lower_bound({chunk_from_, 0, nullptr}); };
  std::vector<Lane*> passed;
  for (auto at = from(by_first_); at != by_first_.end() && std::get<0>(*at) < to; ++at) {
    if (Lane* lane = std::get<2>(*at); !lane->is_full_) passed.push_back(lane);
  }
  for (Lane* lane : lanes) {
    if (IsFirstLook(*lane)) lane->is_full_ = false;
  }
  for (Lane* lane : passed) {
    SetParked(*lane, to, lane->last_);
    if (IsFirstLook(*lane)) lanes.push_back(lane);
  }

  std::vector<Lane*> expired;
  for (auto at = from(by_expired_); at != by_expired_.end() && std::get<0>(*at) < to; ++at) {
    expired.push_back(std::get<2>(*at));
  }
  for (Lane* lane : expired) {
    EndDue(*lane);
    const auto minute = lane->expiring_.begin();
    // What there was no room for is looked for again.
    if (bytes_ <= room_.bytes) minute->second.first = to;
    if (minute->second.first > minute->second.last) lane->expiring_.erase(minute);
    if (!lane->expiring_.empty()) by_minute_.emplace(lane->expiring_.begin()->first, lane->number_, lane);
    if (IsFirstLook(*lane)) lanes.push_back(lane);
  }
  return lanes;
}

std::vector<Backlog::Lane*> Backlog::TakeDue(std::int64_t now_ms) {
  std::vector<Lane*> due;
  while (!by_minute_.empty() && std::get<0>(*by_minute_.begin()) * kMinuteMs <= now_ms) {
    Lane* lane = std::get<2>(*by_minute_.begin());
    by_minute_.erase(by_minute_.begin());
    by_expired_.emplace(lane->expiring_.begin()->second.first, lane->number_, lane);
    lane->is_due_ = true;
    due.push_back(lane);
  }
  return due;
}

std::vector<Backlog::Lane*> Backlog::All() {
  std::vector<Lane*> all;
  for (auto& [user, lanes] : users_) {
    for (auto& [function, lane] : lanes) all.push_back(&lane);
  }
  std::ranges::sort(all, {}, &Lane::number_);
  return all;
}

// A lane that is wanted is forgotten when its turn to be read comes.
void Backlog::Tidy(Lane& lane) {
  if (lane.held_ > 0 || lane.has_parked() || lane.is_wanted_ || lane.is_full_) return;
  EndDue(lane);
  const auto user = users_.find(lane.user_);
  user->second.erase(FunctionName(lane.function_));
  if (user->second.empty()) users_.erase(user);
  --lanes_;
}

}  // namespace hearth::dispatcher
