#include "dispatcher/core/batch_rules.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "schemas/batch_policy.h"
#include "schemas/limits.h"
#include "schemas/reply_policy.h"

namespace hearth::dispatcher {
namespace {

template <class W>
const W* Wished(const Wishes& wishes, WantField field) {
  const auto& wish = wishes.at(static_cast<std::size_t>(field));
  return wish ? std::get_if<W>(&wish->want) : nullptr;
}

const std::optional<Wish>& At(const Wishes& wishes, WantField field) {
  return wishes.at(static_cast<std::size_t>(field));
}

// Where the redrive that began the generation lies; nothing: it is not known, or there was none.
const Wish* RedriveOf(const Wishes& wishes, std::int32_t generation) {
  const auto* redrive = Wished<WantRedrive>(wishes, WantField::kRedrive);
  if (generation == 0 || redrive == nullptr || redrive->generation != generation) return nullptr;
  return &*At(wishes, WantField::kRedrive);
}

}  // namespace

const WantRedrive* NextRedrive(const Wishes& wishes, std::int32_t generation) {
  const auto* redrive = Wished<WantRedrive>(wishes, WantField::kRedrive);
  return redrive != nullptr && redrive->generation == generation + 1 ? redrive : nullptr;
}

Orders OrdersOf(const BatchSpec& accepted, std::int64_t submitted_ms, const Wishes& wishes, std::int32_t generation) {
  Orders orders;
  orders.concurrency = accepted.concurrency;
  orders.priority = accepted.priority;
  orders.tolerance = accepted.tolerance;
  orders.deadline_ms = accepted.deadline_ms;
  const Wish* redrive = RedriveOf(wishes, generation);
  const auto counts = [&](WantField field) {
    return At(wishes, field) && (redrive == nullptr || At(wishes, field)->offset > redrive->offset);
  };
  if (redrive != nullptr) {
    orders.deadline_ms = std::min(redrive->made_ms + kDefaultBatchDeadlineMs, submitted_ms + kBatchRetentionMs);
  }
  if (const auto* run = Wished<WantRun>(wishes, WantField::kRun); run != nullptr && counts(WantField::kRun)) {
    orders.run = run->wish;
    orders.run_made_ms = At(wishes, WantField::kRun)->made_ms;
  }
  if (const auto* deadline = Wished<WantDeadline>(wishes, WantField::kDeadline);
      deadline != nullptr && counts(WantField::kDeadline)) {
    orders.deadline_ms = deadline->deadline_ms;
  }
  if (const auto* most = Wished<WantConcurrency>(wishes, WantField::kConcurrency)) orders.concurrency = most->most;
  if (const auto* priority = Wished<WantPriority>(wishes, WantField::kPriority)) orders.priority = priority->priority;
  if (const auto* tolerance = Wished<WantTolerance>(wishes, WantField::kTolerance)) {
    orders.tolerance = tolerance->tolerance;
  }
  return orders;
}

bool Cancels(const Orders& orders) {
  return orders.run == RunWish::kCancel || orders.run == RunWish::kCancelNow;
}

bool EndsBy(const Orders& orders, std::int64_t now_ms) {
  return Cancels(orders) || (orders.deadline_ms != 0 && now_ms >= orders.deadline_ms);
}

bool ShowOrders(BatchState& state, const Orders& orders) {
  auto shown = std::tie(state.times.deadline_ms, state.concurrency, state.priority, state.tolerance);
  const auto said = std::tie(orders.deadline_ms, orders.concurrency, orders.priority, orders.tolerance);
  if (shown == said) return false;
  shown = said;
  return true;
}

Result<BatchSpec> AcceptSpec(const BatchSpec& offered, const UserId& user, std::int64_t submitted_ms,
                             std::int64_t now_ms, const Function* function, const Settings& settings) {
  if (const auto checked = CheckBatchDeadline(offered.deadline_ms, now_ms); !checked) {
    return std::unexpected(checked.error());
  }
  if (function == nullptr) {
    return Fail(Code::kNotFound, "no function " + offered.function.str() + " of user " + user.str() + " is deployed");
  }
  if (offered.version > 0 && offered.version != function->version) {
    return Fail(Code::kNotFound, "function " + offered.function.str() + " has version " +
                                     std::to_string(function->version) + ", not " + std::to_string(offered.version));
  }
  if (const auto* items = std::get_if<StoredItems>(&offered.items); items != nullptr && !items->topic.empty()) {
    if (!BatchTopicAllowed({settings.batch_replay_topics, settings.own_topics}, user, items->topic)) {
      return Fail(
          Code::kInvalid,
          "topic " + items->topic + " is not allowed as a source of items (admission.batch_topics of the dispatcher)");
    }
  }
  const std::string& told = offered.on_complete.topic;
  const ReplyPolicy policy{settings.reply_topic, settings.reply_topics_allowed, settings.own_topics};
  if (!told.empty() && !ReplyTopicAllowed(policy, told)) {
    return Fail(Code::kInvalid,
                "topic " + told + " is not allowed as on_complete (admission.reply_topics of the dispatcher)");
  }
  BatchSpec accepted = offered;
  if (accepted.version == kVersionOfOwner) accepted.version = function->version;
  if (accepted.deadline_ms == 0) accepted.deadline_ms = submitted_ms + kDefaultBatchDeadlineMs;
  return accepted;
}

bool MayRunVersion(std::int64_t version, const Orders& orders, const Function& deployed) {
  if (version == kVersionNewest || version == deployed.version) return true;
  return orders.run == RunWish::kRun && orders.run_made_ms >= deployed.version;
}

std::int64_t WindowOf(const Orders& orders, std::int64_t priorities) {
  const std::int64_t share =
      std::max<std::int64_t>(1, kBatchWindow * orders.priority / std::max<std::int64_t>(1, priorities));
  return orders.concurrency > 0 ? std::min<std::int64_t>(share, orders.concurrency) : share;
}

BatchOutcome OutcomeOf(const ItemCounts& counts, StopCause stopped) {
  if (stopped == StopCause::kExpired) return BatchOutcome::kExpired;
  if (stopped != StopCause::kNone) return BatchOutcome::kCancelled;
  if (counts[ItemStatus::kOk] == counts.Total()) return BatchOutcome::kSucceeded;
  return counts[ItemStatus::kOk] > 0 ? BatchOutcome::kPartial : BatchOutcome::kFailed;
}

ItemStatus StatusOfStopped(StopCause cause) {
  return cause == StopCause::kExpired ? ItemStatus::kExpired : ItemStatus::kCancelled;
}

std::string_view ReasonOfStop(StopCause cause) {
  switch (cause) {
    case StopCause::kNone: return "";
    case StopCause::kCancelled: return "cancelled";
    case StopCause::kTolerance: return kTolerancePassed;
    case StopCause::kExpired: return "deadline";
  }
  return "";
}

std::int64_t LedgerGenerationOf(std::int64_t submitted_ms, std::int32_t generation) {
  return (std::max<std::int64_t>(submitted_ms, 0) << 9) + generation + 1;
}

std::optional<std::int64_t> IndexIn(const InvocationId& id, const BatchId& batch) {
  const auto item = ParseItemInvocationId(id.value);
  return item && item->batch == batch ? std::optional(item->index) : std::nullopt;
}

}  // namespace hearth::dispatcher
