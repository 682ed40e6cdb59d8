#include "dispatcher/core/fair_queue.h"

#include <algorithm>
#include <utility>

namespace hearth::dispatcher {
namespace {

// Of sixteen turns one is batch's first and three are std's; what a class does not use falls to the others.
constexpr std::uint64_t kCycle = 16;
constexpr std::size_t FirstClass(std::uint64_t turn) {
  if (turn % kCycle == 15) return static_cast<std::size_t>(RequestClass::kBatch);
  if (turn % 4 == 3) return static_cast<std::size_t>(RequestClass::kStandard);
  return static_cast<std::size_t>(RequestClass::kRealtime);
}

}  // namespace

void FairQueue::Push(RequestClass request_class, const UserId& user, const FunctionName& function, Ticket ticket,
                     std::int64_t cost) {
  Class& one = classes_[static_cast<std::size_t>(request_class)];
  Lane& lane = one.lanes[user];
  lane.functions[function][ticket] = std::clamp<std::int64_t>(cost, 1, kMaxCost);
  if (!lane.in_ring) {
    lane.in_ring = true;
    one.ring.push_back(user);
  }
  ++size_;
}

bool FairQueue::Remove(RequestClass request_class, const UserId& user, const FunctionName& function, Ticket ticket) {
  if (ticket == offered_) {
    offered_.reset();
    return true;
  }
  Class& one = classes_[static_cast<std::size_t>(request_class)];
  const auto lane = one.lanes.find(user);
  if (lane == one.lanes.end()) return false;
  const auto tickets = lane->second.functions.find(function);
  if (tickets == lane->second.functions.end() || tickets->second.erase(ticket) == 0) return false;
  if (tickets->second.empty()) {
    lane->second.functions_skipped_in.erase(function);
    lane->second.functions.erase(tickets);
  }
  --size_;
  return true;
}

std::size_t FairQueue::ChooseClass(std::uint64_t call) const {
  const auto open = [&](std::size_t index) {
    return classes_[index].exhausted_in != call && !classes_[index].ring.empty();
  };
  const std::size_t first = FirstClass(taken_);
  if (open(first)) return first;
  for (std::size_t index = 0; index < kClasses; ++index) {
    if (open(index)) return index;
  }
  return kClasses;
}

FairQueue::Step FairQueue::ServeOne(Class& one, std::uint64_t call, const std::function<Offered(Ticket)>& take) {
  std::size_t skipped = 0;  // lanes in a row with nothing to offer in this call
  while (!one.ring.empty() && skipped < one.ring.size()) {
    const UserId user = one.ring.front();
    Lane& lane = one.lanes.find(user)->second;
    const auto rotate = [&] {
      lane.granted = false;
      one.ring.pop_front();
      one.ring.push_back(user);
    };
    if (lane.functions.empty()) {  // an idle user saves up nothing
      one.ring.pop_front();
      one.lanes.erase(user);
      continue;
    }
    auto head = lane.functions.end();
    if (lane.skipped_in != call) {
      for (auto it = lane.functions.begin(); it != lane.functions.end(); ++it) {
        const auto skip = lane.functions_skipped_in.find(it->first);
        if (skip != lane.functions_skipped_in.end() && skip->second == call) continue;
        if (head == lane.functions.end() || it->second.begin()->first < head->second.begin()->first) head = it;
      }
    }
    if (head == lane.functions.end()) {
      rotate();
      ++skipped;
      continue;
    }
    skipped = 0;
    if (!lane.granted) {
      lane.granted = true;
      lane.deficit = std::min(lane.deficit + kQuantum, kMaxCost + kQuantum);
    }
    const auto [ticket, cost] = *head->second.begin();
    if (cost > lane.deficit) {
      rotate();
      continue;
    }
    offered_ = ticket;
    Offered answer = take(ticket);
    if (!std::exchange(offered_, std::nullopt)) answer = Offered::kTaken;  // it has left meanwhile
    switch (answer) {
      case Offered::kTaken:
        lane.deficit -= cost;
        head->second.erase(ticket);
        if (head->second.empty()) {
          lane.functions_skipped_in.erase(head->first);
          lane.functions.erase(head);
        }
        --size_;
        ++taken_;
        return Step::kTook;
      case Offered::kSkipFunction: lane.functions_skipped_in[head->first] = call; break;
      case Offered::kSkipUser: lane.skipped_in = call; break;
      case Offered::kStop: return Step::kStop;
    }
    return Step::kNext;
  }
  return Step::kExhausted;
}

void FairQueue::Walk(std::size_t most,
                     const std::function<void(const UserId&, const FunctionName&, std::int64_t)>& tell) const {
  for (const Class& one : classes_) {
    for (const auto& [user, lane] : one.lanes) {
      for (const auto& [function, tickets] : lane.functions) {
        if (most-- == 0) return;
        tell(user, function, static_cast<std::int64_t>(tickets.size()));
      }
    }
  }
}

void FairQueue::Offer(const std::function<Offered(Ticket)>& take) {
  const std::uint64_t call = ++calls_;
  for (std::size_t index = ChooseClass(call); index < kClasses; index = ChooseClass(call)) {
    switch (ServeOne(classes_[index], call, take)) {
      case Step::kTook:
      case Step::kNext: break;
      case Step::kExhausted: classes_[index].exhausted_in = call; break;
      case Step::kStop: return;
    }
  }
}

}  // namespace hearth::dispatcher
