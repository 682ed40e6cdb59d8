// How a partition settles: who has to say what it holds of it, and who has.
#include <algorithm>

#include "dispatcher/core/ownership.h"

namespace hearth::dispatcher {

void Ownership::BecomeOwner(Partition& partition) {
  partition.claim_failures_ = 0;
  partition.owned_ = true;
  partition.settled_ = false;
  partition.owing_.clear();
  if (partition.awaits_pages()) partition.former_pages_ = Partition::FormerPages::kAwaitReports;
  partition.settle_until_us_ = context_.After(context_.settings().fence_settle_ms);
  for (const auto& [id, executor] : executors_.all()) {
    if (executor.connected()) {
      Fence(partition, executor);
    } else if (!executor.lease_over()) {
      // Not reachable, but it may still run what its lease allows.
      partition.owing_[id] = executor.heard_us() + link::kLeaseMs * kMicrosPerMilli;
    }
  }
  partition.expected_.clear();
  for (const std::string& address : executors_.expected()) {
    partition.expected_[address] = context_.After(link::kLeaseMs);
  }
}

void Ownership::Fence(Partition& partition, const Executor& executor) {
  partition.fences_.try_emplace(executor.id(), context_.NextOrder());  // the earliest unanswered one counts
  if (!partition.settled_) {
    partition.owing_[executor.id()] = context_.After(link::kLeaseMs);
    if (partition.awaits_pages()) partition.former_pages_ = Partition::FormerPages::kAwaitReports;
  }
  // What a batch has complete is durable only with its pages: all that is owed of it is asked for.
  const std::int64_t durable = partition.batch_ != nullptr ? 0 : partition.records_.ledger().LowestIncomplete();
  context_.Emit(
      SendToExecutor{executor.id(), link::Fence{partition.id_, partition.epoch_, durable, partition.generation_}});
}

void Ownership::NoteRunning(Partition& partition, const ExecutorId& executor, const link::AttemptRef& ref) {
  partition.reporting_[executor].insert({ref.offset, ref.attempt});
}

Ownership::Report Ownership::TakeReport(Partition& partition, const ExecutorId& executor) {
  Report report;
  if (auto running = partition.reporting_.extract(executor); !running.empty()) {
    report.running = std::move(running.mapped());
  }
  if (const auto fence = partition.fences_.extract(executor); !fence.empty()) report.fence_order = fence.mapped();
  partition.owing_.erase(executor);
  return report;
}

void Ownership::ForgetFences(const ExecutorId& executor) {
  for (const auto& [id, partition] : partitions_) {
    partition->fences_.erase(executor);
    partition->reporting_.erase(executor);
  }
}

void Ownership::ForgetExecutor(Partition& partition, const ExecutorId& executor) {
  partition.owing_.erase(executor);
  partition.early_.ForgetRunsOf(executor);
}

bool Ownership::Unexpect(Partition& partition, const std::string& address) {
  return partition.expected_.erase(address) != 0;
}

bool Ownership::Settle(Partition& partition) {
  if (!partition.owned_ || partition.settled_) return false;
  if (executors_.MayJudgeSilence()) {
    const auto is_over = [this](const auto& one) { return one.second <= context_.now_us(); };
    std::erase_if(partition.owing_, is_over);
    std::erase_if(partition.expected_, is_over);
  }
  const bool any_up = std::ranges::any_of(executors_.all(), [](const auto& one) { return one.second.connected(); });
  const bool waited = any_up || context_.now_us() >= partition.settle_until_us_;
  if (!waited || !partition.owing_.empty() || !partition.expected_.empty()) return false;
  if (partition.awaits_pages()) {
    if (partition.former_pages_ == Partition::FormerPages::kAwaitReports) {
      partition.former_pages_ = Partition::FormerPages::kWanted;
    }
    AskForPages(partition.home_ != nullptr ? *partition.home_ : partition);
    return false;
  }
  partition.settled_ = true;
  return true;
}

void Ownership::Drop(const Partition& partition, const ExecutorId& executor, link::AttemptRef ref) {
  ref.epoch = partition.epoch_;
  context_.Emit(SendToExecutor{executor, link::Drop{std::move(ref)}});
}

}  // namespace hearth::dispatcher
