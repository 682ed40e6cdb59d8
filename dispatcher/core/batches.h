// The batches that lie in our partitions of hearth.batches: what producers and owners have written of them, and what of
// it we have to write. Batches is the only one who reads and writes hearth.batches and hearth.batch.state.
//
// It holds at any time:
// - of a batch nothing runs but the copy of its spec that an owner has taken, and that is durable;
// - nothing of a partition is decided before all of it was read, up to where it ended when we got it, with the states
//   that its batches have;
// - of a batch one record of each kind is on its way at most;
// - where the items of a batch are is in memory while it runs, and else where that takes no more than kKeptSpecBytes;
// - a state that a former owner has written after one of ours is replaced by ours: the states are looked at again for
//   that, soon after a partition has come to us and ever more seldom from then on.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dispatcher/core/batch.h"
#include "dispatcher/core/context.h"
#include "dispatcher/core/events.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

constexpr std::int64_t kMaxRunningBatchesOfUser = 100;  // of one dispatcher; others of the user wait
constexpr std::int64_t kMaxRunningBatches = 1000;       // of a dispatcher; others wait for their turn
// More than these, for batches that only have to end: cancelled ones do not wait for those that run.
constexpr std::int64_t kMaxEndingBatches = 16;
constexpr std::int64_t kStateIntervalMs = 100;  // between two states of a batch, where few run
constexpr std::int64_t kMaxStateWritesPerSecond = 200;
constexpr std::int64_t kBatchRetryMs = 500;   // after a record of a batch was refused
constexpr std::int64_t kFirstLookMs = 5'000;  // from the states' first reading to the next one; twice as long each time
constexpr std::int64_t kMaxLookMs = 600'000;
constexpr std::int64_t kStrangeMs = 60'000;         // between two lines about what is none of a batch, of a partition
constexpr std::int64_t kExpiredBatchesMs = 60'000;  // between two looks for batches that are kept no longer
// Of the specs of a partition so many times kept_spec_bytes are kept while it is read.
constexpr std::size_t kReadSpecs = 16 * 1024;
// Of a record's value, to know it again.
inline std::size_t HashOf(std::string_view value) {
  return std::hash<std::string_view>()(value);
}
// Tokens of Produce from here on are of batches.
constexpr std::uint64_t kBatchTokens = 1ULL << 63;

class Batches {
 public:
  explicit Batches(Context& context) : context_(context) {}

  // ---- Partitions of hearth.batches.
  // The group gave it to us. It is read from its start, and ended at `log_end`.
  void Begin(const PartitionId& home, std::int64_t log_end);
  void Forget(const PartitionId& home);
  // It is not ours for certain any more.
  void Disown(const PartitionId& home);
  [[nodiscard]] bool Has(const PartitionId& home) const { return homes_.contains(home); }
  // A record of it. What is no record of a batch, or cannot be read, is left alone and told of.
  void Take(const Record& record);
  // All below `next` was told.
  void CaughtUp(const PartitionId& home, std::int64_t next);
  // It is ours for certain with that epoch: what its batches were is asked for.
  void Own(const PartitionId& home, std::int64_t epoch);
  void TakeStates(const StatesRead& read);
  // Time goes by: what has to be asked for or written again.
  void Tick();

  // ---- What is to be looked at.
  void Touch(Batch& batch);
  void Later(Batch& batch);  // at the next tick
  void TouchAll(const PartitionId& home);
  // The next one; nullptr: none. Of partitions of which not all is known there is none.
  [[nodiscard]] Batch* TakeTouched();
  [[nodiscard]] Batch* Find(const PartitionId& home, const BatchRef& ref);
  void ForEach(const std::function<void(Batch&)>& call);
  void ForEach(const PartitionId& home, const std::function<void(Batch&)>& call);
  [[nodiscard]] std::int64_t EpochOf(const PartitionId& home) const;

  // ---- Running. Those that run, by user.
  void Run(Batch& batch);
  void End(Batch& batch);
  // For another one of the user; `ends`: that only has to end.
  [[nodiscard]] bool HasRoom(const UserId& user, bool ends) const;
  [[nodiscard]] const std::vector<Batch*>& running() const { return running_; }
  [[nodiscard]] std::int64_t waiting() const;  // for room to run

  // ---- Records that are written.
  // The owner's copy: from kKnown to kAccepting.
  void Accept(Batch& batch, BatchSpec spec);
  // The spec, or a wish, is answered with a state that has ended.
  void Refuse(Batch& batch, std::string reason);
  // Forgets where the items of a batch are that does not run, where that is large and can be read again.
  void LetGo(Batch& batch);
  // What lies at `accepted_at`: the items are known again. False: something else does.
  [[nodiscard]] bool TakeAgain(Batch& batch, const Record& record);

  // The state, as it stands in the batch. False: one is on its way, or it was written just now.
  bool WriteState(Batch& batch, bool at_once);
  // What a batch tells a topic when it is complete.
  void Tell(Batch& batch, const std::string& topic);
  // All records of it are taken away, and it is forgotten.
  void Remove(Batch& batch);

  // A record with a token of ours has ended. Returns what became of it, where its batch is still there.
  enum class Kind : std::uint8_t { kAccepted, kState, kTold };
  struct Written {
    Batch* batch = nullptr;
    Kind kind = Kind::kState;
    bool ok = false;
  };
  [[nodiscard]] Written TakeWritten(const ProduceFinished& produced);

 private:
  struct Home {
    std::int64_t log_end = 0;
    std::size_t spec_bytes = 0;  // of specs that were read with it
    std::int64_t epoch = 0;      // 0: it is not ours for certain
    bool is_read = false;
    bool asked_states = false, has_states = false;
    std::int64_t again_at_us = 0;  // when the states are to be read; 0: they are being read, or it is not ours
    std::int64_t look_ms = kFirstLookMs;
    std::int64_t strange = 0;        // records that were left alone
    std::int64_t strange_at_us = 0;  // when that is told of again
    std::map<BatchRef, std::unique_ptr<Batch>> batches;
  };
  struct Sent {
    PartitionId home;
    BatchRef ref;
    Kind kind = Kind::kState;
  };
  Batch& Get(Home& home, const PartitionId& id, const BatchRef& ref);
  void TakeSpec(Batch& batch, const Record& record);
  void TakeAccepted(Batch& batch, const Record& record);
  [[nodiscard]] bool TakeWish(Batch& batch, WantField field, const Record& record);
  void NoteStrange(Home& home, const Record& record);
  void AskForStates(const PartitionId& id, Home& home);
  void LookAt(Batch& batch, const BatchState& state);
  void Send(Batch& batch, Kind kind, OutRecord record);

  Context& context_;
  std::map<PartitionId, Home> homes_;
  std::deque<Batch*> touched_;
  std::vector<Batch*> later_;
  std::vector<Batch*> running_;
  std::unordered_map<std::uint64_t, Sent> sent_;  // by token
  std::uint64_t last_token_ = kBatchTokens;
};

}  // namespace hearth::dispatcher
