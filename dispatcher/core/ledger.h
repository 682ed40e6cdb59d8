// What is known of each record of one partition during one epoch. Offsets that never arrive between two that did
// (transaction markers, compaction) are complete and cost nothing. What is kept are the ranges of what is open, which
// is all that is not known to be complete: memory and the cost of a commit grow with their number, not with the span
// that they lie in.
//
// What a former owner has read and not completed is *unread*: open, and not received in this epoch yet. It lies below
// where the former owner had come to, and is received in ascending order, beside what is new.
// Plain data, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

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
  // The next offset to commit was `committed`; `inherited` says what earlier owners completed from there on.
  Ledger(std::int64_t committed, const LedgerMap& inherited);

  // What is new has to rise, and so has what is unread; what does not is kRepeated.
  Reception Receive(std::int64_t offset);
  // False if it was not received in this epoch or is complete already.
  bool Complete(std::int64_t offset);
  // Nothing below `next` is still to come: what was not received is a gap. Never goes back.
  void SkipTo(std::int64_t next);
  // The same of what is unread.
  void SkipUnreadTo(std::int64_t next);
  // Earlier owners have completed what is unread of these offsets.
  void Claim(std::int64_t from, std::int64_t to);
  // What earlier owners completed was of other records.
  void ForgetInherited();

  // Whether nobody has said that it is complete. What lies above next() is.
  [[nodiscard]] bool IsOpen(std::int64_t offset) const { return offset >= next_ || Contains(offset); }
  [[nodiscard]] bool IsUnread(std::int64_t offset) const {
    return offset >= unread_next_ && offset < unread_end_ && Contains(offset);
  }
  // The first that is unread.
  [[nodiscard]] std::optional<std::int64_t> NextUnread() const;
  // Of what was received, the open offsets from `from` to below `to`.
  [[nodiscard]] std::vector<LedgerRange> OpenBetween(std::int64_t from, std::int64_t to) const;

  // The offset to commit: all below is complete.
  [[nodiscard]] std::int64_t LowestIncomplete() const { return ranges_.empty() ? next_ : ranges_.begin()->first; }
  [[nodiscard]] std::int64_t next() const { return next_; }  // the lowest that nobody has received yet
  [[nodiscard]] std::int64_t window() const { return next_ - LowestIncomplete(); }  // offsets held open
  [[nodiscard]] std::int64_t received() const { return received_; }
  [[nodiscard]] std::int64_t complete() const { return complete_; }
  [[nodiscard]] std::int64_t incomplete() const { return received_ - complete_; }
  [[nodiscard]] std::int64_t incomplete_ranges() const { return static_cast<std::int64_t>(ranges_.size()); }

  // The complete offsets from `from` to below `to`, relative to `from`; none above next().
  [[nodiscard]] std::vector<LedgerRange> CompleteBetween(std::int64_t from, std::int64_t to) const;

  // What to write beside LowestIncomplete(), as far as a commit can have room for it. What is unread stays in it.
  [[nodiscard]] LedgerMap Map(std::int64_t epoch) const;

 private:
  [[nodiscard]] bool Contains(std::int64_t offset) const;
  bool Close(std::int64_t offset);
  void CloseBetween(std::int64_t from, std::int64_t to);

  std::map<std::int64_t, std::int64_t> ranges_;  // open, and below next_: start → end
  std::int64_t next_ = 0;
  std::int64_t unread_next_ = 0;  // what is open from here to unread_end_ is unread
  std::int64_t unread_end_ = 0;
  std::int64_t received_ = 0;
  std::int64_t complete_ = 0;
};

}  // namespace hearth::dispatcher
