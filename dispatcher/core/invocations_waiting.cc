// What waits: for its order key, its function, its turn in the queue, its next try, its time.
#include "dispatcher/core/batch.h"
#include "dispatcher/core/invocations.h"

namespace hearth::dispatcher {

void Invocations::AwaitKey(Invocation& invocation, std::int64_t due_us) {
  Move(invocation, Stage::kKeyed);
  if (invocation.waiting_since_us_ == 0) invocation.waiting_since_us_ = context_.now_us();
  invocation.held_by_ = "order_key";
  SetTimer(invocation, due_us);
}

void Invocations::AwaitFunction(Invocation& invocation, std::int64_t due_us) {
  Move(invocation, Stage::kNoFunction);
  SetTimer(invocation, due_us);
}

void Invocations::AwaitSettling(Invocation& invocation, std::int64_t due_us) {
  Move(invocation, Stage::kQueued);
  if (invocation.waiting_since_us_ == 0) invocation.waiting_since_us_ = context_.now_us();
  invocation.held_by_ = "settling";
  SetTimer(invocation, due_us);
}

void Invocations::AwaitWindow(Invocation& invocation) {
  AwaitSettling(invocation, 0);
  invocation.held_by_ = "batch_window";
}

void Invocations::Queue(Invocation& invocation, std::int64_t due_us, const Turns::Need& need) {
  Move(invocation, Stage::kQueued);
  if (invocation.waiting_since_us_ == 0) invocation.waiting_since_us_ = context_.now_us();
  SetTimer(invocation, due_us);
  SetInQueue(invocation, true, need);
}

void Invocations::BackOff(Invocation& invocation, std::int64_t due_us) {
  Move(invocation, Stage::kBackoff);
  SetTimer(invocation, due_us);
}

void Invocations::LeaveQueue(Partition& partition) {
  for (auto& [offset, invocation] : partition.records().held_) {
    if (invocation.in_queue_) SetInQueue(invocation, false);
    invocation.ticket_.reset();
  }
}

Invocation* Invocations::FindQueued(std::uint64_t serial) {
  const auto found = by_serial_.find(serial);
  return found != by_serial_.end() && found->second->in_queue_ ? found->second : nullptr;
}

void Invocations::SetInQueue(Invocation& invocation, bool in_queue, const Turns::Need& need) {
  const Request& request = invocation.request_;
  const RequestClass request_class = invocation.partition_->request_class();
  if (!invocation.ticket_) invocation.ticket_ = TicketOf(invocation);
  if (in_queue) {
    turns_.Enter(request_class, request.user, request.function, *invocation.ticket_, need);
  } else {
    turns_.Leave(request_class, request.user, request.function, *invocation.ticket_);
  }
  invocation.in_queue_ = in_queue;
  invocation.partition_->records().in_queue_ += in_queue ? 1 : -1;
}

Ticket Invocations::TicketOf(const Invocation& invocation) {
  const UserId& user = invocation.request_.user;
  Partition& partition = *invocation.partition_;
  if (partition.batch() != nullptr) {
    const std::int32_t priority = partition.batch()->run->orders.priority;
    return turns_.NextTicket(user, invocation.serial_, &partition.records().tag_, priority);
  }
  if (partition.request_class() == RequestClass::kBatch) return turns_.NextTicket(user, invocation.serial_);
  return {0, invocation.serial_};
}

void Invocations::SetTimer(Invocation& invocation, std::int64_t due_us) {
  if (invocation.due_us_ != 0) timers_.erase({invocation.due_us_, invocation.serial_});
  invocation.due_us_ = due_us;
  if (due_us != 0) timers_.insert({due_us, invocation.serial_});
}

Invocation* Invocations::TakeDue() {
  if (timers_.empty() || timers_.begin()->first > context_.now_us()) return nullptr;
  Invocation& invocation = Get(timers_.begin()->second);
  SetTimer(invocation, 0);
  return &invocation;
}

}  // namespace hearth::dispatcher
