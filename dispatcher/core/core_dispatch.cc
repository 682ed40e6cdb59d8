// From the queue to an executor.
#include <algorithm>
#include <map>

#include "dispatcher/core/core.h"
#include "dispatcher/core/spread.h"

namespace hearth::dispatcher {
namespace {

constexpr std::int64_t kDemandIntervalMs = 500;  // executors are told at most so often what waits
constexpr std::size_t kMaxDemandLines = 4096;    // functions with something queued that are looked at for it
constexpr std::size_t kMaxDemandProfiles = 64;

}  // namespace

void Core::Dispatch() {
  if (context_.draining() || turns_.empty()) return;
  turns_.Offer([this](FairQueue::Ticket ticket) { return TryPlace(invocations_.Get(ticket)); });
}

FairQueue::Offered Core::TryPlace(Invocation& invocation) {
  using Offered = FairQueue::Offered;
  if (!executors_.AnyOpen()) {
    invocation.HoldBack("credit");
    return Offered::kStop;
  }

  const Function* function = FunctionOf(invocation);
  Answer answer = AnswerTo(invocation);
  if (answer.verdict != Verdict::kAdmit) {
    // The function was there, and was removed.
    if (answer.verdict == Verdict::kAwaitFunction) answer.verdict = Verdict::kReject;
    Refuse(invocation, answer);
    return Offered::kTaken;
  }
  switch (turns_.Ask(*function)) {
    case Turn::kUserAtCap: invocation.HoldBack("user_cap"); return Offered::kSkipUser;
    case Turn::kFunctionAtCap: invocation.HoldBack("function_cap"); return Offered::kSkipFunction;
    case Turn::kRun: break;
  }

  const Placement placement = ChooseExecutor(*function);
  if (!placement.executor) {
    invocation.HoldBack(placement.constraint);
    return Offered::kSkipFunction;
  }
  if (placement.expected == StartPath::kContainer && claims_.IsShared(function->user) &&
      !claims_.Take(*placement.executor, *function)) {
    invocation.HoldBack("claim");
    return Offered::kSkipFunction;
  }

  Executor& executor = *executors_.Find(*placement.executor);
  executors_.Spend(executor, function->profile, placement.expected);
  const Wait wait{context_.now_us() - invocation.waiting_since_us(), invocation.held_by()};
  invocations_.Start(invocation, executor, *function);
  journal_.NotePlacement(invocation, wait, {function->user, function->memory_mib}, placement, executors_.all().size(),
                         candidates_);
  SendExec(invocation, executor, *function);
  return Offered::kTaken;
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

void Core::SendExec(Invocation& invocation, const Executor& executor, const Function& function) {
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
  exec.traceparent = request.traceparent;
  exec.content_type = request.content_type;
  exec.timeout_ms = function.timeout_ms;
  if (request.timeout_ms > 0 && request.timeout_ms < function.timeout_ms)
    exec.timeout_ms = static_cast<std::int32_t>(request.timeout_ms);
  exec.times = invocation.times();
  exec.function = function;
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

// Invocations that wait for a place, by profile; of each user no more than the user could have placed at once.
std::vector<link::ProfileDemand> Core::MeasureDemand() const {
  std::map<std::string, std::int64_t> waiting;
  std::map<UserId, std::int64_t> room;
  turns_.Walk(kMaxDemandLines,
              [&](const UserId& user, const FunctionName& name, std::int64_t queued, std::int64_t user_room) {
                const Function* function = registry_.Find(user, name);
                if (function == nullptr) return;
                std::int64_t& left = room.try_emplace(user, user_room).first->second;
                const auto counted = std::min(queued, left);
                left -= counted;
                if (counted > 0) waiting[function->profile] += counted;
              });
  std::vector<link::ProfileDemand> demand;
  for (const auto& [profile, count] : waiting) {
    if (demand.size() < kMaxDemandProfiles) demand.push_back({profile, count});
  }
  return demand;
}

}  // namespace hearth::dispatcher
