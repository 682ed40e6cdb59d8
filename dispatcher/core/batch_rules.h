// What is decided of a batch from its spec, from what is wished of it and from its counts. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "dispatcher/core/settings.h"
#include "schemas/batch.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "schemas/batch_want.h"
#include "schemas/function.h"

namespace hearth::dispatcher {

// Items of all running batches of a user that are placed or may be, beyond what one batch has at least.
constexpr std::int64_t kBatchWindow = 1024;

// What was wished last of one field, and where that lies on hearth.batches.
struct Wish {
  Want want;
  std::int64_t offset = 0;
  std::int64_t made_ms = 0;  // Kafka's timestamp
};
using Wishes = std::array<std::optional<Wish>, kWantFields.size()>;

// What holds of a batch now: its spec, and what was wished since.
struct Orders {
  RunWish run = RunWish::kRun;
  std::int64_t run_made_ms = 0;  // 0: nothing was wished
  std::int32_t concurrency = kNoBatchConcurrency;
  std::int32_t priority = kDefaultBatchPriority;
  std::optional<Tolerance> tolerance;
  std::int64_t deadline_ms = 0;
};

// The redrive that is wished of a batch of that generation; nullptr: none that is not done.
const WantRedrive* NextRedrive(const Wishes& wishes, std::int32_t generation);

// `accepted` has a deadline. What was wished before the redrive that began the generation neither cancels nor pauses
// it, and the deadline of what came before is not its own.
Orders OrdersOf(const BatchSpec& accepted, std::int64_t submitted_ms, const Wishes& wishes, std::int32_t generation);

[[nodiscard]] bool Cancels(const Orders& orders);
// Nothing more of it is to start at that time: it is cancelled, or its deadline has passed.
[[nodiscard]] bool EndsBy(const Orders& orders, std::int64_t now_ms);

// A state says them from now on. False: it has said so before.
bool ShowOrders(BatchState& state, const Orders& orders);

// The copy of a spec that its owner takes: the version and the deadline stand in it. The error says why it is refused.
// `function` is null where nobody has deployed it.
Result<BatchSpec> AcceptSpec(const BatchSpec& offered, const UserId& user, std::int64_t submitted_ms,
                             std::int64_t now_ms, const Function* function, const Settings& settings);

// Whether items that are to run with `version` (as in a state) may start with the function as it is deployed now. In
// place of a number another one may run once somebody has wished the batch to run after it was deployed.
bool MayRunVersion(std::int64_t version, const Orders& orders, const Function& deployed);

// How many of its items may be placed or in the queue. `priorities`: the sum over the running batches of its user.
std::int64_t WindowOf(const Orders& orders, std::int64_t priorities);

// Why a batch has stopped before its items were done.
enum class StopCause : std::uint8_t { kNone, kCancelled, kTolerance, kExpired };
BatchOutcome OutcomeOf(const ItemCounts& counts, StopCause stopped);
ItemStatus StatusOfStopped(StopCause cause);
std::string_view ReasonOfStop(StopCause cause);

// The generation of the ledger of a batch's partition: never 0, and another one for each batch of a name and each of
// its redrives.
std::int64_t LedgerGenerationOf(std::int64_t submitted_ms, std::int32_t generation);

// The index in an item's id, "BATCH.INDEX" or "BATCH.INDEX.gN"; nothing: it is none of the batch.
std::optional<std::int64_t> IndexIn(const InvocationId& id, const BatchId& batch);

}  // namespace hearth::dispatcher
