#include "dispatcher/core/ledger.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace hearth::dispatcher {
namespace {

constexpr auto kMostSpan = static_cast<std::int64_t>(kMaxLedgerMapBytes) * 8;
constexpr auto kMostRanges = static_cast<std::int64_t>(kMaxLedgerMapBytes) / 2;

}  // namespace

Ledger::Ledger(std::int64_t committed, const LedgerMap& inherited)
    : next_(committed + std::max(inherited.span, inherited.position)), unread_next_(committed), unread_end_(next_) {
  for (const LedgerRange& range : inherited.incomplete) {
    ranges_.emplace_hint(ranges_.end(), committed + range.start, committed + range.start + range.length);
  }
  if (inherited.position <= inherited.span) return;
  const std::int64_t end = committed + inherited.span;  // nothing is known of what lies above
  if (!ranges_.empty() && ranges_.rbegin()->second == end) {
    ranges_.rbegin()->second = next_;
  } else {
    ranges_.emplace_hint(ranges_.end(), end, next_);
  }
}

Ledger::Reception Ledger::Receive(std::int64_t offset) {
  if (offset < next_) {
    if (offset < unread_next_ || offset >= unread_end_) return Reception::kRepeated;
    SkipUnreadTo(offset);
    unread_next_ = offset + 1;
    ++received_;
    if (Contains(offset)) return Reception::kNew;
    ++complete_;
    return Reception::kClaimed;
  }
  next_ = offset + 1;
  ++received_;
  if (!ranges_.empty() && ranges_.rbegin()->second == offset) {
    ranges_.rbegin()->second = offset + 1;
  } else {
    ranges_.emplace_hint(ranges_.end(), offset, offset + 1);
  }
  return Reception::kNew;
}

bool Ledger::Complete(std::int64_t offset) {
  if (IsUnread(offset) || !Close(offset)) return false;
  ++complete_;
  return true;
}

bool Ledger::Contains(std::int64_t offset) const {
  const auto after = ranges_.upper_bound(offset);
  return after != ranges_.begin() && offset < std::prev(after)->second;
}

bool Ledger::Close(std::int64_t offset) {
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
  return true;
}

void Ledger::CloseBetween(std::int64_t from, std::int64_t to) {
  if (from >= to) return;
  auto range = ranges_.lower_bound(from);
  if (range != ranges_.begin() && std::prev(range)->second > from) {
    const auto before = std::prev(range);
    const std::int64_t end = before->second;
    before->second = from;
    if (end > to) ranges_.emplace_hint(range, to, end);
    range = ranges_.lower_bound(from);
  }
  while (range != ranges_.end() && range->first < to) {
    const std::int64_t end = range->second;
    range = ranges_.erase(range);
    if (end > to) ranges_.emplace_hint(range, to, end);
  }
}

void Ledger::SkipTo(std::int64_t next) {
  next_ = std::max(next_, next);
}

void Ledger::SkipUnreadTo(std::int64_t next) {
  next = std::min(next, unread_end_);
  CloseBetween(unread_next_, next);
  unread_next_ = std::max(unread_next_, next);
}

void Ledger::Claim(std::int64_t from, std::int64_t to) {
  CloseBetween(std::max(from, unread_next_), std::min(to, unread_end_));
}

void Ledger::ForgetInherited() {
  if (unread_next_ >= unread_end_) return;
  CloseBetween(unread_next_, unread_end_);
  ranges_.emplace(unread_next_, unread_end_);
}

std::optional<std::int64_t> Ledger::NextUnread() const {
  if (unread_next_ >= unread_end_) return std::nullopt;
  if (Contains(unread_next_)) return unread_next_;
  const auto range = ranges_.lower_bound(unread_next_);
  if (range == ranges_.end() || range->first >= unread_end_) return std::nullopt;
  return range->first;
}

std::vector<LedgerRange> Ledger::OpenBetween(std::int64_t from, std::int64_t to) const {
  std::vector<LedgerRange> open;
  const auto add = [&](std::int64_t start, std::int64_t end) {
    if (start < end) open.push_back({start, end - start});
  };
  auto range = ranges_.upper_bound(from);
  if (range != ranges_.begin()) --range;
  for (; range != ranges_.end() && range->first < to; ++range) {
    const std::int64_t start = std::max(from, range->first);
    const std::int64_t end = std::min(to, range->second);
    add(start, std::min(end, unread_next_));
    add(std::max(start, unread_end_), end);
  }
  return open;
}

std::vector<LedgerRange> Ledger::CompleteBetween(std::int64_t from, std::int64_t to) const {
  std::vector<LedgerRange> complete;
  to = std::min(to, next_);
  std::int64_t at = from;
  auto range = ranges_.upper_bound(from);
  if (range != ranges_.begin()) --range;
  for (; range != ranges_.end() && range->first < to; ++range) {
    if (range->first > at) complete.push_back({at - from, range->first - at});
    at = std::max(at, range->second);
  }
  if (to > at) complete.push_back({at - from, to - at});
  return complete;
}

LedgerMap Ledger::Map(std::int64_t epoch) const {
  LedgerMap map;
  map.epoch = epoch;
  const std::int64_t base = LowestIncomplete();
  map.position = map.span = next_ - base;
  for (const auto& [start, end] : ranges_) {
    // Whatever their pattern, no map has room for more.
    if (std::ssize(map.incomplete) >= kMostRanges && start - base >= kMostSpan) {
      map.span = start - base;
      break;
    }
    if (!map.incomplete.empty() && map.incomplete.back().start + map.incomplete.back().length == start - base) {
      map.incomplete.back().length += end - start;
    } else {
      map.incomplete.push_back({start - base, end - start});
    }
  }
  return map;
}

}  // namespace hearth::dispatcher
