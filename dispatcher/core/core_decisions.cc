// What is remembered and told of how invocations got their places.
#include <algorithm>

#include "dispatcher/core/core_state.h"
#include "schemas/why.h"

namespace hearth::dispatcher {
namespace {

// Empty: not a step of its own.
std::string_view StepName(Trace::Kind kind) {
  switch (kind) {
    case Trace::Kind::kRefused: return "refused";
    case Trace::Kind::kPlaced: return "placed";
    case Trace::Kind::kRetried: return "retried";
    case Trace::Kind::kDeadLettered: return "dead-lettered";
    case Trace::Kind::kNacked: return "nacked";
    case Trace::Kind::kAdopted: return "adopted";
    case Trace::Kind::kLostPlacement: return "lost";
    case Trace::Kind::kReceived:
    case Trace::Kind::kCompleted:
    case Trace::Kind::kFenced: break;
  }
  return {};
}

}  // namespace

void Core::State::LogStep(Trace::Kind kind, const Invocation& invocation, std::string_view constraint) {
  const std::string_view what = StepName(kind);
  if (what.empty()) return;
  if (decisions.At(invocation.decision) == nullptr) {
    Decision line;
    line.id = invocation.request.id;
    line.user = invocation.request.user;
    line.function = invocation.request.function;
    line.partition = invocation.partition->id;
    line.offset = invocation.offset;
    line.epoch = invocation.partition->epoch;
    line.times = invocation.times;
    invocation.decision = decisions.Open(std::move(line));
  }
  if (kind == Trace::Kind::kPlaced) return;  // LogPlacement knows more
  DecisionStep step;
  step.what = what;
  step.wall_us = context_.now().wall_us;
  step.attempt = invocation.attempt;
  step.executor = invocation.executor;
  step.constraint = std::string(constraint);
  decisions.Add(invocation.decision, std::move(step));
}

void Core::State::LogPlacement(const Invocation& invocation, const Wanted& wanted, const Placement& placement) {
  DecisionStep step;
  step.what = StepName(Trace::Kind::kPlaced);
  step.wall_us = context_.now().wall_us;
  step.attempt = invocation.attempt;
  step.executor = invocation.executor;
  step.constraint = std::string(placement.constraint);
  step.expected = placement.expected;
  step.queue_us = std::max<std::int64_t>(0, context_.now_us() - invocation.queued_us);
  step.held_by = invocation.held_by;
  step.executors = static_cast<std::int32_t>(executors_.all().size());
  step.looked_at = static_cast<std::int32_t>(candidates.size());
  step.fit = placement.fit;
  step.candidates = Consider(wanted, candidates, placement.executor, kMaxDecisionCandidates);
  if (Decision* line = decisions.At(invocation.decision); line != nullptr) {
    line->epoch = invocation.partition->epoch;
    line->times = invocation.times;
  }
  decisions.Add(invocation.decision, std::move(step));
}

// The dispatcher's words of `why` (schemas/README.md). `refusal`: what decided where no executor's answer is published.
std::string Core::State::WhyOf(const Invocation& invocation, std::string_view refusal) {
  constexpr auto kMost = kMaxWhyOfDispatcherBytes;
  std::string why;
  if (!refusal.empty()) AddWhy(why, "decided", refusal, kMost);
  if (const Decision* line = decisions.At(invocation.decision); line != nullptr) {
    const auto step = std::find_if(line->steps.rbegin(), line->steps.rend(),
                                   [](const DecisionStep& each) { return each.what == "placed"; });
    if (step != line->steps.rend()) {
      if (refusal.empty()) AddWhy(why, "decided", step->constraint, kMost);
      AddWhy(why, "of", step->executors, kMost);
      AddWhy(why, "fit", step->fit, kMost);
      AddWhy(why, "expected", StartPathName(step->expected), kMost);
      AddWhy(why, "queue_us", step->queue_us, kMost);
      AddWhy(why, "held_by", step->held_by, kMost);
    } else {
      AddWhy(why, "held_by", invocation.held_by, kMost);
    }
  }
  if (invocation.failed_tries > 0) AddWhy(why, "tries", invocation.failed_tries, kMost);
  if (invocation.infrastructure_failures > 0) AddWhy(why, "infra", invocation.infrastructure_failures, kMost);
  if (invocation.returned > 0) AddWhy(why, "returned", invocation.returned, kMost);
  return why;
}

}  // namespace hearth::dispatcher
