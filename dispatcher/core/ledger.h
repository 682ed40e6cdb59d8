// What is known of each record of one partition during one epoch. Offsets that never arrive between two that did
// (transaction markers, compaction) are complete and cost nothing. Receiving and completing are O(1) amortised.
// Plain data, one thread.
#pragma once

#include <cstdint>
#include <deque>

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

  // The offset to commit: all below is complete.
  [[nodiscard]] std::int64_t LowestIncomplete() const { return entries_.empty() ? next_ : entries_.front().offset; }
  [[nodiscard]] std::int64_t next() const { return next_; }                         // the lowest not received yet
  [[nodiscard]] std::int64_t window() const { return next_ - LowestIncomplete(); }  // offsets held open
  [[nodiscard]] std::int64_t received() const { return received_; }
  [[nodiscard]] std::int64_t complete() const { return complete_; }
  [[nodiscard]] std::int64_t incomplete() const { return received_ - complete_; }
  [[nodiscard]] std::int64_t incomplete_ranges() const { return ranges_; }

  // What to write beside LowestIncomplete(). Claims of earlier owners that were not reached yet stay in it.
  [[nodiscard]] LedgerMap Map(std::int64_t epoch) const;

 private:
  struct Entry {
    std::int64_t offset = 0;
    bool complete = false;
  };
  [[nodiscard]] std::size_t Find(std::int64_t offset) const;
  [[nodiscard]] bool IncompleteAt(std::size_t index, std::int64_t offset) const;

  std::deque<Entry> entries_;  // from the lowest incomplete on, rising
  std::int64_t next_ = 0;
  std::int64_t base_ = 0;  // what inherited_ is relative to
  LedgerMap inherited_;
  std::int64_t received_ = 0;
  std::int64_t complete_ = 0;
  std::int64_t ranges_ = 0;
};

}  // namespace hearth::dispatcher
