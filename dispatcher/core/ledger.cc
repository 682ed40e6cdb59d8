#include "dispatcher/core/ledger.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace hearth::dispatcher {

Ledger::Ledger(std::int64_t committed, LedgerMap inherited)
    : next_(committed), base_(committed), inherited_(std::move(inherited)) {}

Ledger::Reception Ledger::Receive(std::int64_t offset) {
  if (offset < next_) return Reception::kRepeated;
  next_ = offset + 1;
  ++received_;
  if (inherited_.Claims(offset - base_)) {
    ++complete_;
    return Reception::kClaimed;
  }
  if (!ranges_.empty() && ranges_.rbegin()->second == offset) {
    ranges_.rbegin()->second = offset + 1;
  } else {
    ranges_.emplace_hint(ranges_.end(), offset, offset + 1);
  }
  return Reception::kNew;
}

bool Ledger::Complete(std::int64_t offset) {
  auto range = ranges_.upper_bound(offset);
  if (range == ranges_.begin()) return false;
  range = std::prev(range);
  const auto [start, end] = *range;
  if (offset >= end) return false;
  if (offset == start) {
    auto node = ranges_.extract(range);
    if (offset + 1 < end) {
      node.key() = offset + 1;
      ranges_.insert(std::move(node));
    }
  } else {
    range->second = offset;
    if (offset + 1 < end) ranges_.emplace_hint(std::next(range), offset + 1, end);
  }
  ++complete_;
  return true;
}

void Ledger::SkipTo(std::int64_t next) {
  next_ = std::max(next_, next);
}

LedgerMap Ledger::Map(std::int64_t epoch) const {
  LedgerMap map;
  map.epoch = epoch;
  const std::int64_t base = LowestIncomplete();
  map.span = next_ - base;
  map.incomplete.reserve(ranges_.size() + inherited_.incomplete.size());
  for (const auto& [start, end] : ranges_) map.incomplete.push_back({start - base, end - start});
  const std::int64_t inherited_end = base_ + inherited_.span;
  if (inherited_end <= next_) return map;
  map.span = inherited_end - base;
  for (const LedgerRange& range : inherited_.incomplete) {
    const std::int64_t start = std::max(base_ + range.start, next_);
    const std::int64_t end = base_ + range.start + range.length;
    if (end <= start) continue;
    if (!map.incomplete.empty() && map.incomplete.back().start + map.incomplete.back().length == start - base) {
      map.incomplete.back().length += end - start;
    } else {
      map.incomplete.push_back({start - base, end - start});
    }
  }
  return map;
}

}  // namespace hearth::dispatcher
