// One ownership of a partition. It dies when the partition is taken back, and all that it counts with it. Everybody may
// read it. What it says of epochs, commits and settling only Ownership changes (ownership.h), what it says of its
// records only Invocations (invocations.h).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "dispatcher/core/early.h"
#include "dispatcher/core/intake.h"
#include "dispatcher/core/ledger_page.h"
#include "dispatcher/core/page_writer.h"
#include "dispatcher/core/partition_records.h"
#include "dispatcher/core/request_class.h"
#include "schemas/link.h"

namespace hearth::dispatcher {

struct Batch;

class Partition {
 public:
  Partition(PartitionId id, RequestClass request_class, Ledger ledger, Room room = {})
      : id_(std::move(id)), request_class_(request_class), records_(std::move(ledger), room) {}
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  [[nodiscard]] const PartitionId& id() const { return id_; }
  [[nodiscard]] RequestClass request_class() const { return request_class_; }
  [[nodiscard]] std::int64_t epoch() const { return epoch_; }
  [[nodiscard]] std::int64_t generation() const { return generation_; }  // of the ledger; never 0
  // Whose items its records are; nullptr: they are requests. Its epoch is that of the batch's home, which alone is
  // committed.
  [[nodiscard]] Batch* batch() const { return batch_; }
  // The commit of the epoch has succeeded. Before that nothing of the partition may be placed.
  [[nodiscard]] bool owned() const { return owned_; }
  // What a former owner has completed is not known whole yet: nothing that it had read is taken on.
  [[nodiscard]] bool awaits_pages() const { return former_pages_ != FormerPages::kKnown; }
  [[nodiscard]] bool pages_fail() const { return pages_.failing(); }
  // Every executor has said what it holds of the partition, or its lease is over.
  [[nodiscard]] bool settled() const { return settled_; }
  [[nodiscard]] link::AttemptRef RefOf(const Invocation& invocation) const {
    return {id_, invocation.offset(), epoch_, invocation.tries().attempt(), generation_};
  }

  [[nodiscard]] const PartitionRecords& records() const { return records_; }
  [[nodiscard]] PartitionRecords& records() { return records_; }
  [[nodiscard]] const EarlyReports& early() const { return early_; }
  [[nodiscard]] EarlyReports& early() { return early_; }
  [[nodiscard]] const Intake& intake() const { return intake_; }
  [[nodiscard]] Intake& intake() { return intake_; }

 private:
  friend class Ownership;

  PartitionId id_;
  RequestClass request_class_;
  std::int64_t epoch_ = 0;
  std::int64_t generation_ = 0;
  Batch* batch_ = nullptr;
  Partition* home_ = nullptr;  // of a batch
  PartitionRecords records_;
  EarlyReports early_;
  Intake intake_;

  // A record that the last commit has seen: another timestamp at its offset means that the topic was made anew.
  std::int64_t witness_offset_ = -1;
  std::int64_t witness_ms_ = 0;

  bool owned_ = false;
  std::int64_t claim_at_us_ = 0;  // when to try the commit of the epoch again; 0: not
  std::int64_t claim_failures_ = 0;

  bool dirty_ = false;  // more is complete than was committed
  bool commit_pending_ = false;
  std::int64_t committed_at_us_ = 0;
  std::int64_t committing_ = 0;      // the offset that the commit under way names
  std::int64_t committed_ = 0;       // the last durable one
  std::vector<Owed> covered_;        // complete: to be acknowledged with the next commit
  std::vector<Owed> being_covered_;  // by the commit under way
  std::int64_t being_told_ = -1;  // the position that it tells of, where it says that there are pages; -1: it does not
  PageWriter pages_;
  std::vector<PageKey> idle_pages_;  // on the topic, and needed no more once the commit has passed them

  bool settled_ = false;
  std::int64_t former_end_ = INT64_MAX;           // what lies below may have been placed by a former owner
  std::map<ExecutorId, std::int64_t> owing_;      // executors that owe a report; when their lease is over
  std::map<std::string, std::int64_t> expected_;  // the same, by address, of executors that were not heard of yet
  std::int64_t settle_until_us_ = 0;              // so long an executor is waited for where none is connected
  // Pages of former owners, which say more of what is complete. They are read once no executor obeys a former owner any
  // more: until then it may write another one.
  enum class FormerPages : std::uint8_t { kKnown, kAwaitReports, kWanted, kBeingRead };
  FormerPages former_pages_ = FormerPages::kKnown;
  std::int64_t pages_from_ = 0;   // they say what is complete from there on
  bool reads_pages_ = false;      // they are asked for; those of batches by their home
  std::int64_t pages_at_us_ = 0;  // when to ask for them again; 0: at once
  std::int64_t page_failures_ = 0;
  std::map<ExecutorId, std::uint64_t> fences_;  // that are unanswered, by their order among fences and placements
  std::map<ExecutorId, std::set<std::pair<std::int64_t, std::int32_t>>> reporting_;  // running, of reports under way
};

}  // namespace hearth::dispatcher
