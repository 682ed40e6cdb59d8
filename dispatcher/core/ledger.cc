#include "dispatcher/core/ledger.h"

#include <algorithm>
#include <utility>

namespace hearth::dispatcher {

Ledger::Ledger(std::int64_t committed, LedgerMap inherited)
    : next_(committed), base_(committed), inherited_(std::move(inherited)) {}

// Where there are no gaps the place is known by counting; else by halving.
std::size_t Ledger::Find(std::int64_t offset) const {
  if (entries_.empty() || offset < entries_.front().offset || offset > entries_.back().offset) return entries_.size();
  const auto guess = static_cast<std::size_t>(offset - entries_.front().offset);
  if (guess < entries_.size() && entries_[guess].offset == offset) return guess;
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), offset,
                                      [](const Entry& entry, std::int64_t wanted) { return entry.offset < wanted; });
  if (found->offset != offset) return entries_.size();
  return static_cast<std::size_t>(found - entries_.begin());
}

bool Ledger::IncompleteAt(std::size_t index, std::int64_t offset) const {
  return index < entries_.size() && entries_[index].offset == offset && !entries_[index].complete;
}

Ledger::Reception Ledger::Receive(std::int64_t offset) {
  if (offset < next_) return Reception::kRepeated;
  next_ = offset + 1;
  ++received_;
  if (inherited_.Claims(offset - base_)) {
    ++complete_;
    return Reception::kClaimed;
  }
  const bool touches = !entries_.empty() && IncompleteAt(entries_.size() - 1, offset - 1);
  if (!touches) ++ranges_;
  entries_.push_back({offset, false});
  return Reception::kNew;
}

bool Ledger::Complete(std::int64_t offset) {
  const std::size_t index = Find(offset);
  if (index >= entries_.size() || entries_[index].complete) return false;
  const bool left = index > 0 && IncompleteAt(index - 1, offset - 1);
  const bool right = IncompleteAt(index + 1, offset + 1);
  ranges_ += (left ? 1 : 0) + (right ? 1 : 0) - 1;
  entries_[index].complete = true;
  ++complete_;
  while (!entries_.empty() && entries_.front().complete) entries_.pop_front();
  return true;
}

LedgerMap Ledger::Map(std::int64_t epoch) const {
  LedgerMap map;
  map.epoch = epoch;
  const std::int64_t base = LowestIncomplete();
  map.span = next_ - base;
  const auto add = [&map](std::int64_t start, std::int64_t length) {
    if (!map.incomplete.empty() && map.incomplete.back().start + map.incomplete.back().length == start) {
      map.incomplete.back().length += length;
    } else {
      map.incomplete.push_back({start, length});
    }
  };
  for (const Entry& entry : entries_) {
    if (!entry.complete) add(entry.offset - base, 1);
  }
  const std::int64_t inherited_end = base_ + inherited_.span;
  if (inherited_end > next_) {
    map.span = inherited_end - base;
    for (const LedgerRange& range : inherited_.incomplete) {
      const std::int64_t start = std::max(base_ + range.start, next_);
      const std::int64_t end = base_ + range.start + range.length;
      if (end > start) add(start - base, end - start);
    }
  }
  return map;
}

}  // namespace hearth::dispatcher
