// What is offered, and what sleeps until something happens.
#include <algorithm>

#include "dispatcher/core/check.h"
#include "dispatcher/core/claims.h"
#include "dispatcher/core/shares.h"
#include "dispatcher/core/turns.h"

namespace hearth::dispatcher {
namespace {

// Of sixteen turns one is batch's first and three are std's; what a class does not use falls to the others.
constexpr std::uint64_t kCycle = 16;
constexpr RequestClass FirstClass(std::uint64_t turn) {
  if (turn % kCycle == 15) return RequestClass::kBatch;
  return turn % 4 == 3 ? RequestClass::kStandard : RequestClass::kRealtime;
}
constexpr std::array kInOrder = {RequestClass::kRealtime, RequestClass::kStandard, RequestClass::kBatch};

constexpr int kMostLooks = 256;  // in one step, at what turns out not to be next
constexpr std::int64_t kRefusalCost = 1;
constexpr std::int64_t kBucketSweepMs = 1000;  // so often one kind of place that nobody has is looked for everywhere

// Cost of one run: 128 MiB for 100 ms is 4.
std::int64_t CostOf(const FunctionUse& use) {
  return use.memory_mib * use.expected_ms / 3200;
}

}  // namespace

// What waits for a machine came on top of the credit, and will take a place of it. For a newcomer it holds none yet;
// who has something placed already may not fill by it what is kept for others.
bool Turns::MayTakeLong(RequestClass request_class, bool newcomer) const {
  const Reserve reserve = ReserveOf(places_.credit(), !context_.settings().realtime_users.empty());
  const std::int64_t credit = places_.credit() + (newcomer ? places_.waiting() : 0);
  return LeavesReserve(reserve, credit, places_.held(), request_class, newcomer);
}

// What is found not to be next is put where it belongs, and not met again until something happens. The next step goes
// on where this one has looked often enough.
Stand* Turns::Next(int& looks) {
  while (looks++ < kMostLooks) {
    WakeShares();
    const auto next_of = [this](RequestClass request_class) {
      return lanes_.Next(request_class, {MayTakeLong(request_class, true), MayTakeLong(request_class, false)}, calls_);
    };
    Stand* stand = next_of(FirstClass(taken_));
    for (const RequestClass request_class : kInOrder) {
      if (stand == nullptr && request_class != FirstClass(taken_)) stand = next_of(request_class);
    }
    if (stand == nullptr) return nullptr;
    ++offers_;
    Lane& lane = *stand->lanes.begin()->second;
    User& user = *stand->user;
    const Shape& shape = stand->bucket->shape;
    if (shape.kind != Places::kAnywhere && TakesLong(*lane.function) != shape.is_long) {
      Review(lane);  // time has shown that it takes long
    } else if (shape.is_long && user.placed_ >= ShareOf(places_.credit(), lanes_.wanting())) {
      SetOverShare(user, user.placed_);
    } else {
      return stand;
    }
  }
  return nullptr;
}

void Turns::Offer(const std::function<Offered(Ticket)>& take) {
  ++calls_;
  lanes_.ReviewPossible();
  int looks = 0;  // since something was offered
  while (size_ > 0) {
    Stand* stand = Next(looks);
    if (stand == nullptr) return;
    Lane& lane = *stand->lanes.begin()->second;
    User& user = *stand->user;
    const Ticket ticket = lane.head;
    looks = 0;
    const std::int64_t cost = CostOf(*lane.function);
    const Offered answer = take(ticket);  // the stand may be gone after it
    switch (answer) {
      case Offered::kPlaced:
      case Offered::kGone:
        if (lane.tickets.contains(ticket)) Remove(lane, ticket);
        user.served_tag_ = std::max(user.served_tag_, ticket.tag);
        lanes_.Charge(user, lane.request_class, answer == Offered::kPlaced ? cost : kRefusalCost);
        ++taken_;
        break;
      case Offered::kClaim:
        SetPause(lane, Reason::kClaim, context_.After(kClaimWaitMs));
        Review(lane);
        break;
      case Offered::kRefused:
        SetPause(lane, Reason::kRefused, context_.After(link::kHeartbeatMs));
        Review(lane);
        break;
      case Offered::kNoFirst: Wait(lane, MachineNeed::kFirst); break;
      case Offered::kNoFurther: Wait(lane, MachineNeed::kFurther); break;
      case Offered::kNoPlace:
        if (lane.stand != nullptr) lane.stand->bucket->closed_in = calls_;
        break;
    }
  }
}

void Turns::SetOverShare(User& user, std::int32_t placed) {
  if (user.over_share_ == placed) return;
  if (user.over_share_ != 0) over_share_.erase({user.over_share_, user.number_, &user});
  if (placed != 0) over_share_.insert({placed, user.number_, &user});
  user.over_share_ = placed;
  Review(user);
}

// The share grows when fewer want a place, and with the credit.
void Turns::WakeShares() {
  if (over_share_.empty()) return;
  const std::int64_t share = ShareOf(places_.credit(), lanes_.wanting());
  while (!over_share_.empty() && std::get<0>(*over_share_.begin()) < share) {
    SetOverShare(*std::get<2>(*over_share_.begin()), 0);
  }
}

void Turns::SetPause(Lane& lane, Reason reason, std::int64_t until_us) {
  if (lane.pause_until_us == until_us) return;
  auto& paused = lane.user->paused_;
  if (lane.pause_until_us != 0) {
    std::erase(paused, &lane);
    pauses_due_.erase({lane.pause_until_us, lane.pause_number, &lane});
  }
  if (until_us != 0) {
    lane.pause_number = ++last_pause_;
    paused.push_back(&lane);
    pauses_due_.insert({until_us, lane.pause_number, &lane});
  }
  lane.pause = reason;
  lane.pause_until_us = until_us;
}

void Turns::WakePaused(User& user, Happening happening) {
  const auto paused = user.paused_;
  for (Lane* lane : paused) {
    if (!Ends(happening, lane->pause)) continue;
    EndPause(*lane);
    Review(*lane);
  }
}

void Turns::SetMachine(Lane& lane, MachineNeed need) {
  if (lane.machine == need) return;
  auto& machineless = lane.user->machineless_;
  if (lane.machine == MachineNeed::kNone) machineless.push_back(&lane);
  if (need == MachineNeed::kNone) std::erase(machineless, &lane);
  lane.machine = need;
}

// Nobody takes the lane on to wait for a machine. It stands aside with its like, so that who needs none is offered
// meanwhile. One of them is looked at for each chance, the next one for the next.
void Turns::Wait(Lane& lane, MachineNeed need) {
  if (lane.machine == need && lane.stand != nullptr) {
    lane.stand->bucket->closed_at = places_.chances();
    lanes_.Charge(*lane.user, lane.request_class, kRefusalCost);
    return;
  }
  SetMachine(lane, need);
  Review(lane);
}

void Turns::WakeMachineless(User& user) {
  while (!user.machineless_.empty()) {
    Lane& lane = *user.machineless_.back();
    SetMachine(lane, MachineNeed::kNone);
    Review(lane);
  }
}

void Turns::SetSleeper(Lane& lane, bool sleeps) {
  if (sleeps == (lane.sleeper != Lane::kAwake)) return;
  if (sleeps) {
    lane.sleeper = sleepers_.size();
    sleepers_.push_back(&lane);
  } else {
    sleepers_.back()->sleeper = lane.sleeper;
    sleepers_[lane.sleeper] = sleepers_.back();
    sleepers_.pop_back();
    lane.sleeper = Lane::kAwake;
  }
}

void Turns::Tick(const std::function<bool(Ticket)>& could) {
  while (!pauses_due_.empty() && std::get<0>(*pauses_due_.begin()) <= context_.now_us()) {
    Lane& lane = *std::get<2>(*pauses_due_.begin());
    EndPause(lane);
    Review(lane);
  }
  Sweep(could);
}

// A net: whatever the events were, nothing sleeps for ever without its reason.
void Turns::Sweep(const std::function<bool(Ticket)>& could) {
  constexpr std::int64_t kSweepUs = kSweepMs * kMicrosPerMilli;
  const auto size = static_cast<std::int64_t>(sleepers_.size());
  const std::int64_t gone_us = std::min(kSweepUs, context_.now_us() - swept_us_);
  const std::int64_t looks = size * gone_us / kSweepUs;
  if (size == 0 || looks > 0) swept_us_ = context_.now_us();
  for (std::int64_t i = 0; i < looks && !sleepers_.empty(); ++i) {
    Lane& lane = *sleepers_[swept_++ % sleepers_.size()];
    const bool is_late = lane.pause_until_us != 0 && lane.pause_until_us <= context_.now_us();
    if (!is_late && OwnReason(lane)) continue;
    ++missed_wakeups_;
    EndPause(lane);
    Review(lane);
  }
  if (context_.now_us() - buckets_swept_us_ < kBucketSweepMs * kMicrosPerMilli) return;
  buckets_swept_us_ = context_.now_us();
  const Stand* stand = lanes_.FirstWithoutPlace(bucket_swept_++);
  if (stand == nullptr) {
    bucket_swept_ = 0;
  } else if (could(stand->lanes.begin()->first)) {
    ++missed_wakeups_;
  }
}

std::optional<Reason> Turns::Sleeps(RequestClass request_class, const UserId& id, const FunctionName& function) const {
  const Lane* lane = FindLane(request_class, id, function);
  if (lane == nullptr || lane->tickets.empty()) return std::nullopt;
  const User& user = *lane->user;
  if (user.tiers_[0] == Tier::kAtCap) return Reason::kUserCap;
  if (const auto reason = OwnReason(*lane)) return reason;
  if (lane->stand == nullptr) return std::nullopt;  // the sweep will wake it
  const Shape& shape = lane->stand->bucket->shape;
  if (!places_.Fits(shape.kind, shape.memory_mib)) return Reason::kPlace;
  if (!lanes_.IsOpen(*lane->stand->bucket)) return Reason::kMachine;
  if (!shape.is_long) return std::nullopt;
  if (user.over_share_ != 0) return Reason::kShare;
  if (!MayTakeLong(request_class, user.placed_ == 0)) return Reason::kReserve;
  return std::nullopt;
}

std::string_view Turns::WhyNot(RequestClass request_class, const UserId& id, const FunctionName& function) const {
  const auto reason = Sleeps(request_class, id, function);
  if (!reason) return {};
  if (*reason != Reason::kPlace) return kReasons.at(static_cast<std::size_t>(*reason)).name;
  const FunctionUse& use = *FindLane(request_class, id, function)->function;
  return places_.WhyNot(use.kind, use.memory_mib);
}

}  // namespace hearth::dispatcher
