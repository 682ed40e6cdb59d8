// What is counted of users, and what follows from it for what waits of them.
#include "dispatcher/core/turns.h"

#include <algorithm>

#include "dispatcher/core/check.h"
#include "dispatcher/core/shares.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kTagScale = 10'000;  // a record of a flow of weight 1

}  // namespace

User& Turns::UserOf(const UserId& id) {
  const auto [found, is_new] = users_.try_emplace(id, id);
  User& user = found->second;
  if (is_new) {
    user.number_ = ++last_number_;
    user.served_tag_ = last_tag_;
    user.place_ = idle_.insert(idle_.end(), &user);
    Review(user);
  }
  return user;
}

Turns::Seen Turns::See(const UserId& id) {
  const std::size_t before = users_.size();
  const User& user = UserOf(id);
  return {user, users_.size() > before};
}

const User* Turns::Find(const UserId& id) const {
  const auto found = users_.find(id);
  return found == users_.end() ? nullptr : &found->second;
}

void Turns::Prune(std::size_t idle_left, const std::function<void(const UserId&)>& forgotten) {
  while (idle_.size() > idle_left) {
    const User& user = *idle_.front();
    Check(user.stands_.empty(), "a user is forgotten with something in the queue", user.waiting_);
    idle_.pop_front();
    const UserId id = user.id_;
    users_.erase(id);
    forgotten(id);
  }
}

void Turns::ReviewIdle(User& user) {
  const bool is_idle = user.waiting_ == 0 && user.placed_ == 0;
  if (is_idle == user.is_idle_) return;
  user.is_idle_ = is_idle;
  auto& to = is_idle ? idle_ : busy_;
  to.splice(to.end(), is_idle ? busy_ : idle_, user.place_);
}

void Turns::StartWaiting(const UserId& id) {
  User& user = UserOf(id);
  ++user.waiting_;
  ReviewIdle(user);
}

void Turns::StopWaiting(const UserId& id) {
  User& user = UserOf(id);
  --user.waiting_;
  Check(user.waiting_ >= 0, "a user has fewer than none waiting", user.waiting_);
  ReviewIdle(user);
}

bool Turns::Place(const UserId& id, const FunctionName& function) {
  User& user = UserOf(id);
  FunctionUse& use = user.functions_[function];
  const bool takes_long = TakesLong(use);
  if (use.placed == 0) use.quiet_since_us = context_.now_us();
  ++use.placed;
  ++user.placed_;
  if (user.over_share_ != 0) SetOverShare(user, user.placed_);
  ReviewIdle(user);
  Review(use);
  Review(user);
  return takes_long;
}

void Turns::GiveBack(const UserId& id, const FunctionName& function) {
  User& user = UserOf(id);
  FunctionUse& use = user.functions_[function];
  const auto placed = std::min(--user.placed_, --use.placed);
  Check(placed >= 0, "a user has fewer than none placed", placed);
  use.quiet_since_us = context_.now_us();
  ReviewIdle(user);
  After(Happening::kGivenBack, user, &use);
}

void Turns::Learn(const UserId& id, const FunctionName& function, std::int64_t took_ms) {
  User& user = UserOf(id);
  FunctionUse& use = user.functions_[function];
  took_ms = std::min<std::int64_t>(took_ms, kMaxTimeoutMs);
  use.expected_ms = use.is_known ? use.expected_ms + (took_ms - use.expected_ms) / 8 : took_ms;
  use.is_known = true;
  After(Happening::kLearnt, user, &use);
}

// A function of which nothing has ended for so long, although some of it runs, has begun to take long whatever it took
// before.
bool Turns::TakesLong(const FunctionUse& use) const {
  const bool is_quiet = use.placed > 0 && context_.now_us() - use.quiet_since_us > kShortMs * kMicrosPerMilli;
  return !use.is_known || is_quiet || use.expected_ms > kShortMs;
}

void Turns::Deploy(const UserId& id, const FunctionName& function, const Need& need) {
  const auto user = users_.find(id);
  if (user == users_.end()) return;
  const auto use = user->second.functions_.find(function);
  if (use == user->second.functions_.end()) return;
  use->second.kind = need.kind;
  use->second.memory_mib = need.memory_mib;
  use->second.cap = need.cap;
  After(Happening::kDeployed, user->second, &use->second);
}

void Turns::Tell(Happening happening, const UserId& id) {
  const auto user = users_.find(id);
  if (user != users_.end()) After(happening, user->second, nullptr);
}

// What may wake something of the user is looked at again, as the table says. What ends for all users is seen where
// something is offered: shares there, and places in the order of their own.
void Turns::After(Happening happening, User& user, FunctionUse* function) {
  WakePaused(user, happening);
  if (Ends(happening, Reason::kMachine)) WakeMachineless(user);
  if (Ends(happening, Reason::kShare)) SetOverShare(user, 0);
  if (Ends(happening, Reason::kFunctionCap) || Ends(happening, Reason::kReserve) || Ends(happening, Reason::kPlace)) {
    if (function != nullptr) Review(*function);
  }
  if (Ends(happening, Reason::kUserCap)) Review(user);
}

void Turns::Review(User& user) {
  const std::int32_t room = std::max(0, context_.settings().user_concurrency - user.placed_);
  Tier tier = user.placed_ == 0 ? Tier::kNewcomer : Tier::kHolder;
  if (room == 0) tier = Tier::kAtCap;
  const Tier of_long = user.over_share_ != 0 ? std::max(tier, Tier::kOverShare) : tier;
  lanes_.Rank(user, {tier, of_long}, room);
}

void Turns::Review(FunctionUse& function) {
  for (const auto& lane : function.lanes) {
    if (lane != nullptr && !lane->tickets.empty()) Review(*lane);
  }
}

std::optional<Reason> Turns::OwnReason(const Lane& lane) const {
  if (lane.tickets.empty()) return std::nullopt;
  if (lane.function->cap > 0 && lane.function->placed >= lane.function->cap) return Reason::kFunctionCap;
  if (lane.pause_until_us != 0) return lane.pause;
  return std::nullopt;
}

void Turns::Review(Lane& lane) {
  const FunctionUse& use = *lane.function;
  if (lane.tickets.empty()) {
    EndPause(lane);
    SetMachine(lane, MachineNeed::kNone);
  }
  const bool sleeps = OwnReason(lane).has_value();
  const bool stands = !lane.tickets.empty() && !sleeps;
  Shape shape;
  if (use.kind != Places::kAnywhere) shape = {use.kind, use.memory_mib, TakesLong(use), lane.machine};
  if (lane.stand != nullptr && (!stands || lane.stand->bucket->shape != shape)) lanes_.Part(lane);
  SetSleeper(lane, sleeps);
  if (!stands) return;
  const Ticket before = lane.stand != nullptr ? lane.head : Ticket{};
  if (lane.stand == nullptr) {
    lanes_.Join(lane, shape);
  } else {
    lanes_.Recount(lane);
  }
  if (lane.head != before) new_.push_back(lane.head);
}

Ticket Turns::NextTicket(const UserId& id, std::uint64_t serial, std::int64_t* tag, std::int32_t weight) {
  User& user = UserOf(id);
  std::int64_t& next = tag != nullptr ? *tag : user.single_tag_;
  const std::int64_t mine = std::max(next, user.served_tag_);
  next = mine + kTagScale / weight;
  last_tag_ = std::max(last_tag_, mine);
  return {mine, serial};
}

void Turns::Enter(RequestClass request_class, const UserId& id, const FunctionName& function, Ticket ticket,
                  const Need& need) {
  User& user = UserOf(id);
  FunctionUse& use = user.functions_[function];
  auto& lane = use.lanes[static_cast<std::size_t>(request_class)];
  if (lane == nullptr) {
    lane = std::make_unique<Lane>();
    lane->user = &user;
    lane->function = &use;
    lane->request_class = request_class;
  }
  if (!lane->tickets.insert(ticket).second) return;
  ++size_;
  new_.push_back(ticket);
  if (use.kind != need.kind || use.memory_mib != need.memory_mib || use.cap != need.cap) {
    Deploy(id, function, need);
  } else {
    Review(*lane);
  }
}

bool Turns::Leave(RequestClass request_class, const UserId& id, const FunctionName& function, Ticket ticket) {
  Lane* lane = FindLane(request_class, id, function);
  if (lane == nullptr || !lane->tickets.contains(ticket)) return false;
  Remove(*lane, ticket);
  return true;
}

std::int64_t Turns::Queued(RequestClass request_class, const UserId& id, const FunctionName& function) const {
  const Lane* lane = FindLane(request_class, id, function);
  return lane == nullptr ? 0 : std::ssize(lane->tickets);
}

void Turns::Remove(Lane& lane, Ticket ticket) {
  lane.tickets.erase(ticket);
  --size_;
  Review(lane);
}

Lane* Turns::FindLane(RequestClass request_class, const UserId& id, const FunctionName& function) const {
  const auto user = users_.find(id);
  if (user == users_.end()) return nullptr;
  const auto use = user->second.functions_.find(function);
  if (use == user->second.functions_.end()) return nullptr;
  return use->second.lanes[static_cast<std::size_t>(request_class)].get();
}

}  // namespace hearth::dispatcher
