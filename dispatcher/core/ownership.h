// Which partitions are ours. Ownership claims each with an epoch of its own, commits what is complete, and asks the
// executors what they hold of it. Ownership is the only one who says whether a record of a partition may be placed.
//
// It holds at any time:
// - nothing of a partition may be placed before a commit of its epoch has succeeded;
// - the epoch of a partition never falls, whatever is reset;
// - one commit of a partition is under way at most for each epoch, and ends are acknowledged only when the commit that
//   covers them is durable;
// - until a partition is settled, what a former owner may have placed waits, and so does what must not run twice or out
//   of order.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dispatcher/core/context.h"
#include "dispatcher/core/events.h"
#include "dispatcher/core/executors.h"
#include "dispatcher/core/partition.h"
#include "dispatcher/core/registry.h"

namespace hearth::dispatcher {

constexpr std::int64_t kClaimRetryMs = 100;   // first back-off of a failed claim; doubles up to kMaxRetryMs
constexpr std::int64_t kMaxPageWrites = 100;  // begun within kPageIntervalMs, of all partitions
constexpr std::int64_t kSessionMs = 3000;     // of the group: who stood still for longer may have lost its partitions

class Ownership {
 public:
  Ownership(Context& context, const Executors& executors, const Registry& registry)
      : context_(context), executors_(executors), registry_(registry) {}

  [[nodiscard]] const std::map<PartitionId, std::unique_ptr<Partition>>& all() const { return partitions_; }
  [[nodiscard]] Partition* Find(const PartitionId& id) const;  // nullptr: it is not ours
  [[nodiscard]] bool MayPlace(const Invocation& invocation) const;

  // ---- Partitions come and go.
  // The group gave it to us: it is claimed.
  Partition& Take(const PartitionAssigned& assigned);
  // Of a batch whose home is ours: its places are unread, and it is owned as its home is. `generation`: of its ledger.
  // `has_pages`: former owners may have written some.
  Partition& TakeBatch(Partition& home, Batch& batch, std::int64_t generation, std::int64_t places, bool has_pages);
  // Its home is ours for certain, or again under another epoch.
  void Follow(Partition& partition);
  // Its home is not ours for certain any more. None of its records is in the queue.
  void Unown(Partition& partition);
  // It is not ours any more. Its records were forgotten before.
  void Forget(const Partition& partition);

  // ---- Claims.
  // A step begins. True: we stood still for as long as a session, and may have been deposed without knowing it.
  [[nodiscard]] bool StoodStill();
  // Claims the partition anew, with at least that epoch: somebody else may have been there. None of its records is in
  // the queue any more.
  void Reclaim(Partition& partition, std::int64_t epoch);
  void RetryClaim(Partition& partition);  // where its time has come
  // Another record stands where the last commit left off: the topic was made anew.
  [[nodiscard]] bool WasMadeAnew(const Partition& partition, const Record& record) const;
  // What was known of the partition's records is of others. Its ledger has to forget the same.
  void BeginGeneration(Partition& partition);

  // ---- Commits.
  void MarkDirty(Partition& partition) { partition.dirty_ = true; }
  // One more is complete, there.
  void MarkDirty(Partition& partition, std::int64_t offset) {
    partition.dirty_ = true;
    partition.pages_.MarkDirty(offset, context_.settings().page_offsets);
  }
  // The end is acknowledged to the executor with the next commit that covers it.
  void Cover(Partition& partition, const ExecutorId& executor, const link::AttemptRef& ref);
  void Cover(Partition& partition, const std::vector<Owed>& owed);
  // `sync`: the partition is given up, so the shell waits for it.
  void Commit(Partition& partition, bool sync);
  void CommitIfDue(Partition& partition);
  // Returns the partition where it is ours with that: its claim has succeeded.
  [[nodiscard]] Partition* TakeCommit(const CommitFinished& commit);
  [[nodiscard]] std::int64_t maps_truncated() const { return maps_truncated_; }  // commits; counts up

  // ---- Ledger pages.
  // Writes those whose time has come, and takes away what is needed no more.
  void WritePages();
  void TakePageWritten(const PageWritten& written);
  // What former owners have written. Returns the partitions of which all is there: the one that is named, or those of
  // its batches that wait for that.
  [[nodiscard]] std::vector<Partition*> TakePages(const PagesRead& read);
  // What of them counts: the complete offsets, of the partition's generation.
  [[nodiscard]] std::vector<LedgerRange> ClaimsOf(Partition& partition, const PagesRead& read);
  [[nodiscard]] std::int64_t pages_written() const { return pages_written_; }  // counts up
  [[nodiscard]] std::int64_t page_failures() const { return page_failures_; }  // counts up

  // ---- Of a batch: what is acknowledged when its pages are durable. A round of writes begins, and ends.
  void BeginRound(Partition& partition);
  void EndRound(Partition& partition, bool ok);
  void AcknowledgeCovered(Partition& partition);  // its pages say all
  [[nodiscard]] std::int64_t UncoveredOf(const Partition& partition) const {
    return std::ssize(partition.covered_) + std::ssize(partition.being_covered_);
  }

  // For logs and the history: something has happened to the partition as a whole.
  void Note(const Partition& partition, std::string_view what);

  // ---- Fences and settling.
  // Asks the executor for what it holds of the partition. From then on it obeys no older epoch.
  void Fence(Partition& partition, const Executor& executor);
  // Of the executor's report, which may come in several frames: that attempt runs.
  void NoteRunning(Partition& partition, const ExecutorId& executor, const link::AttemptRef& ref);
  // The executor has reported all. Returns the offset and the attempt of all that runs, and of the fence that it
  // answers the order among fences and placements; 0: none was sent.
  struct Report {
    std::uint64_t fence_order = 0;
    std::set<std::pair<std::int64_t, std::int32_t>> running;
  };
  [[nodiscard]] Report TakeReport(Partition& partition, const ExecutorId& executor);
  // Its connection is another one: what it has not answered will not be answered.
  void ForgetFences(const ExecutorId& executor);
  // It is gone, with all that it ran.
  void ForgetExecutor(Partition& partition, const ExecutorId& executor);
  // True: the executor of that address, which was not heard of yet, was waited for, and is no more.
  [[nodiscard]] bool Unexpect(Partition& partition, const std::string& address);
  // True: the partition is settled with that, because nobody is waited for any more.
  [[nodiscard]] bool Settle(Partition& partition);
  // An attempt that runs for nobody ends. It is asked under the epoch that its executor obeys.
  void Drop(const Partition& partition, const ExecutorId& executor, link::AttemptRef ref);

 private:
  void WritePages(Partition& partition);
  void AskForPages(Partition& asker);
  std::vector<Partition*> PassOn(const Partition& asker, Partition::FormerPages from, Partition::FormerPages to);
  void TakeIdlePagesAway(Partition& partition);
  void Claim(Partition& partition);
  void BecomeOwner(Partition& partition);
  void Acknowledge(const Partition& partition, std::vector<Owed> covered);  // by what is durable now
  [[nodiscard]] std::int64_t NewGeneration();

  Context& context_;
  const Executors& executors_;
  const Registry& registry_;
  std::map<PartitionId, std::unique_ptr<Partition>> partitions_;
  std::map<PartitionId, std::int64_t> highest_epochs_;  // of all that this process has held
  std::int64_t stepped_us_ = 0;
  std::int64_t maps_truncated_ = 0;
  std::int64_t pages_written_ = 0;
  std::int64_t page_failures_ = 0;
  std::int64_t pages_from_us_ = 0;  // since then so many page writes were begun
  std::int64_t pages_begun_ = 0;
};

}  // namespace hearth::dispatcher
