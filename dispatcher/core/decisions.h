// The decision log: how the last invocations got their places, for whoever asks `hearth why`. A ring, bounded by count
// and bytes; the oldest goes first. Plain data, one thread, no payload.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/placement.h"
#include "schemas/record.h"
#include "schemas/result.h"

namespace hearth::dispatcher {

constexpr std::size_t kMaxDecisions = 10'000;
constexpr std::size_t kMaxDecisionBytes = 16U << 20;
constexpr std::size_t kMaxDecisionSteps = 12;       // of one invocation; beyond them the oldest but the first go
constexpr std::size_t kMaxDecisionCandidates = 16;  // of one placement, the chosen one among them

// One thing that was decided about an invocation, in the order in which it was.
struct DecisionStep {
  std::string_view what;  // "placed", "nacked", "retried", "lost", "adopted", "refused", "ended"; lives for ever
  std::int64_t wall_us = 0;
  std::int32_t attempt = 0;
  ExecutorId executor;
  std::string constraint;                       // the rank or filter that decided, or the reason
  StartPath expected = StartPath::kNone;        // placed
  std::int64_t queue_us = 0;                    // placed: time in the queue before
  std::string_view held_by;                     // placed: why it waited there last; empty: it did not
  std::int32_t executors = 0;                   // placed: how many there were
  std::int32_t looked_at = 0;                   // placed: how many were looked at; the others could not be better
  std::int32_t fit = 0;                         // placed: how many of these passed every filter
  std::vector<ConsideredCandidate> candidates;  // placed
};

struct Decision {
  InvocationId id;
  UserId user;
  FunctionName function;
  PartitionId partition;
  std::int64_t offset = 0;
  std::int64_t epoch = 0;
  std::vector<DecisionStep> steps;
  std::int32_t steps_dropped = 0;
  bool complete = false;
  Status status = Status::kOk;
  StartPath path = StartPath::kNone;  // that was taken, as the executor said
  std::string reason;
  Times times;
};

class Decisions {
 public:
  explicit Decisions(std::size_t most = kMaxDecisions, std::size_t most_bytes = kMaxDecisionBytes)
      : most_(most), most_bytes_(most_bytes) {}

  // A line for an invocation; its number is for Find by number. Never 0.
  std::uint64_t Open(Decision decision);
  // Null where the ring has forgotten it. The pointer holds until the next call.
  [[nodiscard]] Decision* At(std::uint64_t number);
  [[nodiscard]] const Decision* At(std::uint64_t number) const;
  // Appends to a line that is still there.
  void Add(std::uint64_t number, DecisionStep step);
  // The newest line of that id, or null. It looks at all of them: people ask seldom, and an index costs every record.
  [[nodiscard]] const Decision* Find(const InvocationId& id) const;

  [[nodiscard]] std::size_t size() const { return ring_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Line {
    Decision decision;
    std::size_t bytes = 0;
  };
  void Trim();

  const std::size_t most_;
  const std::size_t most_bytes_;
  std::deque<Line> ring_;
  std::uint64_t first_ = 1;  // number of ring_.front()
  std::size_t bytes_ = 0;
};

}  // namespace hearth::dispatcher
