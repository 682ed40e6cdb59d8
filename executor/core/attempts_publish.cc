// Attempts: how results are published. A result that its topic refuses goes to the undeliverable topic. What no topic
// takes at all is shortened once, and then the attempt ends without it: nothing is tried for ever.
#include <algorithm>
#include <utility>

#include "executor/core/attempts.h"
#include "schemas/batch_item.h"

namespace hearth::executor {
namespace {

// The reply to an item says which one it is, and lies in the partition of its batch.
void MarkReply(const link::Exec& exec, OutRecord& reply) {
  auto batch = ParseBatchRef(exec.ref.partition.topic);
  if (!batch) return;  // whoever decodes an Exec refuses such an item
  MarkResult({{std::move(*batch), exec.item->index}, exec.item->item_id, exec.item->generation}, reply);
  reply.partition = exec.ref.partition.partition;
}

}  // namespace

void Attempts::Publish(Attempt& attempt, InvocationResult result) {
  const link::Exec& exec = attempt.exec_;
  result.id = exec.id;
  result.user = exec.function->user;
  result.function = exec.function->name;
  result.version = exec.function->version;
  result.attempt = exec.try_number;
  result.start_path = attempt.path_;
  result.times = exec.times;
  result.epoch = exec.ref.epoch;
  result.executor = context_.settings().id;
  result.traceparent = exec.traceparent;
  result.why = attempt.why_.Text(exec.why, attempt.run_sent_.mono_us);
  if (result.content_type.empty()) result.content_type = exec.content_type;
  if (result.output.size() > kMaxOutputBytes) {
    result.status = Status::kError;
    result.error_type = "result_too_large";
    result.error_message = "the result has more than " + std::to_string(kMaxOutputBytes) + " bytes";
    result.output.clear();
  }
  attempt.done_ = DoneOf(attempt);
  attempt.done_.outcome = link::Outcome::kPublished;
  attempt.done_.status = result.status;
  attempt.done_.error_type = result.error_type;
  attempt.done_.error_message = result.error_message;
  attempt.done_.billed_ms = result.billed_ms;
  OutRecord reply = EncodeReply(result, exec.form, exec.reply_to);
  if (exec.item) MarkReply(exec, reply);
  attempt.record_ = Share(std::move(reply));
  if (attempt.phase_ != AttemptPhase::kPublishing) {
    Move(attempt, AttemptPhase::kPublishing);
    attempt.publishing_since_us_ = context_.now_us();
  }
  HandOver(attempt);
}

// An executor that was cut off publishes nothing: its dispatcher may have been replaced by one that places the work
// again.
void Attempts::HandOver(Attempt& attempt) {
  if (!dispatchers_.LeaseHolds(dispatchers_.OwnerOf(attempt.partition()).dispatcher)) return Orphan(attempt);
  attempt.token_ = next_token_++;
  publishing_.emplace(attempt.token_, &attempt);
  context_.Emit(executor::Publish{attempt.token_, attempt.record_});
}

void Attempts::Published(const PublishFinished& event) {
  const auto node = publishing_.extract(event.token);
  if (node.empty()) return;
  Attempt& attempt = *node.mapped();
  attempt.token_ = 0;
  if (event.ok) {
    attempt.done_.ref.epoch = attempt.exec_.ref.epoch;  // may have been adopted meanwhile
    if (attempt.exec_.item && !attempt.to_undeliverable_) attempt.done_.reply_offset = event.offset;
    Note(Trace::Kind::kPublished, attempt, attempt.done_.status, attempt.to_undeliverable_ ? "undeliverable" : "");
    return Finish(attempt, std::move(attempt.done_));
  }
  if (event.purged) return HandOver(attempt);
  if (attempt.to_undeliverable_) {
    if (event.permanent) return GiveUpPublishing(attempt);
    return TryAgain(attempt, context_.After(kPublishRetryMs));
  }
  attempt.to_undeliverable_ = true;
  OutRecord record = *attempt.record_;
  MarkUndeliverable(record, event.error);
  record.topic = context_.settings().undeliverable_topic;
  record.partition = kByKey;  // an item's reply has a place in its own topic only
  attempt.record_ = Share(std::move(record));
  TryAgain(attempt, context_.now_us());
}

void Attempts::TryAgain(Attempt& attempt, std::int64_t at_us) {
  attempt.again_us_ = at_us;
  publish_again_.emplace(at_us, attempt.key());
  PublishAgain();
}

void Attempts::GiveUpPublishing(Attempt& attempt) {
  if (!std::exchange(attempt.shrunk_, true)) {
    attempt.to_undeliverable_ = false;
    InvocationResult result;
    result.status = Status::kError;
    result.error_type = "result_too_large";
    result.error_message = "the result cannot be written to any topic";
    result.billed_ms = attempt.done_.billed_ms;
    return Publish(attempt, std::move(result));
  }
  Note(Trace::Kind::kPublished, attempt, attempt.done_.status, "given_up: no topic takes the result");
  attempt.done_.ref.epoch = attempt.exec_.ref.epoch;
  Finish(attempt, std::move(attempt.done_));
}

void Attempts::PublishAgain() {
  while (!publish_again_.empty() && publish_again_.begin()->first <= context_.now_us()) {
    Attempt& attempt = attempts_.at(publish_again_.extract(publish_again_.begin()).value().second);
    attempt.again_us_ = 0;
    HandOver(attempt);
  }
}

void Attempts::LendCredit() {
  const auto waits = [this](const auto& one) {
    const Attempt& attempt = one.second;
    return attempt.phase_ == AttemptPhase::kPublishing &&
           context_.now_us() - attempt.publishing_since_us_ > kSlowPublishMs * kMicrosPerMilli;
  };
  lent_credit_ = std::min(kMaxLentCredit, static_cast<std::int32_t>(std::ranges::count_if(attempts_, waits)));
}

}  // namespace hearth::executor
