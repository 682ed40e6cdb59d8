// The records of one partition as long as it is ours: what its ledger says of them, and those that are held in memory.
// What is not complete is held or parked (backlog.h). Everybody may read them; only Invocations changes them
// (invocations.h).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "dispatcher/core/backlog.h"
#include "dispatcher/core/invocation.h"
#include "dispatcher/core/ledger.h"
#include "dispatcher/core/order_keys.h"

namespace hearth::dispatcher {

class PartitionRecords {
 public:
  explicit PartitionRecords(Ledger ledger, Room room = {}) : ledger_(std::move(ledger)), backlog_(room) {}

  [[nodiscard]] const Ledger& ledger() const { return ledger_; }
  [[nodiscard]] const std::map<std::int64_t, Invocation>& held() const { return held_; }  // by offset
  [[nodiscard]] const Backlog& backlog() const { return backlog_; }
  // nullptr: it is complete, parked, or was not read yet.
  [[nodiscard]] Invocation* Find(std::int64_t offset);
  [[nodiscard]] const Invocation* Find(std::int64_t offset) const;
  // Those that are held and that the predicate names, by offset. They are told of before anything is done to them: what
  // is done to one may complete others.
  template <class Predicate>
  [[nodiscard]] std::vector<Invocation*> Select(Predicate predicate) {
    std::vector<Invocation*> selected;
    for (auto& [offset, invocation] : held_) {
      if (predicate(invocation)) selected.push_back(&invocation);
    }
    return selected;
  }
  // Invocations in the stage.
  [[nodiscard]] std::int64_t in(Stage stage) const { return stages_.at(static_cast<std::size_t>(stage)); }
  // In the queue of Turns, or placed.
  [[nodiscard]] std::int64_t active() const { return in_queue_ + in(Stage::kPlaced); }
  // Nothing of its order key comes before it.
  [[nodiscard]] bool IsHead(const Invocation& invocation) const {
    return keys_.IsHead(invocation.request().user, invocation.request().order_key, invocation.offset());
  }

 private:
  friend class Invocations;

  Ledger ledger_;
  std::map<std::int64_t, Invocation> held_;
  Backlog backlog_;
  OrderKeys keys_;
  std::array<std::int64_t, kStages> stages_{};
  std::int64_t in_queue_ = 0;
  std::int64_t tag_ = 0;  // of the flow that its records are (turns.h), where they are of a batch
};

inline Invocation* PartitionRecords::Find(std::int64_t offset) {
  const auto found = held_.find(offset);
  return found == held_.end() ? nullptr : &found->second;
}

inline const Invocation* PartitionRecords::Find(std::int64_t offset) const {
  const auto found = held_.find(offset);
  return found == held_.end() ? nullptr : &found->second;
}

}  // namespace hearth::dispatcher
