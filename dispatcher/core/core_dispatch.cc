// From the queue to an executor.
#include <algorithm>

#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {
namespace {

bool Waits(Stage stage) {
  return stage == Stage::kKeyed || stage == Stage::kNoFunction || stage == Stage::kQueued || stage == Stage::kBackoff;
}
bool Produces(Stage stage) {
  return stage == Stage::kProducing || stage == Stage::kProduceBackoff;
}

}  // namespace

void Core::State::ChangeStage(Invocation& invocation, Stage to) {
  if (invocation.in_queue) {
    turns_.Leave(invocation.partition->request_class, invocation.request.user, invocation.request.function,
                 invocation.serial);
    invocation.in_queue = false;
  }
  SetTimer(invocation, 0);
  if (invocation.stage == Stage::kPlaced) {
    --placed;
    turns_.GiveBack(invocation.request.user, invocation.placed_function);
    executors_.GiveBack(invocation.executor, invocation.request.user, invocation.placed_function,
                        invocation.placed_version);
  }
  if (Waits(to) && !Waits(invocation.stage)) turns_.StartWaiting(invocation.request.user);
  if (!Waits(to) && Waits(invocation.stage)) turns_.StopWaiting(invocation.request.user);
  producing += (Produces(to) ? 1 : 0) - (Produces(invocation.stage) ? 1 : 0);
  awaiting_function += (to == Stage::kNoFunction ? 1 : 0) - (invocation.stage == Stage::kNoFunction ? 1 : 0);
  invocation.stage = to;
}

bool Core::State::HeadOfKey(const Invocation& invocation) {
  if (invocation.request.order_key.empty()) return true;
  const auto key = invocation.partition->keys.find({invocation.request.user, invocation.request.order_key});
  return key == invocation.partition->keys.end() || *key->second.begin() == invocation.offset;
}

void Core::State::Enqueue(Invocation& invocation) {
  const bool head = HeadOfKey(invocation);
  const Function* function = FunctionOf(invocation.request);
  ChangeStage(invocation, head ? Stage::kQueued : Stage::kKeyed);
  if (invocation.queued_us == 0) invocation.queued_us = context_.now_us();
  const std::int64_t deadline_ms = DeadlineMs(invocation.request, function, invocation.record->timestamp_ms);
  if (deadline_ms != 0) {
    const std::int64_t left_us = deadline_ms * kMicrosPerMilli - context_.now().wall_us;
    SetTimer(invocation, context_.now_us() + std::max<std::int64_t>(1, left_us));
  }
  if (!head) invocation.held_by = "order_key";
  if (head && !MayQueue(invocation)) invocation.held_by = "settling";
  if (!head || !MayQueue(invocation)) return;
  const std::int32_t memory_mib = function != nullptr ? function->memory_mib : kDefaultMemoryMib;
  turns_.Enter(invocation.partition->request_class, invocation.request.user, invocation.request.function,
               invocation.serial, memory_mib);
  invocation.in_queue = true;
}

void Core::State::Dispatch() {
  if (context_.draining() || turns_.empty()) return;
  turns_.Offer([this](FairQueue::Ticket ticket) { return TryPlace(*by_serial.at(ticket)); });
}

FairQueue::Offered Core::State::TryPlace(Invocation& invocation) {
  using Offered = FairQueue::Offered;
  // Where no executor can take anything there is no use in asking further.
  if (!executors_.AnyOpen()) {
    invocation.held_by = "credit";
    return Offered::kStop;
  }

  const Function* function = FunctionOf(invocation.request);
  const Answer answer = AnswerTo(invocation);
  if (answer.verdict != Verdict::kAdmit) {
    invocation.in_queue = false;  // the queue takes it out itself
    Answer refusal = answer;
    if (refusal.verdict == Verdict::kAwaitFunction)
      refusal.verdict = Verdict::kReject;  // it was there, and was removed
    Refuse(invocation, refusal);
    return Offered::kTaken;
  }
  switch (turns_.Ask(*function)) {
    case Turn::kUserAtCap: invocation.held_by = "user_cap"; return Offered::kSkipUser;
    case Turn::kFunctionAtCap: invocation.held_by = "function_cap"; return Offered::kSkipFunction;
    case Turn::kRun: break;
  }

  const Placement placement = ChooseExecutor(*function);
  if (!placement.executor) {
    invocation.held_by = placement.constraint;
    return Offered::kSkipFunction;
  }

  if (placement.expected == StartPath::kContainer && claims_.IsShared(function->user) &&
      !claims_.Take(*placement.executor, *function)) {
    invocation.held_by = "claim";
    return Offered::kSkipFunction;
  }
  Executor& executor = *executors_.Find(*placement.executor);
  executors_.Spend(executor, function->profile, placement.expected);
  invocation.in_queue = false;  // the queue takes it out itself
  ++invocation.attempt;
  invocation.times.placed_us = context_.now().wall_us;
  TakePlace(invocation, executor, function->name, function->version, function->memory_mib);
  Note(Trace::Kind::kPlaced, invocation, placement.constraint).path = placement.expected;
  LogPlacement(invocation, {function->user, function->memory_mib}, placement);
  invocation.queued_us = 0;
  invocation.held_by = {};
  SendExec(invocation, executor, *function);
  return Offered::kTaken;
}

// A warm invocation looks at the executors that hold something of its user, and at no other.
Placement Core::State::ChooseExecutor(const Function& function) {
  const Wanted wanted{function.user, function.memory_mib};
  candidates.clear();
  warm_.ForExecutorsOf(function.user, [&](const ExecutorId& id) {
    if (const Executor* executor = executors_.Find(id)) candidates.push_back(executors_.Describe(*executor, function));
  });
  return PlaceWarmFirst(wanted, candidates, executors_.all().size() > candidates.size(),
                        [&]() -> const std::vector<Candidate>& {
                          candidates.clear();
                          for (const auto& [id, executor] : executors_.all())
                            candidates.push_back(executors_.Describe(executor, function));
                          return candidates;
                        });
}

void Core::State::TakePlace(Invocation& invocation, Executor& executor, const FunctionName& function,
                            std::int64_t version, std::int32_t memory_mib) {
  ChangeStage(invocation, Stage::kPlaced);
  invocation.executor = executor.id();
  invocation.placed_incarnation = executor.incarnation();
  invocation.placed_serial = context_.NextOrder();
  invocation.placed_function = function;
  invocation.placed_version = version;
  ++placed;
  executors_.Place(executor, invocation.request.user, function, version, memory_mib);
  turns_.Place(invocation.request.user, function);
}

std::int64_t Core::State::BackoffMs(std::uint64_t serial, std::int32_t failed_tries) const {
  std::int64_t wait_ms = context_.settings().retry_base_ms;
  for (std::int32_t i = 1; i < failed_tries && wait_ms < kDefaultMaxAgeMs; ++i) wait_ms *= 4;
  const auto spread = static_cast<std::uint64_t>(wait_ms / 2 + 1);  // three quarters to five quarters
  const std::uint64_t noise = Mix(context_.settings().seed ^ Mix(serial) ^ static_cast<std::uint64_t>(failed_tries));
  return wait_ms - wait_ms / 4 + static_cast<std::int64_t>(noise % spread);
}

void Core::State::SendExec(Invocation& invocation, Executor& executor, const Function& function) {
  const Request& request = invocation.request;
  link::Exec exec;
  exec.ref = {invocation.partition->id, invocation.offset, invocation.partition->epoch, invocation.attempt,
              invocation.partition->generation};
  exec.id = request.id;
  exec.try_number = invocation.failed_tries + 1;
  exec.expires_ms = DeadlineMs(request, &function, invocation.record->timestamp_ms);
  const std::int64_t next_try_ms = context_.wall_ms() + BackoffMs(invocation.serial, exec.try_number);
  exec.final_try = exec.try_number >= function.max_attempts || (exec.expires_ms != 0 && next_try_ms >= exec.expires_ms);
  exec.form = request.form;
  exec.reply_to = request.reply_to.empty() ? context_.settings().reply_topic : request.reply_to;
  exec.traceparent = request.traceparent;
  exec.content_type = request.content_type;
  exec.timeout_ms = function.timeout_ms;
  if (request.timeout_ms > 0 && request.timeout_ms < function.timeout_ms)
    exec.timeout_ms = static_cast<std::int32_t>(request.timeout_ms);
  exec.times = invocation.times;
  exec.function = function;
  exec.why = WhyOf(invocation, "");
  exec.payload = invocation.payload_is_value ? invocation.record->value : request.payload;
  SetTimer(invocation, context_.now_us() + (exec.timeout_ms + kOverdueGraceMs) * kMicrosPerMilli);
  context_.Emit(SendToExecutor{executor.id(), std::move(exec)});
}

}  // namespace hearth::dispatcher
