// The last records of an invocation, and its completion: only when they are durable.
#include "dispatcher/core/core.h"
#include "dispatcher/core/replies.h"

namespace hearth::dispatcher {

Output Core::Reply(const Invocation& invocation, Status status, std::string_view error_type,
                   std::string_view message) const {
  return ReplyTo(invocation, FunctionOf(invocation), status, error_type, message,
                 journal_.WhyOf(invocation, error_type), context_.settings());
}

Output Core::DeadLetter(const Invocation& invocation, std::string_view reason, std::string_view message) const {
  return DeadLetterOf(invocation, reason, message, context_.settings());
}

void Core::Finish(Invocation& invocation, Status status, std::string_view reason, std::vector<Output> outputs) {
  if (invocation.item() != nullptr) {  // what became of it stands in its batch
    std::erase_if(outputs, [](const Output& output) { return output.kind == Output::Kind::kDeadLetter; });
  }
  invocations_.Finish(invocation, {status, std::string(reason)}, std::move(outputs));
  ProduceNext(invocation);
}

void Core::ProduceNext(Invocation& invocation) {
  if (invocation.outputs().empty()) {
    Complete(invocation);
  } else {
    invocations_.Produce(invocation);
  }
}

void Core::On(const ProduceFinished& event) {
  if (event.token >= kBatchTokens) return OnBatchRecord(event);
  Invocation* invocation = invocations_.TakeProduced(event.token);
  if (invocation == nullptr) return;
  Outputs& outputs = invocation->outputs();
  if (event.ok) {
    const bool is_result = invocation->item() != nullptr && outputs.next().kind == Output::Kind::kReply;
    if (is_result) NoteResult(*invocation->partition().batch(), event.offset);
    if (outputs.next().kind == Output::Kind::kDeadLetter) {
      journal_.Note(Trace::Kind::kDeadLettered, *invocation, invocation->ending().reason).status =
          invocation->ending().status;
    }
    outputs.Delivered();
    return ProduceNext(*invocation);
  }
  ++output_failures_;
  switch (outputs.Refused(event.error, event.permanent, context_.settings().undeliverable_topic)) {
    case Outputs::Remedy::kSend: return ProduceNext(*invocation);
    case Outputs::Remedy::kLetGo:
      journal_.Note(Trace::Kind::kDeadLettered, *invocation, "given_up: its topic takes no record of it");
      return ProduceNext(*invocation);
    case Outputs::Remedy::kBackOff: return invocations_.BackOffProducing(*invocation);
  }
}

void Core::Complete(Invocation& invocation) {
  Partition& partition = invocation.partition();
  journal_.NoteEnd(invocation);
  if (partition.batch() != nullptr) return CompleteItem(invocation);
  ownership_.Cover(partition, invocation.owed());
  const std::int64_t offset = invocation.offset();
  Invocation* next = invocations_.Complete(invocation);
  ownership_.MarkDirty(partition, offset);
  if (next != nullptr && next->stage() == Stage::kKeyed) Activate(*next);
  if (partition.intake().paused()) UpdateIntake(partition);
}

}  // namespace hearth::dispatcher
