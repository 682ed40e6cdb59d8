// Whose turn it is. Turns keeps the queue of what may be placed, and of each user what waits, what is placed and how
// long its functions run. Turns is the only one who says who is next.
//
// It holds at any time:
// - a user's counts are those of the invocations of the user, and never below zero;
// - of one user and one function of it no more is let through than the user's bound and the function's bound, and of
//   attempts that take long no more than share and reserve allow (shares.h);
// - what cannot be placed sleeps under its reason, and is offered when what happens ends the reason (reasons.h);
// - a user that has something waiting or placed is remembered.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/lanes.h"
#include "dispatcher/core/places.h"
#include "dispatcher/core/reasons.h"
#include "dispatcher/core/user.h"
#include "schemas/function.h"
#include "schemas/limits.h"

namespace hearth::dispatcher {

constexpr std::size_t kMaxIdleUsers = 100'000;  // users remembered with nothing to do, in all
constexpr std::int64_t kSweepMs = 64'000;       // within so long each sleeper is looked at, whatever has happened

class Turns {
 public:
  Turns(const Context& context, const Places& places) : context_(context), places_(places), lanes_(places) {}

  // ---- Users.
  // The user is remembered from now on, if it was not yet.
  struct Seen {
    const User& user;  // as it is at any time, until it is forgotten
    bool is_new;
  };
  Seen See(const UserId& id);
  [[nodiscard]] const User* Find(const UserId& id) const;  // nullptr: nothing is known of it
  [[nodiscard]] std::size_t users() const { return users_.size(); }
  // Forgets users that have nothing waiting and nothing placed, those that came to it first, until so many are left.
  void Prune(std::size_t idle_left, const std::function<void(const UserId&)>& forgotten);

  // ---- What becomes of their invocations.
  void StartWaiting(const UserId& id);
  void StopWaiting(const UserId& id);
  // True: the attempt takes long, as far as is known.
  [[nodiscard]] bool Place(const UserId& id, const FunctionName& function);
  void GiveBack(const UserId& id, const FunctionName& function);
  // A run of the function took so long by its executor's clock.
  void Learn(const UserId& id, const FunctionName& function, std::int64_t took_ms);

  // ---- The queue.
  // What a function needs. `kind`: of the places it can have; kAnywhere: it is not deployed any more, and who waits for
  // it is offered to be refused.
  struct Need {
    Places::Kind kind = Places::kAnywhere;
    std::int32_t memory_mib = 0;
    std::int32_t cap = 0;
  };
  // The function was deployed or removed.
  void Deploy(const UserId& id, const FunctionName& function, const Need& need);
  // A *flow* is what of a user takes turns with the user's other flows, by weights (start-time fair queueing): each
  // batch by its priority, and within the same class all single requests together. `tag` is what the flow keeps of it,
  // 0 to begin with; nullptr: single requests. Returns the place of the flow's next record.
  Ticket NextTicket(const UserId& id, std::uint64_t serial, std::int64_t* tag = nullptr,
                    std::int32_t weight = kDefaultBatchPriority);
  // May be placed from now on. It comes at its turn, which it pays for by memory and expected time.
  void Enter(RequestClass request_class, const UserId& id, const FunctionName& function, Ticket ticket,
             const Need& need);
  // May not, or need not any more. False: it was not in the queue.
  bool Leave(RequestClass request_class, const UserId& id, const FunctionName& function, Ticket ticket);
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // Records of the lane that are in the queue.
  [[nodiscard]] std::int64_t Queued(RequestClass request_class, const UserId& id, const FunctionName& function) const;

  enum class Offered : std::uint8_t {
    kPlaced,     // and has left the queue
    kGone,       // it was refused, and has left the queue
    kClaim,      // whether it may count on a container is being asked for
    kRefused,    // executors have just refused to let an attempt of the user wait for a machine
    kNoFirst,    // nobody takes it on to wait for a machine, and its user has none
    kNoFurther,  // the same, of a user who has some
    kNoPlace,    // although there seemed to be one
  };
  // Offers what can be placed, in turn order, until nothing is left of it. `take` may push others and remove any.
  void Offer(const std::function<Offered(Ticket)>& take);
  // Something has happened to what the user has, or to claims of it.
  void Tell(Happening happening, const UserId& id);
  // Time goes by: pauses that are over, and a look at some of those that sleep. `could`: whether there is a
  // place for it, whatever Places says. What sleeps although its reason has ended is woken, and counted.
  void Tick(const std::function<bool(Ticket)>& could);
  // Why the lane is not offered; nothing: it is, or it is empty.
  [[nodiscard]] std::optional<Reason> Sleeps(RequestClass request_class, const UserId& id,
                                             const FunctionName& function) const;
  // The same for people; empty: nothing. Lives for ever.
  [[nodiscard]] std::string_view WhyNot(RequestClass request_class, const UserId& id,
                                        const FunctionName& function) const;
  // Records that entered, or became the first of their lanes, since the last call.
  [[nodiscard]] std::vector<Ticket> TakeNew() { return std::exchange(new_, {}); }

  // What waits without a place, by profile; of each user no more than could be placed at once.
  [[nodiscard]] std::map<std::string, std::int64_t> Demand() const { return lanes_.Demand(); }
  [[nodiscard]] std::int64_t wanting() const { return lanes_.wanting(); }  // users that want a place (shares.h)
  [[nodiscard]] std::int64_t sleeping() const { return static_cast<std::int64_t>(sleepers_.size()); }  // lanes
  [[nodiscard]] std::int64_t missed_wakeups() const { return missed_wakeups_; }                        // counts up
  [[nodiscard]] std::int64_t offers() const { return offers_; }  // looks at a lane whose turn had come; counts up

 private:
  User& UserOf(const UserId& id);
  [[nodiscard]] Lane* FindLane(RequestClass request_class, const UserId& id, const FunctionName& function) const;
  void Remove(Lane& lane, Ticket ticket);
  [[nodiscard]] bool TakesLong(const FunctionUse& use) const;
  [[nodiscard]] bool MayTakeLong(RequestClass request_class, bool newcomer) const;
  [[nodiscard]] std::optional<Reason> OwnReason(const Lane& lane) const;
  void After(Happening happening, User& user, FunctionUse* function);
  void Review(Lane& lane);  // where it stands, or that it sleeps
  void Review(FunctionUse& function);
  void Review(User& user);  // its tier
  void ReviewIdle(User& user);
  void SetOverShare(User& user, std::int32_t placed);
  void WakeShares();
  void SetPause(Lane& lane, Reason reason, std::int64_t until_us);
  void EndPause(Lane& lane) { SetPause(lane, lane.pause, 0); }
  void SetMachine(Lane& lane, MachineNeed need);
  void Wait(Lane& lane, MachineNeed need);
  void WakePaused(User& user, Happening happening);
  void WakeMachineless(User& user);
  void Sweep(const std::function<bool(Ticket)>& could);
  Stand* Next(int& looks);
  void SetSleeper(Lane& lane, bool sleeps);

  const Context& context_;
  const Places& places_;
  Lanes lanes_;
  std::unordered_map<UserId, User> users_;  // looked up, never walked
  std::list<User*> idle_;                   // nothing waiting and nothing placed, the longest idle first
  std::list<User*> busy_;
  std::uint64_t last_number_ = 0;
  std::int64_t last_tag_ = 0;  // the highest one that was given
  std::int64_t size_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t taken_ = 0;
  std::int64_t offers_ = 0;
  std::vector<Ticket> new_;
  std::set<std::tuple<std::int32_t, std::uint64_t, User*>> over_share_;  // by what they have placed
  std::set<std::tuple<std::int64_t, std::uint64_t, Lane*>> pauses_due_;  // by time and order
  std::uint64_t last_pause_ = 0;
  std::vector<Lane*> sleepers_;  // in no order
  std::size_t swept_ = 0;        // how far the sweep has come
  std::int64_t swept_us_ = 0;
  std::size_t bucket_swept_ = 0;
  std::int64_t buckets_swept_us_ = 0;
  std::int64_t missed_wakeups_ = 0;
};

}  // namespace hearth::dispatcher
