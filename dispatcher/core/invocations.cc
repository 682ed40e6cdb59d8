#include "dispatcher/core/invocations.h"

#include <iterator>

#include "dispatcher/core/check.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int32_t One(bool holds) {
  return holds ? 1 : 0;
}

}  // namespace

Ledger::Reception Invocations::Receive(Partition& partition, std::int64_t offset) {
  const auto reception = partition.records().ledger_.Receive(offset);
  ReviewUnread(partition);
  return reception;
}

void Invocations::Begin(Partition& partition) {
  ReviewUnread(partition);
  WantUnread(partition);
}

void Invocations::Claim(Partition& partition, const std::vector<LedgerRange>& complete) {
  for (const auto& [start, length] : complete) partition.records().ledger_.Claim(start, start + length);
  Begin(partition);
}

void Invocations::ReviewUnread(Partition& partition) {
  PartitionRecords& records = partition.records();
  const bool unread = records.ledger_.NextUnread().has_value();
  if (records.backlog_.unread() == unread) return;
  records.backlog_.SetUnread(unread);
  if (unread) return;
  for (Backlog::Lane* lane : records.backlog_.All()) Want(partition, *lane);
}

void Invocations::WantUnread(Partition& partition) {
  if (!partition.awaits_pages() && partition.records().backlog_.WantUnread()) reading_.Add({&partition, nullptr});
}

void Invocations::Want(Partition& partition, Backlog::Lane& lane) {
  if (partition.records().backlog_.Want(lane)) reading_.Add({&partition, &lane});
}

Invocations::Footprint Invocations::FootprintOf(Partition& partition, const Record& record, const Request& request) {
  auto bytes = static_cast<std::int64_t>(record.key.size() + record.value.size()) + kRecordOverheadBytes;
  for (const Header& header : record.headers) {
    bytes += static_cast<std::int64_t>(header.name.size() + header.value.size());
  }
  if (request.payload != record.value) bytes += static_cast<std::int64_t>(request.payload.size());
  Backlog& backlog = partition.records().backlog_;
  return {backlog.LaneOf(request.user, request.function, !request.order_key.empty()), bytes};
}

bool Invocations::HasRoom(const Partition& partition, const Footprint& footprint, bool is_unread) {
  return partition.records().backlog().HasRoom(footprint.lane, footprint.bytes, is_unread);
}

void Invocations::Park(Partition& partition, const Footprint& footprint, std::int64_t offset,
                       std::int64_t deadline_ms) {
  PartitionRecords& records = partition.records();
  records.backlog_.Park(footprint.lane, offset, deadline_ms);
  Want(partition, footprint.lane);
  CheckConservation(records);
}

Invocation& Invocations::Add(Partition& partition, const Footprint& footprint, std::shared_ptr<const Record> record,
                             Request request) {
  PartitionRecords& records = partition.records();
  Invocation& invocation = records.held_[record->offset];
  invocation.serial_ = ++last_serial_;
  invocation.partition_ = &partition;
  invocation.record_ = std::move(record);
  invocation.request_ = std::move(request);
  invocation.received_us_ = context_.now_us();
  invocation.times_.enqueued_us = KnownTimeMs(invocation.record_->timestamp_ms) * kMicrosPerMilli;
  invocation.times_.received_us = context_.now().wall_us;
  invocation.bytes_ = footprint.bytes;
  std::string& payload = invocation.request_.payload;
  if (payload == invocation.record_->value) {
    invocation.payload_is_value_ = true;
    payload.clear();
    payload.shrink_to_fit();
  }
  invocation.lane_ = &footprint.lane;
  records.backlog_.Hold(*invocation.lane_, invocation.bytes_);
  by_serial_[invocation.serial_] = &invocation;
  ++records.stages_[static_cast<std::size_t>(Stage::kArrived)];
  turns_.StartWaiting(invocation.request_.user);
  CheckConservation(records);
  return invocation;
}

void Invocations::Order(Invocation& invocation) {
  invocation.partition_->records().keys_.Add(invocation.request_.user, invocation.request_.order_key,
                                             invocation.offset());
}

void Invocations::Start(Invocation& invocation, Executor& executor, const Function& function) {
  invocation.tries_.Start();
  invocation.times_.placed_us = context_.now().wall_us;
  Place(invocation, executor, function.name, function.version, function.memory_mib);
  invocation.waiting_since_us_ = 0;
  invocation.held_by_ = {};
}

void Invocations::Adopt(Invocation& invocation, Executor& executor, std::int32_t attempt, const Function* function) {
  invocation.tries_.Adopt(attempt, function != nullptr ? function->max_attempts : kDefaultAttempts);
  Place(invocation, executor, invocation.request_.function, function != nullptr ? function->version : 0,
        function != nullptr ? function->memory_mib : kDefaultMemoryMib);
}

void Invocations::Place(Invocation& invocation, Executor& executor, const FunctionName& function, std::int64_t version,
                        std::int32_t memory_mib) {
  Move(invocation, Stage::kPlaced);
  invocation.executor_ = executor.id();
  invocation.placed_incarnation_ = executor.incarnation();
  invocation.placed_order_ = context_.NextOrder();
  invocation.placed_function_ = function;
  invocation.placed_version_ = version;
  invocation.placed_long_ = turns_.Place(invocation.request_.user, function);
  executors_.Place(executor, invocation.request_.user, function, version, memory_mib,
                   {invocation.partition_->request_class(), invocation.placed_long_});
}

void Invocations::Recall(Invocation& invocation) {
  Move(invocation, Stage::kQueued);
}

void Invocations::SeeEnd(Invocation& invocation, const ExecutorId& executor, std::int32_t attempt) {
  Check(invocation.stage_ != Stage::kPlaced, "the attempt that is waited for has another end", attempt);
  invocation.tries_.See(attempt);
  invocation.executor_ = executor;
}

void Invocations::Finish(Invocation& invocation, Ending ending, std::vector<Output> outputs) {
  Move(invocation, Stage::kProducing);
  invocation.ending_ = std::move(ending);
  invocation.outputs_.Assign(std::move(outputs));
}

void Invocations::Produce(Invocation& invocation) {
  Move(invocation, Stage::kProducing);
  invocation.token_ = ++last_token_;
  by_token_[invocation.token_] = &invocation;
  context_.Emit(dispatcher::Produce{invocation.token_, invocation.outputs_.next().record});
}

void Invocations::BackOffProducing(Invocation& invocation) {
  Move(invocation, Stage::kProduceBackoff);
  SetTimer(invocation, context_.After(invocation.outputs_.backoff_ms()));
}

Invocation* Invocations::TakeProduced(std::uint64_t token) {
  const auto found = by_token_.find(token);
  if (found == by_token_.end()) return nullptr;
  Invocation* invocation = found->second;
  by_token_.erase(found);
  invocation->token_ = 0;
  return invocation;
}

Invocation* Invocations::Complete(Invocation& invocation) {
  PartitionRecords& records = invocation.partition_->records();
  const std::int64_t offset = invocation.offset();
  Check(invocation.stage_ == Stage::kProducing && invocation.token_ == 0, "complete before its records are", offset);
  Move(invocation, Stage::kGone);
  records.backlog_.Release(*invocation.lane_, invocation.bytes_);
  Want(*invocation.partition_, *invocation.lane_);
  by_serial_.erase(invocation.serial_);
  const auto next = records.keys_.Remove(invocation.request_.user, invocation.request_.order_key, offset);
  Check(records.ledger_.Complete(offset), "I1: complete only once", offset);
  records.held_.erase(offset);
  CheckConservation(records);
  if (!next) return nullptr;
  Invocation* head = records.Find(*next);
  Check(head != nullptr, "a key holds only what is not complete", *next);
  return head;
}

void Invocations::Forget(Partition& partition) {
  PartitionRecords& records = partition.records();
  for (auto& [offset, invocation] : records.held_) {
    Move(invocation, Stage::kGone);
    by_serial_.erase(invocation.serial_);
    by_token_.erase(invocation.token_);
  }
  reading_.Forget(partition);
  records = PartitionRecords(Ledger());
}

void Invocations::Move(Invocation& invocation, Stage to) {
  const Stage from = invocation.stage_;
  Check(CanMove(from, to), "an invocation cannot move so from its stage", static_cast<std::int64_t>(from));
  const UserId& user = invocation.request_.user;
  if (invocation.in_queue_) SetInQueue(invocation, false);
  SetTimer(invocation, 0);
  if (from == Stage::kPlaced) {
    turns_.GiveBack(user, invocation.placed_function_);
    executors_.GiveBack(invocation.executor_, user, invocation.placed_function_, invocation.placed_version_,
                        {invocation.partition_->request_class(), invocation.placed_long_});
  }
  if (Waits(to) && !Waits(from)) turns_.StartWaiting(user);
  if (!Waits(to) && Waits(from)) turns_.StopWaiting(user);
  placed_ += One(to == Stage::kPlaced) - One(from == Stage::kPlaced);
  producing_ += One(Produces(to)) - One(Produces(from));
  awaiting_function_ += One(to == Stage::kNoFunction) - One(from == Stage::kNoFunction);
  auto& stages = invocation.partition_->records().stages_;
  --stages[static_cast<std::size_t>(from)];
  ++stages[static_cast<std::size_t>(to)];
  invocation.stage_ = to;
}

void Invocations::CheckConservation(const PartitionRecords& records) const {
  const std::int64_t held = std::ssize(records.held_);
  Check(records.ledger_.incomplete() == held + records.backlog_.parked(), "I6: received == complete + held + parked",
        records.ledger_.incomplete());
}

}  // namespace hearth::dispatcher
