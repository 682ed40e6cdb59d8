// Batches: from a spec to its end. What its items do is in core_items.cc.
#include <algorithm>

#include "dispatcher/core/core.h"

namespace hearth::dispatcher {

// The partition of hearth.batches is ours for certain, and so is what runs of its batches.
void Core::OwnHome(const Partition& home) {
  batches_.Own(home.id(), home.epoch());
  batches_.ForEach(home.id(), [&](Batch& batch) {
    if (batch.run == nullptr) return;
    RestartPages(batch);
    ownership_.Follow(*batch.run->partition);
    QueueHeld(*batch.run->partition);
  });
  batches_.TouchAll(home.id());
}

void Core::DisownHome(const PartitionId& home) {
  batches_.Disown(home);
  batches_.ForEach(home, [this](Batch& batch) {
    if (batch.run == nullptr) return;
    invocations_.LeaveQueue(*batch.run->partition);
    ownership_.Unown(*batch.run->partition);
  });
}

void Core::ForgetHome(const PartitionId& home) {
  batches_.ForEach(home, [this](Batch& batch) {
    if (batch.run != nullptr) ForgetRun(batch);
  });
  batches_.Forget(home);
}

void Core::ForgetRun(Batch& batch) {
  Partition& partition = *batch.run->partition;
  invocations_.Forget(partition);
  ownership_.Forget(partition);
  batch.run.reset();
}

void Core::On(const StatesRead& event) {
  batches_.TakeStates(event);
  if (batches_.EpochOf(event.partition) != event.epoch) return;
  std::int64_t highest = 0;
  for (const StatesRead::State& one : event.states) highest = std::max(highest, one.state.epoch);
  if (IsAbove(highest, event.epoch)) Reclaim(*ownership_.Find(event.partition), highest + 1);
}

void Core::ReviewBatches() {
  if (context_.draining()) return;
  constexpr int kMostInAStep = 256;
  for (int done = 0; done < kMostInAStep; ++done) {
    Batch* batch = batches_.TakeTouched();
    if (batch == nullptr) return;
    Review(*batch);
  }
}

void Core::Review(Batch& batch) {
  const bool refused = batch.retry_at_us != 0;
  if (refused && context_.now_us() < batch.retry_at_us) return batches_.Later(batch);
  switch (batch.stage) {
    case BatchStage::kKnown: return ReviewKnown(batch);
    case BatchStage::kAccepting:
      if (refused) batches_.Accept(batch, BatchSpec(*batch.accepted));
      return;
    case BatchStage::kWaiting: return ReviewWaiting(batch);
    case BatchStage::kFetching:
      if (refused) FetchSpec(batch);
      return;
    case BatchStage::kResuming: return;
    case BatchStage::kRunning: return ReviewRun(batch);
    case BatchStage::kFreezing:
    case BatchStage::kRedriving:
      if (!batch.is_told && batches_.WriteState(batch, true)) batch.is_told = true;
      return;
    case BatchStage::kCompleting: return ReviewCompletion(batch);
    case BatchStage::kEnded: return ReviewEnded(batch);
  }
}

// What nobody has taken yet, or what was found when its partition came to us.
void Core::ReviewKnown(Batch& batch) {
  if (batch.accepted != nullptr) {
    const bool is_its_state = batch.has_state && batch.state.digest == batch.accepted->digest;
    if (!is_its_state) BeginState(batch);
    const bool has_ended = batch.state.phase == BatchPhase::kEnded;
    const bool completes = !batch.accepted->on_complete.empty() && !batch.state.on_complete;
    batch.stage = has_ended && !completes ? BatchStage::kEnded : BatchStage::kWaiting;
    if (batch.stage == BatchStage::kEnded) batches_.LetGo(batch);
    return batches_.Touch(batch);
  }
  if (batch.offered_ms <= batch.state.times.ended_ms && HasExpired(batch)) return batches_.Remove(batch);
  const bool is_answered = batch.has_state && !batch.state_sent && batch.state.phase == BatchPhase::kEnded &&
                           batch.state.times.submitted_ms == batch.offered_ms;
  if (is_answered) batch.offered.reset();  // it was refused, once and for all: another spec may come
  const bool is_young =
      context_.now_us() - batch.offered_us < context_.settings().unknown_function_grace_ms * kMicrosPerMilli;
  if (batch.offered) {
    if (!*batch.offered) return batches_.Refuse(batch, batch.offered->error().message);
    const BatchSpec& offered = **batch.offered;
    const Function* function = registry_.Find(batch.ref.user, offered.function);
    if (function == nullptr && is_young) return batches_.Later(batch);
    auto spec =
        AcceptSpec(offered, batch.ref.user, batch.offered_ms, context_.wall_ms(), function, context_.settings());
    if (!spec) return batches_.Refuse(batch, spec.error().message);
    return batches_.Accept(batch, std::move(*spec));
  }
  const bool is_wished = std::ranges::any_of(batch.wishes, [](const auto& wish) { return wish.has_value(); });
  if (!is_wished || batch.has_state) return;
  if (is_young) return batches_.Later(batch);
  batches_.Refuse(batch, std::string(kUnknownBatch));
}

void Core::ReviewWaiting(Batch& batch) {
  const bool has_ended = batch.state.phase == BatchPhase::kEnded;  // but for what runs on completion
  const Orders orders = OrdersOf(&batch);
  if (batches_.HasRoom(batch.ref.user, !has_ended && EndsBy(orders, context_.wall_ms()))) {
    batches_.Run(batch);
    return batch.has_items ? Start(batch) : FetchSpec(batch);
  }
  batches_.LetGo(batch);
  if (!has_ended && ShowOrders(batch.state, orders)) batch.state_due = true;
  if (batch.state_due) (void)batches_.WriteState(batch, false);
  batches_.Later(batch);
}

void Core::BeginState(Batch& batch) {
  BatchState state;
  state.function = batch.accepted->function;
  state.version = batch.accepted->version;
  state.total = batch.accepted->total;
  state.counts[ItemStatus::kPending] = state.total;
  state.digest = batch.accepted->digest;
  state.times.submitted_ms = batch.offered_ms;
  state.labels = batch.accepted->labels;
  batch.state = std::move(state);
  ShowOrders(batch.state, OrdersOf(&batch));
}

// A record of a batch is durable, or was refused.
void Core::OnBatchRecord(const ProduceFinished& event) {
  const auto [batch, kind, ok] = batches_.TakeWritten(event);
  if (batch == nullptr) return;
  switch (kind) {
    case Batches::Kind::kAccepted:
      if (!ok || batch->stage != BatchStage::kAccepting) return;
      batch->is_new = true;
      batch->stage = BatchStage::kWaiting;
      BeginState(*batch);
      batches_.WriteState(*batch, true);
      return;
    case Batches::Kind::kState:
      if (!batch->is_told) {
        if (!ok) batch->state_due = true;
        if (!ok && batch->stage == BatchStage::kKnown) batch->has_state = false;  // it was refused, and is again
        return;
      }
      batch->is_told = false;
      if (!ok) return;
      if (batch->stage == BatchStage::kFreezing) return Complete(*batch);
      if (batch->stage == BatchStage::kRedriving) {
        batch->is_new = false;
        batch->stage = BatchStage::kWaiting;
      }
      if (batch->stage == BatchStage::kCompleting) End(*batch);
      return;
    case Batches::Kind::kTold: batch->state.on_complete = ok ? ItemStatus::kOk : ItemStatus::kError; return;
  }
}

void Core::Start(Batch& batch) {
  const BatchSpec& spec = *batch.accepted;
  const bool has_ended = batch.state.phase == BatchPhase::kEnded;  // nothing is left of it but what runs on completion
  batch.run = std::make_unique<BatchRun>(spec, context_.settings().batch_items_topic,
                                         ItemStatuses(spec.total, batch.state.generation, batch.state.selection));
  BatchRun& run = *batch.run;
  run.in_order = run.places.InOrder();
  Partition& home = *ownership_.Find(batch.home);
  const std::int64_t generation = LedgerGenerationOf(batch.state.times.submitted_ms, batch.state.generation);
  const bool has_pages = !batch.is_new && !has_ended;
  run.partition = &ownership_.TakeBatch(home, batch, generation, run.places.size(), has_pages);
  invocations_.WantUnread(*run.partition, false);
  if (has_ended) {
    invocations_.Claim(*run.partition, {{0, run.places.size()}});
    return Complete(batch);
  }
  batch.stage = BatchStage::kResuming;
  if (!has_pages) Run(batch);
}

// No executor obeys a former owner any more, and this is what they have written. What executors have told meanwhile is
// judged by it.
void Core::Resume(Batch& batch, const std::vector<PagesRead::Page>& pages) {
  BatchRun& run = *batch.run;
  batch.old_pages.clear();
  for (const PagesRead::Page& page : pages) {
    if (page.key.batch != batch.ref) continue;
    batch.old_pages.push_back(page.key);
    if (const auto read = run.statuses.Read(page.key, page.value); !read) NoteBatch(batch, "unreadable_page");
  }
  ClaimEnded(batch);
  Run(batch);
  TakeEarlyItemEnds(*run.partition);
}

void Core::Run(Batch& batch) {
  batch.stage = BatchStage::kRunning;
  invocations_.Begin(*batch.run->partition);
  TakeOrders(batch, PrioritiesOf(batch.ref.user));
  batches_.Touch(batch);
}

// What has its status is complete, as far as items lie in their order.
void Core::ClaimEnded(Batch& batch) {
  BatchRun& run = *batch.run;
  if (!run.in_order) return;
  std::vector<LedgerRange> complete;
  for (std::int64_t index = 0; index < run.statuses.total(); ++index) {
    if (run.statuses.Of(index) == ItemStatus::kPending) continue;
    if (!complete.empty() && complete.back().start + complete.back().length == index) {
      ++complete.back().length;
    } else {
      complete.push_back({index, 1});
    }
  }
  run.has_claimed_places = !complete.empty();
  invocations_.Claim(*run.partition, complete);
}

std::int64_t Core::PrioritiesOf(const UserId& user) const {
  std::int64_t sum = 0;
  for (const Batch* batch : batches_.running()) {
    if (batch->ref.user == user) sum += OrdersOf(batch).priority;
  }
  return sum;
}

Orders Core::OrdersOf(const Batch* batch) {
  return dispatcher::OrdersOf(*batch->accepted, batch->state.times.submitted_ms, batch->wishes,
                              batch->state.generation);
}

// What is wished of it holds from now on.
void Core::TakeOrders(Batch& batch, std::int64_t priorities) {
  BatchRun& run = *batch.run;
  run.orders = OrdersOf(&batch);
  if (ShowOrders(batch.state, run.orders)) batch.state_due = true;
  if (run.stop == StopCause::kNone) {
    if (Cancels(run.orders)) {
      run.stop = StopCause::kCancelled;
    } else if (EndsBy(run.orders, context_.wall_ms())) {
      run.stop = StopCause::kExpired;
    } else if (std::exchange(run.has_failures, false) && run.orders.tolerance &&
               run.orders.tolerance->IsPassed(run.statuses.Counts().Failed(), run.statuses.total())) {
      run.stop = StopCause::kTolerance;
    }
  }
  run.kills = run.orders.run == RunWish::kCancelNow;
  const Function* function = registry_.Find(batch.ref.user, batch.accepted->function);
  std::int64_t& version = batch.state.version;
  run.is_outdated = function != nullptr && !MayRunVersion(version, run.orders, *function);
  if (function != nullptr && !run.is_outdated && version != kVersionNewest) {
    if (std::exchange(version, function->version) != function->version) batch.state_due = true;
  }
  const bool pauses = run.orders.run == RunWish::kPause || run.is_outdated;
  const std::int64_t window = pauses ? 0 : WindowOf(run.orders, priorities);
  const bool stops = window == 0 && run.window != 0;
  run.window = window;
  if (!stops) return;
  invocations_.LeaveQueue(*run.partition);
  const auto is_out = [](const Invocation& item) { return item.stage() == Stage::kQueued && !item.in_queue(); };
  for (const Invocation* item : run.partition->records().Select(is_out)) run.waiting.insert(item->offset());
}

void Core::NoteBatch(const Batch& batch, std::string_view what) {
  Trace trace;
  trace.kind = Trace::Kind::kFenced;
  trace.partition = batch.home;
  trace.user = batch.ref.user;
  trace.id = InvocationId(batch.ref.batch.value);
  trace.epoch = batches_.EpochOf(batch.home);
  trace.constraint = std::string(what);
  context_.Emit(std::move(trace));
}

}  // namespace hearth::dispatcher
