// Whose turn it is. Turns keeps the queue of what may be placed, and of each user what waits, what is placed and how
// long its functions run. Turns is the only one who says who is next.
//
// It holds at any time:
// - a user's counts are those of the invocations of the user, and never below zero;
// - of one user and one function of it no more is let through than the user's bound and the function's bound;
// - a user that has something waiting or placed is remembered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "common/base/ids.h"
#include "dispatcher/core/admission.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/fair_queue.h"
#include "schemas/function.h"

namespace hearth::dispatcher {

constexpr std::size_t kMaxIdleUsers = 100'000;  // users remembered with nothing to do, in all

// A user as its turns are counted. Everybody may read it; only Turns changes it.
class User {
 public:
  [[nodiscard]] std::int64_t waiting() const { return waiting_; }  // received, not placed, not in its last records
  [[nodiscard]] std::int32_t placed() const { return placed_; }
  [[nodiscard]] std::int32_t placed(const FunctionName& function) const;

 private:
  friend class Turns;
  struct Use {
    std::int32_t placed = 0;
    std::int64_t expected_ms = 100;  // moving average of what runs took by executors' clocks
  };

  std::int64_t waiting_ = 0;
  std::int32_t placed_ = 0;
  std::map<FunctionName, Use> functions_;
};

class Turns {
 public:
  explicit Turns(const Context& context) : context_(context) {}

  // ---- Users.
  // The user is remembered from now on, if it was not yet.
  struct Seen {
    const User& user;  // as it is at any time, until it is forgotten
    bool is_new;
  };
  Seen See(const UserId& user);
  [[nodiscard]] const User* Find(const UserId& user) const;  // nullptr: nothing is known of it
  [[nodiscard]] std::size_t users() const { return users_.size(); }
  // Forgets users that have nothing waiting and nothing placed.
  void Prune();

  // ---- What becomes of their invocations.
  void StartWaiting(const UserId& user) { ++users_[user].waiting_; }
  void StopWaiting(const UserId& user);
  void Place(const UserId& user, const FunctionName& function);
  void GiveBack(const UserId& user, const FunctionName& function);
  // A run of the function took so long by its executor's clock.
  void Learn(const UserId& user, const FunctionName& function, std::int64_t took_ms);

  // ---- The queue.
  // May be placed from now on. It comes at its turn, which it pays for by memory and expected time.
  void Enter(RequestClass request_class, const UserId& user, const FunctionName& function, FairQueue::Ticket ticket,
             std::int32_t memory_mib);
  // May not, or need not any more.
  void Leave(RequestClass request_class, const UserId& user, const FunctionName& function, FairQueue::Ticket ticket) {
    queue_.Remove(request_class, user, function, ticket);
  }
  // Offers what may be placed in fair order, as FairQueue::Offer.
  void Offer(const std::function<FairQueue::Offered(FairQueue::Ticket)>& take) { queue_.Offer(take); }
  [[nodiscard]] bool empty() const { return queue_.size() == 0; }
  // Whether the user's and the function's bounds let one more through.
  [[nodiscard]] Turn Ask(const Function& function) const;

  // Tells of at most `most` functions how many of their invocations are in the queue, and how many more of its
  // invocations the user could have placed.
  void Walk(std::size_t most,
            const std::function<void(const UserId&, const FunctionName&, std::int64_t queued, std::int64_t user_room)>&
                tell) const;

 private:
  const Context& context_;
  std::map<UserId, User> users_;
  FairQueue queue_;
};

}  // namespace hearth::dispatcher
