#include "dispatcher/core/lanes.h"

#include <algorithm>
#include <utility>

#include "dispatcher/core/check.h"

namespace hearth::dispatcher {
namespace {

constexpr std::uint64_t kTurnsOfAll = 4;  // of so many turns one is anybody's

constexpr std::size_t Index(RequestClass request_class) {
  return static_cast<std::size_t>(request_class);
}

}  // namespace

Bucket& Lanes::BucketOf(RequestClass request_class, const Shape& shape) {
  const auto [found, is_new] = buckets_.try_emplace({request_class, shape});
  Bucket& bucket = found->second;
  if (is_new) {
    bucket.number = ++last_bucket_;
    bucket.request_class = request_class;
    bucket.shape = shape;
    bucket.possible = places_.IsPossible(shape.kind, shape.memory_mib);
    ++empty_buckets_;
  }
  return bucket;
}

void Lanes::Join(Lane& lane, const Shape& shape) {
  User& user = *lane.user;
  Bucket& bucket = BucketOf(lane.request_class, shape);
  const auto [found, is_new] = user.stands_.try_emplace(bucket.number);
  Stand& stand = found->second;
  lane.stand = &stand;
  lane.head = *lane.tickets.begin();
  lane.queued = static_cast<std::int64_t>(lane.tickets.size());
  stand.lanes.emplace(lane.head, &lane);
  stand.queued += lane.queued;
  if (is_new) {
    stand.bucket = &bucket;
    stand.user = &user;
    if (bucket.order.empty()) --empty_buckets_;
    SetOrder(stand);
    SetCandidate(bucket);
    if (bucket.possible) Want(user, 1);
  }
  Share(user);
}

void Lanes::Part(Lane& lane) {
  User& user = *lane.user;
  Stand& stand = *lane.stand;
  Bucket& bucket = *stand.bucket;
  stand.lanes.erase({lane.head, &lane});
  stand.queued -= lane.queued;
  lane.stand = nullptr;
  if (stand.lanes.empty()) {
    demand_[bucket.shape.kind] -= stand.demand;
    bucket.order.erase(stand.key);
    user.stands_.erase(bucket.number);
    if (bucket.possible) Want(user, -1);
    if (bucket.order.empty()) {
      SetCandidate(bucket);
      if (++empty_buckets_ > kMaxEmptyBuckets) {
        --empty_buckets_;
        buckets_.erase({bucket.request_class, bucket.shape});
      }
    }
  }
  Share(user);
}

void Lanes::Recount(Lane& lane) {
  Stand& stand = *lane.stand;
  if (const Ticket head = *lane.tickets.begin(); head != lane.head) {
    stand.lanes.erase({lane.head, &lane});
    lane.head = head;
    stand.lanes.emplace(head, &lane);
  }
  const auto queued = static_cast<std::int64_t>(lane.tickets.size());
  stand.queued += queued - lane.queued;
  lane.queued = queued;
  Share(*lane.user);
}

void Lanes::Rank(User& user, std::array<Tier, 2> tiers, std::int32_t room) {
  user.room_ = room;
  if (user.tiers_ != tiers) {
    user.tiers_ = tiers;
    for (auto& [number, stand] : user.stands_) SetOrder(stand);
    Want(user, 0);
  }
  Share(user);
}

void Lanes::SetOrder(Stand& stand) {
  auto& order = stand.bucket->order;
  if (stand.key.order != 0) order.erase(stand.key);
  const std::size_t index = Index(stand.bucket->request_class);
  stand.key = {stand.user->tiers_[stand.bucket->shape.is_long ? 1 : 0], std::max(stand.user->tags_[index], now_[index]),
               ++last_order_};
  order.emplace(stand.key, &stand);
}

std::int64_t Lanes::TagOf(const Stand& stand) const {
  return std::max(stand.key.tag, now_[Index(stand.bucket->request_class)]);
}

void Lanes::Charge(User& user, RequestClass request_class, std::int64_t cost) {
  std::int64_t& now = now_[Index(request_class)];
  std::int64_t& tag = user.tags_[Index(request_class)];
  ++turns_[Index(request_class)];
  now = std::max(now, tag);
  tag = now + std::clamp<std::int64_t>(cost, 1, kMaxCost);
}

// The first stand of that tier or a later one that is offered at all; null: there is none, or the reserve is in its
// way.
Stand* Lanes::FirstIn(const Bucket& bucket, Tier from, const std::array<bool, 2>& room) const {
  const auto first = bucket.order.lower_bound({from, INT64_MIN, 0});
  if (first == bucket.order.end() || first->first.tier >= Tier::kOverShare) return nullptr;
  if (bucket.shape.is_long && !room[first->first.tier == Tier::kNewcomer ? 0 : 1]) return nullptr;
  return first->second;
}

// A user that was charged in the meantime stands too far to the front in its other buckets: it is put right when it is
// met, so that a turn costs the same however many kinds of places a user waits for.
Stand* Lanes::Next(RequestClass request_class, const std::array<bool, 2>& room, std::uint64_t call) {
  const std::size_t index = Index(request_class);
  const bool newcomers_first = turns_[index] % kTurnsOfAll != kTurnsOfAll - 1;
  const auto before = [&](const Stand& a, const Stand& b) {
    if (newcomers_first && a.key.tier != b.key.tier) return a.key.tier < b.key.tier;
    if (a.user == b.user) return a.lanes.begin()->first < b.lanes.begin()->first;
    return std::pair(TagOf(a), a.key.order) < std::pair(TagOf(b), b.key.order);
  };
  for (;;) {
    Stand* best = nullptr;
    for (const Bucket* bucket : candidates_[index]) {
      if (bucket->closed_in == call || !IsOpen(*bucket)) continue;
      for (const Tier tier : {Tier::kNewcomer, Tier::kHolder}) {
        Stand* first = FirstIn(*bucket, tier, room);
        if (first != nullptr && (best == nullptr || before(*first, *best))) best = first;
      }
    }
    if (best == nullptr || best->key.tag >= best->user->tags_[index]) return best;
    SetOrder(*best);
  }
}

void Lanes::ReviewPossible() {
  if (version_ == places_.version()) return;
  version_ = places_.version();
  for (auto& [key, bucket] : buckets_) {
    SetPossible(bucket, places_.IsPossible(bucket.shape.kind, bucket.shape.memory_mib));
  }
}

void Lanes::SetPossible(Bucket& bucket, bool possible) {
  if (bucket.possible == possible) return;
  bucket.possible = possible;
  SetCandidate(bucket);
  for (const auto& [key, stand] : bucket.order) Want(*stand->user, possible ? 1 : -1);
}

void Lanes::SetCandidate(Bucket& bucket) {
  auto& candidates = candidates_[Index(bucket.request_class)];
  const bool is = bucket.candidate < candidates.size() && candidates[bucket.candidate] == &bucket;
  const bool should = bucket.possible && !bucket.order.empty();
  if (is == should) return;
  if (should) {
    bucket.candidate = candidates.size();
    candidates.push_back(&bucket);
  } else {
    candidates.back()->candidate = bucket.candidate;
    candidates[bucket.candidate] = candidates.back();
    candidates.pop_back();
  }
}

void Lanes::Want(User& user, std::int32_t by) {
  user.possible_ += by;
  const bool wants = user.possible_ > 0 && user.tiers_[0] != Tier::kAtCap;
  if (wants == user.wants_) return;
  user.wants_ = wants;
  wanting_ += wants ? 1 : -1;
}

void Lanes::Share(User& user) {
  std::int64_t left = user.room_;
  for (auto& [number, stand] : user.stands_) {
    const std::int64_t demand = std::min(left, stand.queued);
    left -= demand;
    if (demand != stand.demand) demand_[stand.bucket->shape.kind] += demand - stand.demand;
    stand.demand = demand;
  }
}

std::map<std::string, std::int64_t> Lanes::Demand() const {
  std::map<std::string, std::int64_t> by_profile;
  for (const auto& [kind, waiting] : demand_) {
    if (kind != Places::kAnywhere && waiting > 0) by_profile[places_.ProfileOf(kind)] += waiting;
  }
  return by_profile;
}

const Stand* Lanes::FirstWithoutPlace(std::size_t n) const {
  for (const auto& candidates : candidates_) {
    for (const Bucket* bucket : candidates) {
      if (places_.Fits(bucket->shape.kind, bucket->shape.memory_mib)) continue;
      const Stand* first = bucket->order.begin()->second;
      if (first->key.tier < Tier::kOverShare && n-- == 0) return first;
    }
  }
  return nullptr;
}

}  // namespace hearth::dispatcher
