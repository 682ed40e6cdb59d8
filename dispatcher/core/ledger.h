// What is known of each record of one partition during one epoch. Offsets that never arrive between two that did
// (transaction markers, compaction) are complete and cost nothing. What is kept are the ranges of what is incomplete:
// memory and the cost of a commit grow with their number, not with the span that they lie in.
// Plain data, one thread.
#pragma once

#include <cstdint>
#include <map>

#include "dispatcher/core/ledger_map.h"

namespace hearth::dispatcher {

class Ledger {
 public:
  enum class Reception {
    kNew,       // take it on
    kClaimed,   // an earlier owner completed it: complete at once
    kRepeated,  // received before in this epoch: drop it
  };

  Ledger() = default;
  // Reading starts at `committed`; `inherited` is what earlier owners completed from there on.
  Ledger(std::int64_t committed, LedgerMap inherited);

  // Offsets must rise; one that does not is kRepeated.
  Reception Receive(std::int64_t offset);
  // False if it was not received in this epoch or is complete already.
  bool Complete(std::int64_t offset);
  // Nothing below `next` is still to come: what was not received is a gap. Never goes back.
  void SkipTo(std::int64_t next);
  // What earlier owners completed was of other records.
  void ForgetInherited() { inherited_ = {}; }

  // The offset to commit: all below is complete.
  [[nodiscard]] std::int64_t LowestIncomplete() const { return ranges_.empty() ? next_ : ranges_.begin()->first; }
  [[nodiscard]] std::int64_t next() const { return next_; }                         // the lowest not received yet
  [[nodiscard]] std::int64_t window() const { return next_ - LowestIncomplete(); }  // offsets held open
  [[nodiscard]] std::int64_t received() const { return received_; }
  [[nodiscard]] std::int64_t complete() const { return complete_; }
  [[nodiscard]] std::int64_t incomplete() const { return received_ - complete_; }
  [[nodiscard]] std::int64_t incomplete_ranges() const { return static_cast<std::int64_t>(ranges_.size()); }

  // What to write beside LowestIncomplete(). Claims of earlier owners that were not reached yet stay in it.
  [[nodiscard]] LedgerMap Map(std::int64_t epoch) const;

 private:
  std::map<std::int64_t, std::int64_t> ranges_;  // received and not complete: start → end
  std::int64_t next_ = 0;
  std::int64_t base_ = 0;  // what inherited_ is relative to
  LedgerMap inherited_;
  std::int64_t received_ = 0;
  std::int64_t complete_ = 0;
};

}  // namespace hearth::dispatcher
