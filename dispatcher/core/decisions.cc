#include "dispatcher/core/decisions.h"

#include <algorithm>
#include <utility>

namespace hearth::dispatcher {
namespace {

// What a line takes, about: the structs and the texts.
std::size_t BytesOf(const DecisionStep& step) {
  std::size_t bytes = sizeof step + step.executor.value.size() + step.constraint.size();
  for (const auto& candidate : step.candidates) bytes += sizeof candidate + candidate.executor.value.size();
  return bytes;
}
std::size_t BytesOf(const Decision& decision) {
  return sizeof decision + decision.id.value.size() + decision.user.value.size() + decision.function.value.size() +
         decision.partition.topic.size();
}

}  // namespace

std::uint64_t Decisions::Open(Decision decision) {
  const std::uint64_t number = first_ + ring_.size();
  std::size_t bytes = BytesOf(decision);
  for (const auto& step : decision.steps) bytes += BytesOf(step);
  bytes_ += bytes;
  ring_.push_back({std::move(decision), bytes});
  Trim();
  return number;
}

Decision* Decisions::At(std::uint64_t number) {
  if (number < first_ || number - first_ >= ring_.size()) return nullptr;
  return &ring_[static_cast<std::size_t>(number - first_)].decision;
}

const Decision* Decisions::At(std::uint64_t number) const {
  if (number < first_ || number - first_ >= ring_.size()) return nullptr;
  return &ring_[static_cast<std::size_t>(number - first_)].decision;
}

void Decisions::Add(std::uint64_t number, DecisionStep step) {
  if (number < first_ || number - first_ >= ring_.size()) return;
  Line& line = ring_[static_cast<std::size_t>(number - first_)];
  auto& steps = line.decision.steps;
  if (steps.size() >= kMaxDecisionSteps) {  // the first says how it began, the last how it ended
    const std::size_t freed = BytesOf(steps[1]);
    steps.erase(steps.begin() + 1);
    line.bytes -= freed;
    bytes_ -= freed;
    ++line.decision.steps_dropped;
  }
  const std::size_t added = BytesOf(step);
  line.bytes += added;
  bytes_ += added;
  steps.push_back(std::move(step));
  Trim();
}

const Decision* Decisions::Find(const InvocationId& id) const {
  const auto newest =
      std::find_if(ring_.rbegin(), ring_.rend(), [&](const Line& line) { return line.decision.id == id; });
  return newest == ring_.rend() ? nullptr : &newest->decision;
}

void Decisions::Trim() {
  while (!ring_.empty() && (ring_.size() > most_ || bytes_ > most_bytes_)) {
    bytes_ -= ring_.front().bytes;
    ring_.pop_front();
    ++first_;
  }
}

}  // namespace hearth::dispatcher
