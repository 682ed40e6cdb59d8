// One batch, as the dispatcher that owns its partition of hearth.batches knows it. Everybody may read it. What lies on
// hearth.batches and hearth.batch.state only Batches changes (batches.h), what its items have come to only Core does.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "dispatcher/core/batch_rules.h"
#include "dispatcher/core/item_places.h"
#include "dispatcher/core/item_statuses.h"
#include "schemas/batch.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "schemas/record.h"

namespace hearth::dispatcher {

class Partition;

// The life of a batch in this ownership. From each stage it goes to the next one; from kEnded to kRedriving, and from
// there to kWaiting.
enum class BatchStage : std::uint8_t {
  kKnown,      // nothing but a spec that nobody has taken, or wishes
  kAccepting,  // the owner's copy is being written
  kWaiting,    // taken: it starts when there is room
  kFetching,   // there is room, and its spec is read again
  kResuming,   // executors say what they hold of it, and then its pages are read
  kRunning,
  kFreezing,    // all items have a status, and the state that says so is being written
  kCompleting,  // what runs on completion runs
  kEnded,
  kRedriving,  // the state of the next generation is being written
};

// What an owner has in hand of a batch that runs.
struct BatchRun {
  BatchRun(const BatchSpec& spec, const std::string& items_topic, ItemStatuses has)
      : places(spec, items_topic), statuses(std::move(has)) {}

  ItemPlaces places;
  ItemStatuses statuses;
  Partition* partition = nullptr;
  Orders orders;
  std::int64_t window = 0;  // items that may be placed or in the queue; 0: it pauses

  // By index and place where items do not lie in their order, or more lies there than items.
  bool in_order = true;             // nothing else was met yet
  bool has_claimed_places = false;  // what is complete was told to the ledger by index
  std::set<std::int64_t> in_hand;   // indices of held items, where places are not in order

  std::set<std::int64_t> waiting;     // places of items that are held, and for which the window has no room
  std::int64_t missing_since_us = 0;  // its next items seem not to be on their topic; 0: they do

  StopCause stop = StopCause::kNone;
  bool is_swept = false;  // what had not started when it stopped has its status
  bool kills = false;     // what runs is cancelled too
  bool has_killed = false;
  bool is_outdated = false;  // its function was deployed anew, and nobody has wished to go on with that

  // Pages of statuses: those that say less than is known, those that are being written, and when the last round began.
  std::set<std::int64_t> dirty_pages;
  std::set<std::int64_t> writing_pages;
  bool round_failed = false;
  std::int64_t next_round_us = 0;

  bool has_failures = true;                                // perhaps, since the tolerance was looked at
  std::deque<std::pair<std::int64_t, std::int64_t>> pace;  // monotonic µs, items with a status then
};

struct Batch {
  Batch(BatchRef is, PartitionId of) : ref(std::move(is)), home(std::move(of)) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  const BatchRef ref;
  const PartitionId home;  // its partition of hearth.batches
  BatchStage stage = BatchStage::kKnown;

  // ---- On hearth.batches.
  std::optional<Result<BatchSpec>> offered;  // the newest spec, while none was taken
  std::int64_t offered_ms = 0;               // Kafka's timestamp of it
  std::int64_t offered_us = 0;               // when it came, on the monotonic clock
  std::unique_ptr<const BatchSpec> accepted;
  std::int64_t accepted_at = -1;   // its offset; -1: it was not read yet
  std::size_t accepted_bytes = 0;  // of the record
  std::size_t accepted_hash = 0;   // of its value
  bool has_items = true;           // the spec in memory says where they are
  Wishes wishes;
  bool has_new_wishes = false;  // since they were taken into the orders
  std::set<std::string> keys;   // that are there, to be taken away in the end

  // ---- On hearth.batch.state.
  BatchState state;              // the last that was read, or is to be written
  bool has_state = false;        // there is one
  bool state_due = false;        // it says less than is known
  bool state_sent = false;       // one is on its way
  std::int64_t state_at_us = 0;  // when it was written last
  std::int64_t retry_at_us = 0;  // when what was refused is written again; 0: nothing was

  bool is_new = false;             // taken in this ownership: nothing of it can be on hearth.ledger
  std::vector<PageKey> old_pages;  // that lie on hearth.ledger, and are needed no more once newer ones do
  std::unique_ptr<BatchRun> run;   // from kResuming to kCompleting
  bool dirty = false;              // it stands in the list of what is to be looked at
  bool is_later = false;           // the same, of what is at the next tick
  bool is_told = false;            // the state on its way is the one that its stage waits for
};

}  // namespace hearth::dispatcher
