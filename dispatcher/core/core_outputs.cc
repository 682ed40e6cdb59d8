// The last records of an invocation, and its completion: only when they are durable.
#include <algorithm>

#include "common/base/sha256.h"
#include "common/base/text.h"
#include "dispatcher/core/core_state.h"

namespace hearth::dispatcher {
namespace {

constexpr std::string_view kDeadPrefix = "hearth-dead-";
constexpr std::size_t kMaxDeadMessageBytes = 1024;
constexpr std::size_t kMaxCutHeaderBytes = 256;

// The value goes, and its length and hash stay; headers are cut. What is left fits into any topic.
void CutToFit(OutRecord& record) {
  record.headers.push_back({"hearth-cut-value-bytes", std::to_string(record.value.size())});
  record.headers.push_back({"hearth-cut-value-sha256", Sha256Hex(record.value)});
  record.value.clear();
  record.value.shrink_to_fit();
  record.key = CutText(record.key, kMaxCutHeaderBytes);
  for (Header& header : record.headers) {
    header.value = CutText(header.value, kMaxCutHeaderBytes);
  }
}

}  // namespace

Output Core::State::ReplyOutput(const Invocation& invocation, Status status, std::string_view error_type,
                                std::string_view message) {
  const Request& request = invocation.request;
  const Function* function = FunctionOf(request);
  InvocationResult result;
  result.id = request.id;
  result.user = request.user;
  result.function = request.function;
  result.version = function != nullptr ? function->version : 0;
  result.status = status;
  result.error_type = std::string(error_type);
  result.error_message = CutText(message, kMaxErrorMessageBytes);
  result.attempt = std::max(1, invocation.failed_tries + invocation.infrastructure_failures);
  result.start_path = invocation.final_path;
  result.times = invocation.times;
  result.epoch = invocation.partition->epoch;
  result.executor = invocation.executor;
  result.traceparent = request.traceparent;
  result.why = WhyOf(invocation, error_type);
  return {
      Output::Kind::kReply,
      EncodeReply(result, request.form, request.reply_to.empty() ? context_.settings().reply_topic : request.reply_to)};
}

// The original record as it was, with what happened to it: written back, it is the request again. What hearth wrote in
// an earlier life of it is replaced.
Output Core::State::DeadLetterOutput(const Invocation& invocation, std::string_view reason,
                                     std::string_view message) const {
  const Record& record = *invocation.record;
  OutRecord out{
      context_.settings().dead_letter_topic, record.key, record.value, {}, record.null_key, record.null_value};
  for (const Header& header : record.headers) {
    if (!IsHearthsOwnHeader(header.name)) out.headers.push_back(header);
  }
  const auto add = [&out](std::string_view name, std::string value) {
    out.headers.push_back({std::string(kDeadPrefix) + std::string(name), std::move(value)});
  };
  add("reason", std::string(reason));
  add("attempts", std::to_string(invocation.failed_tries + invocation.infrastructure_failures));
  add("first-seen", std::to_string(invocation.times.received_us / kMicrosPerMilli));
  add("error", CutText(message, kMaxDeadMessageBytes));
  add("topic", record.partition.topic);
  add("partition", std::to_string(record.partition.partition));
  add("offset", std::to_string(record.offset));
  return {Output::Kind::kDeadLetter, std::move(out)};
}

void Core::State::Finish(Invocation& invocation, Status status, std::string_view reason, std::vector<Output> outputs) {
  ChangeStage(invocation, Stage::kProducing);
  invocation.final_status = status;
  invocation.final_reason = std::string(reason);
  invocation.outputs.assign(std::make_move_iterator(outputs.begin()), std::make_move_iterator(outputs.end()));
  ProduceNext(invocation);
}

void Core::State::ProduceNext(Invocation& invocation) {
  if (invocation.outputs.empty()) {
    Complete(invocation);
    return;
  }
  ChangeStage(invocation, Stage::kProducing);
  invocation.token = ++last_token;
  by_token[invocation.token] = invocation.serial;
  context_.Emit(Produce{invocation.token, invocation.outputs.front().record});
}

void Core::State::On(const ProduceFinished& event) {
  const auto token = by_token.find(event.token);
  if (token == by_token.end()) return;
  const auto found = by_serial.find(token->second);
  by_token.erase(token);
  if (found == by_serial.end()) return;
  Invocation& invocation = *found->second;
  invocation.token = 0;
  Output& output = invocation.outputs.front();
  if (event.ok) {
    if (output.kind == Output::Kind::kDeadLetter) {
      Note(Trace::Kind::kDeadLettered, invocation, invocation.final_reason).status = invocation.final_status;
    }
    invocation.outputs.pop_front();
    invocation.output_failures = 0;
    ProduceNext(invocation);
    return;
  }
  ++output_failures;
  if (output.kind == Output::Kind::kReply) {
    output.kind = Output::Kind::kUndeliverable;
    MarkUndeliverable(output.record, event.error);
    output.record.topic = context_.settings().undeliverable_topic;
    ProduceNext(invocation);
    return;
  }
  if (event.permanent) {
    // No record stops its partition: what its topic cannot take is cut, and what is refused even so is let go.
    if (!std::exchange(output.cut, true)) {
      CutToFit(output.record);
    } else {
      Note(Trace::Kind::kDeadLettered, invocation, "given_up: its topic takes no record of it");
      invocation.outputs.pop_front();
      invocation.output_failures = 0;
    }
    ProduceNext(invocation);
    return;
  }
  const std::int64_t wait_ms = std::min(kMaxRetryMs, kProduceRetryMs << std::min(invocation.output_failures, 10));
  ++invocation.output_failures;
  ChangeStage(invocation, Stage::kProduceBackoff);
  SetTimer(invocation, context_.After(wait_ms));
}

void Core::State::Complete(Invocation& invocation) {
  Partition& partition = *invocation.partition;
  const std::int64_t offset = invocation.offset;
  Trace& trace = Note(Trace::Kind::kCompleted, invocation, invocation.final_reason);
  trace.status = invocation.final_status;
  trace.path = invocation.final_path;
  if (Decision* line = decisions.At(invocation.decision); line != nullptr) {
    line->complete = true;
    line->status = invocation.final_status;
    line->path = invocation.final_path;
    line->reason = invocation.final_reason;
    line->times = invocation.times;
  }
  ChangeStage(invocation, Stage::kProducing);
  --producing;
  const OrderKey key{invocation.request.user, invocation.request.order_key};
  partition.covered.insert(partition.covered.end(), invocation.owed.begin(), invocation.owed.end());
  partition.held_bytes -= invocation.bytes;
  by_serial.erase(invocation.serial);
  Check(partition.ledger.Complete(offset), "I1: complete only once", partition);
  partition.invocations.erase(offset);
  partition.dirty = true;
  Check(partition.ledger.incomplete() == static_cast<std::int64_t>(partition.invocations.size()), "I6", partition);

  if (const auto waiting = partition.keys.find(key); waiting != partition.keys.end()) {
    const bool was_head = *waiting->second.begin() == offset;
    waiting->second.erase(offset);
    if (waiting->second.empty()) {
      partition.keys.erase(waiting);
    } else if (was_head) {
      Invocation* next = Find(partition, *waiting->second.begin());
      Check(next != nullptr, "a key holds only what is not complete", partition);
      if (next != nullptr && next->stage == Stage::kKeyed) Activate(*next);
    }
  }
  if (partition.paused) UpdateIntake(partition);
}

}  // namespace hearth::dispatcher
