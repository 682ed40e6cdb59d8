// What is told of how invocations are decided: a trace of each step for logs and metrics, and the decision log for
// whoever asks why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dispatcher/core/context.h"
#include "dispatcher/core/decisions.h"
#include "dispatcher/core/invocation.h"
#include "dispatcher/core/placement.h"

namespace hearth::dispatcher {

// How an invocation waited for its place.
struct Wait {
  std::int64_t queue_us = 0;
  std::string_view held_by;  // why it was not placed when its turn came last; lives for ever
};

class Journal {
 public:
  explicit Journal(Context& context) : context_(context) {}

  // Tells of a step. Returns its trace, for what is added to it before the next effect.
  Trace& Note(Trace::Kind kind, Invocation& invocation, std::string_view constraint);
  // It was placed, after that wait. `executors`: how many there are, of whom the candidates were looked at.
  void NotePlacement(Invocation& invocation, const Wait& wait, const Wanted& wanted, const Placement& placement,
                     std::size_t executors, const std::vector<Candidate>& candidates);
  // It is complete.
  void NoteEnd(Invocation& invocation);

  // The dispatcher's words of `why` (schemas/README.md). `refusal`: what decided where no executor's answer is
  // published; else empty.
  [[nodiscard]] std::string WhyOf(const Invocation& invocation, std::string_view refusal) const;
  // The newest line of that id, or null. Holds until the next step.
  [[nodiscard]] const Decision* Find(const InvocationId& id) const { return decisions_.Find(id); }
  [[nodiscard]] std::size_t size() const { return decisions_.size(); }
  [[nodiscard]] std::size_t bytes() const { return decisions_.bytes(); }

 private:
  void NoteStep(Trace::Kind kind, Invocation& invocation, std::string_view constraint);

  Context& context_;
  Decisions decisions_;
};

}  // namespace hearth::dispatcher
