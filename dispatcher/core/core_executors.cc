// Executors: links, reports, leases.
#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

void Core::On(const ExecutorAbsent& event) {
  executors_.Unexpect(event.address);
  for (const auto& [id, partition] : ownership_.all()) {
    if (ownership_.Unexpect(*partition, event.address)) ReviewSettling(*partition);
  }
}

void Core::On(const ExecutorConnected& event) {
  const link::ExecutorHello& hello = event.hello;
  const Executor& executor = executors_.Connect(hello);
  ownership_.ForgetFences(executor.id());
  for (const link::Slot& slot : warm_.Replace(hello.executor, hello.slots)) WriteDirectory(hello.executor, slot);
  FenceAll(executor);
  On(ExecutorAbsent{event.address});  // from here on it owes its reports by name
}

void Core::FenceAll(const Executor& executor) {
  for (const auto& [id, partition] : ownership_.all()) {
    if (partition->owned()) ownership_.Fence(*partition, executor);
  }
}

void Core::On(const ExecutorDisconnected& event) {
  Executor* executor = executors_.Find(event.executor);
  if (executor == nullptr) return;
  executors_.Disconnect(*executor);
  ownership_.ForgetFences(event.executor);
  if (executor->lease_over() || executor->leaves()) EndLease(event.executor);
}

void Core::On(const ExecutorMessage& event) {
  Executor* executor = executors_.Find(event.executor);
  if (executor == nullptr) return;
  if (executors_.Hear(*executor)) FenceAll(*executor);
  if (const auto* done = std::get_if<link::Done>(&event.message)) {
    OnDone(*executor, *done, false);
  } else if (const auto* heartbeat = std::get_if<link::Heartbeat>(&event.message)) {
    for (const UserId& user : executors_.TakeHeartbeat(*executor, *heartbeat)) {
      turns_.Tell(Happening::kExecutorChanged, user);
    }
    context_.Emit(SendToExecutor{event.executor,
                                 link::HeartbeatAck{heartbeat->sequence, heartbeat->sent_mono_us, turns_.wanting()}});
  } else if (const auto* report = std::get_if<link::SlotReport>(&event.message)) {
    OnSlots(*executor, report->slots);
  } else if (const auto* nack = std::get_if<link::Nack>(&event.message)) {
    OnNack(*executor, *nack);
  } else if (const auto* fence = std::get_if<link::FenceReport>(&event.message)) {
    OnFenceReport(*executor, *fence);
  }
}

void Core::OnSlots(const Executor& executor, const std::vector<link::Slot>& slots) {
  for (const link::Slot& slot : slots) {
    warm_.Apply(executor.id(), slot);
    claims_.Forget(executor.id(), slot);
    WriteDirectory(executor.id(), slot);
    turns_.Tell(Happening::kSlotsTold, slot.user);
  }
}

// So long silent that by its own clock it has killed what it ran, and published nothing.
void Core::EndLease(const ExecutorId& id) {
  const auto is_there = [&](const Invocation& invocation) {
    return invocation.stage() == Stage::kPlaced && invocation.executor() == id;
  };
  std::vector<Invocation*> lost;
  for (const auto& [partition_id, partition] : ownership_.all()) {
    const auto of_partition = partition->records().Select(is_there);
    lost.insert(lost.end(), of_partition.begin(), of_partition.end());
  }
  for (Invocation* invocation : lost) {
    journal_.Note(Trace::Kind::kLostPlacement, *invocation, "lease_over");
    OnInfrastructure(*invocation, true, "lease_over");
  }
  if (executors_.Find(id)->connected()) return;
  for (const auto& [partition_id, partition] : ownership_.all()) {
    ownership_.ForgetExecutor(*partition, id);
    ReviewSettling(*partition);
  }
  warm_.Drop(id);
  executors_.Erase(id);
  context_.Emit(DirectoryDropExecutor{id});
}

}  // namespace hearth::dispatcher
