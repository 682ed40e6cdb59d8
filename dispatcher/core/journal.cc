#include "dispatcher/core/journal.h"

#include <algorithm>

#include "dispatcher/core/partition.h"
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

// Steps that each record takes are of interest one by one only where a log is read for that.
bool IsUsual(Trace::Kind kind) {
  return kind == Trace::Kind::kReceived || kind == Trace::Kind::kPlaced || kind == Trace::Kind::kCompleted ||
         kind == Trace::Kind::kNacked;
}

}  // namespace

Trace& Journal::Note(Trace::Kind kind, Invocation& invocation, std::string_view constraint) {
  NoteStep(kind, invocation, constraint);
  Trace trace;
  trace.kind = kind;
  trace.times = invocation.times();
  if (!context_.settings().detailed_traces && IsUsual(kind)) return context_.Emit(std::move(trace));
  trace.partition = invocation.partition().id();
  trace.offset = invocation.offset();
  trace.epoch = invocation.partition().epoch();
  trace.id = invocation.request().id;
  trace.user = invocation.request().user;
  trace.function = invocation.request().function;
  trace.executor = invocation.executor();
  trace.attempt = invocation.tries().attempt();
  trace.constraint = std::string(constraint);
  return context_.Emit(std::move(trace));
}

void Journal::NoteStep(Trace::Kind kind, Invocation& invocation, std::string_view constraint) {
  const std::string_view what = StepName(kind);
  if (what.empty()) return;
  if (decisions_.At(invocation.decision()) == nullptr) {
    Decision line;
    line.id = invocation.request().id;
    line.user = invocation.request().user;
    line.function = invocation.request().function;
    line.partition = invocation.partition().id();
    line.offset = invocation.offset();
    line.epoch = invocation.partition().epoch();
    line.times = invocation.times();
    invocation.NoteDecision(decisions_.Open(std::move(line)));
  }
  if (kind == Trace::Kind::kPlaced) return;  // NotePlacement knows more
  DecisionStep step;
  step.what = what;
  step.wall_us = context_.now().wall_us;
  step.attempt = invocation.tries().attempt();
  step.executor = invocation.executor();
  step.constraint = std::string(constraint);
  decisions_.Add(invocation.decision(), std::move(step));
}

void Journal::NotePlacement(Invocation& invocation, const Wait& wait, const Wanted& wanted, const Placement& placement,
                            std::size_t executors, const std::vector<Candidate>& candidates) {
  Note(Trace::Kind::kPlaced, invocation, placement.constraint).path = placement.expected;
  DecisionStep step;
  step.what = StepName(Trace::Kind::kPlaced);
  step.wall_us = context_.now().wall_us;
  step.attempt = invocation.tries().attempt();
  step.executor = invocation.executor();
  step.constraint = std::string(placement.constraint);
  step.expected = placement.expected;
  step.queue_us = std::max<std::int64_t>(0, wait.queue_us);
  step.held_by = wait.held_by;
  step.executors = static_cast<std::int32_t>(executors);
  step.looked_at = static_cast<std::int32_t>(candidates.size());
  step.fit = placement.fit;
  step.candidates = Consider(wanted, candidates, placement.executor, kMaxDecisionCandidates);
  if (Decision* line = decisions_.At(invocation.decision()); line != nullptr) {
    line->epoch = invocation.partition().epoch();
    line->times = invocation.times();
  }
  decisions_.Add(invocation.decision(), std::move(step));
}

void Journal::NoteEnd(Invocation& invocation) {
  Trace& trace = Note(Trace::Kind::kCompleted, invocation, invocation.ending().reason);
  trace.status = invocation.ending().status;
  trace.path = invocation.path();
  if (Decision* line = decisions_.At(invocation.decision()); line != nullptr) {
    line->complete = true;
    line->status = invocation.ending().status;
    line->path = invocation.path();
    line->reason = invocation.ending().reason;
    line->times = invocation.times();
  }
}

std::string Journal::WhyOf(const Invocation& invocation, std::string_view refusal) const {
  constexpr auto kMost = kMaxWhyOfDispatcherBytes;
  std::string why;
  if (!refusal.empty()) AddWhy(why, "decided", refusal, kMost);
  if (const Decision* line = decisions_.At(invocation.decision()); line != nullptr) {
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
      AddWhy(why, "held_by", invocation.held_by(), kMost);
    }
  }
  const Tries& tries = invocation.tries();
  if (tries.failed() > 0) AddWhy(why, "tries", tries.failed(), kMost);
  if (tries.infrastructure_failures() > 0) AddWhy(why, "infra", tries.infrastructure_failures(), kMost);
  if (tries.returned() > 0) AddWhy(why, "returned", tries.returned(), kMost);
  return why;
}

}  // namespace hearth::dispatcher
