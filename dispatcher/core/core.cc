// Steps, timers, numbers.
#include "dispatcher/core/core.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {

Core::State::State(Settings given)
    : context_(std::move(given)),
      reply_policy{context_.settings().reply_topic, context_.settings().reply_topics_allowed,
                   context_.settings().own_topics},
      claims_(context_, warm_),
      executors_(context_, warm_, claims_),
      turns_(context_) {}

Core::Core(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Core::~Core() = default;

void Core::Step(const Event& event, Time now, std::vector<Effect>& effects) {
  State& state = *state_;
  state.context_.Begin(now, effects);
  state.DoubtOwnership();
  std::visit([&state](const auto& one) { state.On(one); }, event);
  state.Dispatch();
  state.CheckDrain();
}

Gauges Core::ReadGauges(Time now) const {
  const State& state = *state_;
  Gauges gauges;
  for (const auto& [id, partition] : state.partitions) {
    gauges.received += partition->ledger.received();
    gauges.complete += partition->ledger.complete();
    gauges.in_flight += static_cast<std::int64_t>(partition->invocations.size());
    gauges.window_max = std::max(gauges.window_max, partition->ledger.window());
    gauges.incomplete_ranges_max = std::max(gauges.incomplete_ranges_max, partition->ledger.incomplete_ranges());
    if (!partition->invocations.empty()) {
      const std::int64_t oldest_us = partition->invocations.begin()->second.received_mono_us;
      gauges.oldest_incomplete_age_ms =
          std::max(gauges.oldest_incomplete_age_ms, (now.mono_us - oldest_us) / kMicrosPerMilli);
    }
  }
  gauges.partitions = static_cast<std::int64_t>(state.partitions.size());
  gauges.window_limit = kMaxWindowOffsets;
  gauges.placed = state.placed;
  gauges.queued = gauges.in_flight - state.placed - state.producing;
  gauges.queued_limit = kMaxWindowOffsets * gauges.partitions;
  gauges.users = static_cast<std::int64_t>(state.turns_.users());
  for (const auto& [id, executor] : state.executors_.all()) gauges.executors_up += executor.connected() ? 1 : 0;
  gauges.maps_truncated = state.maps_truncated;
  gauges.output_failures = state.output_failures;
  gauges.decisions = static_cast<std::int64_t>(state.decisions.size());
  gauges.decision_bytes = static_cast<std::int64_t>(state.decisions.bytes());
  return gauges;
}

const Decision* Core::Explain(const InvocationId& id) const {
  return state_->decisions.Find(id);
}

// Who stood still for as long as a session may have been deposed without knowing it. Nothing is placed before a commit
// has shown whose the partitions are: the next owner may not see every executor, and an executor that has not heard of
// it would run what is being run.
void Core::State::DoubtOwnership() {
  const bool stood_still = stepped_us != 0 && context_.now_us() - stepped_us > kSessionMs * kMicrosPerMilli;
  stepped_us = context_.now_us();
  if (!stood_still) return;
  for (auto& [id, partition] : partitions) {
    if (partition->phase == Partition::Phase::kOwned) Reclaim(*partition, partition->epoch + 1);
  }
}

void Core::State::On(const Tick&) {
  executors_.Tick();
  RunTimers();
  TellDemand();
}

void Core::State::RunTimers() {
  while (!timers.empty() && timers.begin()->first <= context_.now_us()) {
    const std::uint64_t serial = timers.begin()->second;
    timers.erase(timers.begin());
    const auto found = by_serial.find(serial);
    if (found == by_serial.end()) continue;
    found->second->due_us = 0;
    FireTimer(*found->second);
  }

  for (const ExecutorId& id : executors_.TakeSilent()) EndLease(*executors_.Find(id));

  for (const auto& [id, partition] : partitions) {
    if (partition->phase == Partition::Phase::kClaiming) {
      if (partition->claim_at_us != 0 && context_.now_us() >= partition->claim_at_us) StartClaim(*partition);
      continue;
    }
    ReviewSettling(*partition);
    const bool due =
        context_.now_us() - partition->committed_at_us >= context_.settings().commit_interval_ms * kMicrosPerMilli;
    if (partition->dirty && !partition->commit_pending && due) CommitNow(*partition, false);
    if (partition->paused) UpdateIntake(*partition);
  }
  if (turns_.users() > kMaxIdleUsers) PruneUsers();
}

void Core::State::FireTimer(Invocation& invocation) {
  switch (invocation.stage) {
    case Stage::kKeyed:
    case Stage::kQueued:
      if (!MayQueue(invocation)) {  // it may have ended under a former owner
        SetTimer(invocation, context_.After(kSettleLookMs));
        return;
      }
      Refuse(invocation, {Verdict::kExpire, "expired", "the invocation expired before it started"});
      return;
    case Stage::kNoFunction: {
      Answer answer = AnswerTo(invocation);
      if (answer.verdict == Verdict::kAwaitFunction) answer.verdict = Verdict::kReject;
      Refuse(invocation, answer);
      return;
    }
    case Stage::kBackoff: Enqueue(invocation); return;
    case Stage::kProduceBackoff: ProduceNext(invocation); return;
    case Stage::kPlaced: {
      // Far beyond its time-out: the executor, if it is there, says what became of it.
      const Executor* executor = executors_.Find(invocation.executor);
      const bool may_ask = invocation.partition->phase != Partition::Phase::kClaiming;
      if (may_ask && executor != nullptr && executor->connected()) SendFence(*invocation.partition, *executor);
      SetTimer(invocation, context_.After(kOverdueGraceMs));
      return;
    }
    case Stage::kProducing: return;
  }
}

void Core::State::SetTimer(Invocation& invocation, std::int64_t due_us) {
  if (invocation.due_us != 0) timers.erase({invocation.due_us, invocation.serial});
  invocation.due_us = due_us;
  if (due_us != 0) timers.insert({due_us, invocation.serial});
}

void Core::State::On(const DrainRequested&) {
  if (context_.draining()) return;
  context_.Drain();
  drain_until_us = context_.After(context_.settings().drain_deadline_ms);
  for (const auto& [id, partition] : partitions) {
    if (!partition->paused) context_.Emit(PauseIntake{id});
    partition->paused = true;
  }
}

void Core::State::CheckDrain() {
  if (!context_.draining() || drained) return;
  if ((placed > 0 || producing > 0) && context_.now_us() < drain_until_us) return;
  drained = true;
  for (const auto& [id, partition] : partitions) {
    if (partition->phase != Partition::Phase::kClaiming) CommitNow(*partition, true);
  }
  context_.Emit(DrainFinished{});
}

void Core::State::Check(bool truth, const char* what, const Partition& partition) const {
  if (truth) return;
  std::fprintf(stderr, "dispatcher core: %s broken on %s/%d epoch %lld: received %lld complete %lld held %zu\n", what,
               partition.id.topic.c_str(), partition.id.partition, static_cast<long long>(partition.epoch),
               static_cast<long long>(partition.ledger.received()), static_cast<long long>(partition.ledger.complete()),
               partition.invocations.size());
  std::abort();
}

Trace& Core::State::Note(Trace::Kind kind, const Invocation& invocation, std::string_view constraint) {
  Trace trace;
  trace.kind = kind;
  trace.partition = invocation.partition->id;
  trace.offset = invocation.offset;
  trace.epoch = invocation.partition->epoch;
  trace.id = invocation.request.id;
  trace.user = invocation.request.user;
  trace.function = invocation.request.function;
  trace.executor = invocation.executor;
  trace.attempt = invocation.attempt;
  trace.constraint = std::string(constraint);
  trace.times = invocation.times;
  LogStep(kind, invocation, constraint);
  return context_.Emit(std::move(trace));
}

void Core::State::NotePartition(Trace::Kind kind, const Partition& partition, std::string_view constraint) {
  Trace trace;
  trace.kind = kind;
  trace.partition = partition.id;
  trace.epoch = partition.epoch;
  trace.constraint = std::string(constraint);
  context_.Emit(std::move(trace));
}

Partition* Core::State::Find(const PartitionId& id) const {
  const auto found = partitions.find(id);
  return found == partitions.end() ? nullptr : found->second.get();
}

Invocation* Core::State::Find(Partition& partition, std::int64_t offset) {
  const auto found = partition.invocations.find(offset);
  return found == partition.invocations.end() ? nullptr : &found->second;
}

const Function* Core::State::FunctionOf(const Request& request) const {
  return functions_.Find(request.user, request.function);
}

}  // namespace hearth::dispatcher
