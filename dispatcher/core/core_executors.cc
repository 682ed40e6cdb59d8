// Executors: links, heartbeats, leases, what they report.
#include <algorithm>
#include <set>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {

void Core::State::On(const ExecutorsExpected& event) {
  executors_.Expect(event.addresses);
}

void Core::State::On(const ExecutorAbsent& event) {
  executors_.Unexpect(event.address);
  for (const auto& [id, partition] : partitions) {
    if (partition->expected.erase(event.address) != 0) ReviewSettling(*partition);
  }
}

void Core::State::On(const ExecutorConnected& event) {
  const link::ExecutorHello& hello = event.hello;
  Executor& executor = executors_.Connect(hello);
  ForgetFences(executor.id());
  for (const link::Slot& slot : warm_.Replace(hello.executor, hello.slots)) WriteDirectory(hello.executor, slot);
  FenceAll(executor);
  On(ExecutorAbsent{event.address});  // from here on it owes its reports by name
}

// It may run what we are about to place, and have finished what we wait for.
void Core::State::FenceAll(Executor& executor) {
  for (const auto& [id, partition] : partitions) {
    if (partition->phase != Partition::Phase::kClaiming) SendFence(*partition, executor);
  }
}

void Core::State::ForgetFences(const ExecutorId& executor) {
  for (const auto& [id, partition] : partitions) {
    partition->fences.erase(executor);
    partition->reporting.erase(executor);
  }
}

void Core::State::On(const ExecutorDisconnected& event) {
  Executor* executor = executors_.Find(event.executor);
  if (executor == nullptr) return;
  executors_.Disconnect(*executor);
  ForgetFences(event.executor);
  if (executor->lease_over()) EndLease(*executor);
}

void Core::State::On(const ExecutorMessage& event) {
  Executor* found = executors_.Find(event.executor);
  if (found == nullptr) return;
  Executor& executor = *found;
  if (executors_.Hear(executor)) FenceAll(executor);
  if (const auto* done = std::get_if<link::Done>(&event.message)) {
    OnDone(executor, *done, false);
  } else if (const auto* heartbeat = std::get_if<link::Heartbeat>(&event.message)) {
    executors_.TakeHeartbeat(executor, *heartbeat);
  } else if (const auto* report = std::get_if<link::SlotReport>(&event.message)) {
    OnSlots(executor, report->slots);
  } else if (const auto* nack = std::get_if<link::Nack>(&event.message)) {
    OnNack(executor, *nack);
  } else if (const auto* fence = std::get_if<link::FenceReport>(&event.message)) {
    OnFenceReport(executor, *fence);
  }
}

void Core::State::OnSlots(Executor& executor, const std::vector<link::Slot>& slots) {
  for (const link::Slot& slot : slots) {
    warm_.Apply(executor.id(), slot);
    claims_.Forget(executor.id(), slot);
    WriteDirectory(executor.id(), slot);
  }
}

// Who has seen a user writes its lines. That a slot is gone is written by whoever is told: nobody may have the user
// when a machine is reclaimed, and what the directory then kept would stay.
void Core::State::WriteDirectory(const ExecutorId& executor, const link::Slot& slot) {
  if (slot.state == link::SlotState::kGone || turns_.Find(slot.user) != nullptr)
    context_.Emit(DirectoryWrite{executor, slot});
}

void Core::State::OnFenceReport(Executor& executor, const link::FenceReport& report) {
  Partition* partition = Find(report.partition);
  if (partition == nullptr) return;  // what is owed stays owed, to the next owner
  if (report.refused) {              // somebody has this epoch or a higher one: only a commit shows who the owner is
    if (partition->phase != Partition::Phase::kClaiming && report.epoch >= partition->epoch &&
        report.epoch < kMaxLedgerEpoch) {
      Reclaim(*partition, report.epoch + 1);
    }
    return;
  }
  if (report.epoch != partition->epoch || partition->phase == Partition::Phase::kClaiming) return;

  auto& running = partition->reporting[executor.id()];
  for (const link::Running& run : report.running) {
    running.insert({run.ref.offset, run.ref.attempt});
    NoteRunning(*partition, executor, run);
  }
  for (const link::Done& done : report.finished) OnDone(executor, done, true);
  if (report.more) return;

  if (const auto fence = partition->fences.find(executor.id()); fence != partition->fences.end()) {
    const std::uint64_t asked = fence->second;
    partition->fences.erase(fence);
    std::vector<Invocation*> unknown;
    for (auto& [offset, invocation] : partition->invocations) {
      if (invocation.stage == Stage::kPlaced && invocation.executor == executor.id() &&
          invocation.placed_serial < asked && !running.contains({offset, invocation.attempt})) {
        unknown.push_back(&invocation);
      }
    }
    for (Invocation* invocation : unknown) {
      // A process that was born since has lost it in the middle; the same process never got it.
      const bool died = invocation->placed_incarnation != executor.incarnation();
      Note(Trace::Kind::kLostPlacement, *invocation, died ? "executor_died" : "never_arrived");
      if (died) {
        OnInfrastructure(*invocation, true, "executor_died");
      } else {
        ++invocation->returned;
        Enqueue(*invocation);
      }
    }
  }
  partition->reporting.erase(executor.id());
  partition->owing.erase(executor.id());
  ReviewSettling(*partition);
}

// An attempt that runs for nobody ends. It is asked under the epoch that its executor obeys.
void Core::State::DropAttempt(const ExecutorId& executor, const Partition& partition, link::AttemptRef ref) {
  ref.epoch = partition.epoch;
  context_.Emit(SendToExecutor{executor, link::Drop{std::move(ref)}});
}

// An attempt of an earlier owner, or of ours, is adopted where its record still waits for one, and dropped where it
// does not.
void Core::State::NoteRunning(Partition& partition, Executor& executor, const link::Running& run) {
  const link::AttemptRef& ref = run.ref;
  if (ref.offset >= partition.ledger.next()) {
    const auto finished = partition.finished_early.find(ref.offset);
    if (finished != partition.finished_early.end() && (finished->second.done.outcome == link::Outcome::kPublished ||
                                                       finished->second.done.ref.attempt >= ref.attempt)) {
      return DropAttempt(executor.id(), partition, ref);
    }
    const auto [early, first] = partition.running_early.try_emplace(ref.offset, EarlyRun{executor.id(), run});
    if (first || (early->second.executor == executor.id() && early->second.run.ref == ref)) return;
    EarlyRun given{executor.id(), run};
    if (ref.attempt > early->second.run.ref.attempt) std::swap(early->second, given);
    return DropAttempt(given.executor, partition, given.run.ref);
  }
  Invocation* invocation = Find(partition, ref.offset);
  if (invocation == nullptr || !SameRecord(*invocation, run.id, run.enqueued_us)) {
    return DropAttempt(executor.id(), partition, ref);
  }
  const bool waits = invocation->stage == Stage::kKeyed || invocation->stage == Stage::kNoFunction ||
                     invocation->stage == Stage::kQueued;
  const bool later = invocation->stage == Stage::kBackoff && ref.attempt > invocation->attempt;
  const bool ours = invocation->stage == Stage::kPlaced && invocation->executor == executor.id() &&
                    invocation->attempt == ref.attempt;
  if (ours) return;
  if (later || (waits && ref.attempt >= invocation->attempt)) return Adopt(*invocation, executor, ref.attempt);
  DropAttempt(executor.id(), partition, ref);
}

void Core::State::Adopt(Invocation& invocation, Executor& executor, std::int32_t attempt) {
  const Function* function = FunctionOf(invocation.request);
  invocation.attempt = attempt;
  const std::int32_t most = function != nullptr ? function->max_attempts : kDefaultAttempts;
  const std::int32_t before = attempt - 1 - invocation.infrastructure_failures - invocation.returned;
  invocation.failed_tries = std::max(invocation.failed_tries, std::min(before, most - 1));
  TakePlace(invocation, executor, invocation.request.function, function != nullptr ? function->version : 0,
            function != nullptr ? function->memory_mib : kDefaultMemoryMib);
  const std::int64_t timeout_ms = function != nullptr ? function->timeout_ms : kMaxTimeoutMs;
  SetTimer(invocation, context_.now_us() + (timeout_ms + kOverdueGraceMs) * kMicrosPerMilli);
  Note(Trace::Kind::kAdopted, invocation, "running");
}

// So long silent that by its own clock it has killed what it ran, and published nothing.
void Core::State::EndLease(Executor& executor) {
  std::vector<Invocation*> lost;
  for (const auto& [id, partition] : partitions) {
    for (auto& [offset, invocation] : partition->invocations) {
      if (invocation.stage == Stage::kPlaced && invocation.executor == executor.id()) lost.push_back(&invocation);
    }
  }
  for (Invocation* invocation : lost) {
    Note(Trace::Kind::kLostPlacement, *invocation, "lease_over");
    OnInfrastructure(*invocation, true, "lease_over");
  }
  if (executor.connected()) return;
  const ExecutorId id = executor.id();
  for (const auto& [partition_id, partition] : partitions) {
    partition->owing.erase(id);
    std::erase_if(partition->running_early, [&id](const auto& one) { return one.second.executor == id; });
    ReviewSettling(*partition);
  }
  warm_.Drop(id);
  executors_.Erase(id);
  context_.Emit(DirectoryDropExecutor{id});
}

}  // namespace hearth::dispatcher
