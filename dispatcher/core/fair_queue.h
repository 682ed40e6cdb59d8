// Whose turn it is: deficit round robin over users within a class, weighted by cost; classes rt before std before
// batch, each with a reserved share so that none starves. A user's invocations of one function go in order of arrival.
// Plain data, one thread; the same calls give the same order.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "common/base/ids.h"
#include "dispatcher/core/request_class.h"

namespace hearth::dispatcher {

class FairQueue {
 public:
  using Ticket = std::uint64_t;  // rises with arrival; one that comes back keeps its place

  enum class Offered : std::uint8_t { kTaken, kSkipFunction, kSkipUser, kStop };

  static constexpr std::int64_t kQuantum = 16;  // cost that a user may spend in one round
  static constexpr std::int64_t kMaxCost = 64;  // so that no invocation waits for more than four rounds

  void Push(RequestClass request_class, const UserId& user, const FunctionName& function, Ticket ticket,
            std::int64_t cost);
  // False if it is not queued. The one that is being offered leaves with the answer to the offer, as one that was
  // taken.
  bool Remove(RequestClass request_class, const UserId& user, const FunctionName& function, Ticket ticket);

  // Offers tickets in fair order. A ticket for which `take` says kTaken leaves the queue; skipped functions and users
  // are not offered again in this call; kStop ends it. `take` may push others, and remove the one
  // that it is offered.
  void Offer(const std::function<Offered(Ticket)>& take);

  // Tells of at most `most` functions how many of their invocations are queued.
  void Walk(std::size_t most,
            const std::function<void(const UserId&, const FunctionName&, std::int64_t queued)>& tell) const;

  [[nodiscard]] std::int64_t size() const { return size_; }

 private:
  struct Lane {
    std::map<FunctionName, std::map<Ticket, std::int64_t>> functions;  // ticket → cost
    std::int64_t deficit = 0;
    bool granted = false;  // got its quantum of this round
    bool in_ring = false;
    std::uint64_t skipped_in = 0;  // the Offer call in which it was skipped
    std::map<FunctionName, std::uint64_t> functions_skipped_in;
  };
  struct Class {
    std::map<UserId, Lane> lanes;
    std::deque<UserId> ring;  // users with something queued; empty lanes leave it when met
    std::uint64_t exhausted_in = 0;
  };
  static constexpr std::size_t kClasses = 3;

  [[nodiscard]] std::size_t ChooseClass(std::uint64_t call) const;
  // One lane's turn. False: the class has nothing more to offer in this call.
  enum class Step : std::uint8_t { kTook, kNext, kExhausted, kStop };
  Step ServeOne(Class& one, std::uint64_t call, const std::function<Offered(Ticket)>& take);

  Class classes_[kClasses];
  std::int64_t size_ = 0;
  std::optional<Ticket> offered_;
  std::uint64_t calls_ = 0;
  std::uint64_t taken_ = 0;
};

}  // namespace hearth::dispatcher
