// From the queue to an executor.
#include <algorithm>

#include "dispatcher/core/core.h"
#include "dispatcher/core/spread.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kDemandIntervalMs = 500;  // executors are told at most so often what waits
constexpr std::size_t kMaxDemandProfiles = 64;

}  // namespace

// What is offered has passed what Turns knows of it: the bounds, shares and reserves, and that somebody has a place of
// its kind. What has come to wait is told why.
void Core::Dispatch() {
  if (!context_.draining()) {
    turns_.Offer([this](Ticket ticket) { return TryPlace(invocations_.Get(ticket.serial)); });
  }
  for (const Ticket ticket : turns_.TakeNew()) {
    Invocation* invocation = invocations_.FindQueued(ticket.serial);
    if (invocation == nullptr) continue;
    const Request& request = invocation->request();
    const auto why = turns_.WhyNot(invocation->partition().request_class(), request.user, request.function);
    if (!why.empty()) invocation->HoldBack(why);
  }
}

Turns::Offered Core::TryPlace(Invocation& invocation) {
  using Offered = Turns::Offered;
  const std::shared_ptr<const Function>& function =
      registry_.Share(invocation.request().user, invocation.request().function);
  Answer answer = AnswerTo(invocation);
  if (answer.verdict != Verdict::kAdmit) {
    // The function was there, and was removed.
    if (answer.verdict == Verdict::kAwaitFunction) answer.verdict = Verdict::kReject;
    Refuse(invocation, answer);
    return Offered::kGone;
  }

  const Placement placement = ChooseExecutor(*function);
  if (!placement.executor) {
    invocation.HoldBack(placement.constraint);
    if (placement.constraint != kWaitingRoom) return Offered::kNoPlace;
    if (executors_.HasRefused(function->user)) return Offered::kRefused;
    return warm_.HasAny(function->user) ? Offered::kNoFurther : Offered::kNoFirst;
  }
  const auto waiting = [&] {
    return turns_.Queued(invocation.partition().request_class(), function->user, function->name);
  };
  if (placement.expected == StartPath::kContainer && claims_.IsShared(function->user) &&
      !claims_.Take(*placement.executor, *function, waiting())) {
    invocation.HoldBack(kReasons.at(static_cast<std::size_t>(Reason::kClaim)).name);
    return Offered::kClaim;
  }

  Executor& executor = *executors_.Find(*placement.executor);
  executors_.Spend(executor, function->profile, placement.expected);
  const Wait wait{context_.now_us() - invocation.waiting_since_us(), invocation.held_by()};
  invocations_.Start(invocation, executor, *function);
  journal_.NotePlacement(invocation, wait, {function->user, function->memory_mib}, placement, executors_.all().size(),
                         candidates_);
  SendExec(invocation, executor, function);
  return Offered::kPlaced;
}

// A warm invocation looks at the executors that hold something of its user, and at no other.
Placement Core::ChooseExecutor(const Function& function) {
  const Wanted wanted{function.user, function.memory_mib};
  candidates_.clear();
  warm_.ForExecutorsOf(function.user, [&](const ExecutorId& id) {
    const Executor* executor = executors_.Find(id);
    if (executor != nullptr) candidates_.push_back(executors_.Describe(*executor, function));
  });
  const auto all = [&]() -> const std::vector<Candidate>& {
    candidates_.clear();
    for (const auto& [id, executor] : executors_.all()) {
      candidates_.push_back(executors_.Describe(executor, function));
    }
    return candidates_;
  };
  return PlaceWarmFirst(wanted, candidates_, executors_.all().size() > candidates_.size(), all);
}

void Core::SendExec(Invocation& invocation, const Executor& executor, std::shared_ptr<const Function> described) {
  const Function& function = *described;
  const Request& request = invocation.request();
  const Settings& settings = context_.settings();
  link::Exec exec;
  exec.ref = invocation.partition().RefOf(invocation);
  exec.id = request.id;
  exec.try_number = invocation.tries().failed() + 1;
  exec.expires_ms = DeadlineMs(request, &function, invocation.record().timestamp_ms);
  const std::int64_t next_try_ms = context_.wall_ms() + RetryWaitMs(settings, invocation.serial(), exec.try_number);
  exec.final_try = exec.try_number >= function.max_attempts || (exec.expires_ms != 0 && next_try_ms >= exec.expires_ms);
  exec.form = request.form;
  exec.reply_to = request.reply_to.empty() ? settings.reply_topic : request.reply_to;
  if (const link::ItemOfBatch* item = invocation.item(); item != nullptr) {
    exec.item = *item;
    exec.reply_to = settings.batch_results_topic;
    auto& times = invocation.partition().batch()->state.times;
    if (times.started_ms == 0) times.started_ms = context_.wall_ms();
  }
  exec.traceparent = request.traceparent;
  exec.content_type = request.content_type;
  exec.timeout_ms = function.timeout_ms;
  if (request.timeout_ms > 0 && request.timeout_ms < function.timeout_ms)
    exec.timeout_ms = static_cast<std::int32_t>(request.timeout_ms);
  exec.times = invocation.times();
  exec.function = std::move(described);
  exec.why = journal_.WhyOf(invocation, "");
  exec.payload = invocation.payload();
  invocations_.SetTimer(invocation, context_.After(exec.timeout_ms + kOverdueGraceMs));
  context_.Emit(SendToExecutor{executor.id(), std::move(exec)});
}

// Executors are told of the work that has no place yet, so that their pools grow before it comes to them. Each gets its
// share.
void Core::TellDemand() {
  if (context_.now_us() < demand_due_us_) return;
  demand_due_us_ = context_.After(kDemandIntervalMs);
  const std::int64_t takers = executors_.takers();
  if (takers == 0) return;
  auto share = MeasureDemand();
  for (auto& each : share) each.waiting = (each.waiting + takers - 1) / takers;
  executors_.TellDemand(share);
}

std::vector<link::ProfileDemand> Core::MeasureDemand() const {
  std::vector<link::ProfileDemand> demand;
  for (const auto& [profile, count] : turns_.Demand()) {
    if (demand.size() < kMaxDemandProfiles) demand.push_back({profile, count});
  }
  return demand;
}

// What sleeps, and why, is looked at as if nothing were known of places.
void Core::LookAtSleepers() {
  turns_.Tick([this](Ticket ticket) {
    const Function* function = FunctionOf(invocations_.Get(ticket.serial));
    if (function == nullptr || !ChooseExecutor(*function).executor) return false;
    executors_.RecountPlaces();
    return true;
  });
}

Turns::Need Core::NeedOf(const Function* function) {
  if (function == nullptr) return {};
  return {executors_.places().KindOf(function->profile, function->runtime), function->memory_mib,
          function->concurrency};
}

}  // namespace hearth::dispatcher
