// Whether a partition is read. Reading pauses where too much of it is held in memory or open in the ledger, and where
// one of its users has too much waiting; it goes on when half of that is gone.
#pragma once

#include <cstdint>
#include <set>

#include "common/base/ids.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/partition_records.h"
#include "dispatcher/core/turns.h"

namespace hearth::dispatcher {

// Limits of one partition.
constexpr std::int64_t kMaxWindowOffsets = 24'000;       // any pattern of so many fits in a map
constexpr std::int64_t kMaxScatteredIncomplete = 1'000;  // so many fit in a map however far apart they are
constexpr std::int64_t kMaxHeldBytes = 64LL << 20;       // of records held in memory

class Intake {
 public:
  [[nodiscard]] bool paused() const { return paused_; }
  // A new ownership. The client may remember a pause of an earlier one.
  void Begin(const PartitionId& partition, Context& context);
  // The dispatcher drains: nothing is read any more.
  void Stop(const PartitionId& partition, Context& context);
  // So many invocations of the user wait. Beyond its limit the partition pauses until half of them are gone.
  void NoteWaiting(const UserId& user, std::int64_t waiting, const Context& context);
  // Pauses or goes on as what is held now demands.
  void Update(const PartitionId& partition, const PartitionRecords& records, const Turns& turns, Context& context);

 private:
  [[nodiscard]] bool IsFull(const PartitionRecords& records, std::int64_t share) const;

  bool paused_ = false;
  std::set<UserId> flooding_;  // users beyond their limit
};

}  // namespace hearth::dispatcher
