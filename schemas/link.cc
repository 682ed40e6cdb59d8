#include "schemas/link.h"

#include <utility>

#include "schemas/batch_item.h"
#include "schemas/codec.h"
#include "schemas/describe.h"

namespace hearth {

namespace link {

constexpr std::uint8_t EnumSize(SlotState) {
  return 4;
}
constexpr std::uint8_t EnumSize(NackReason) {
  return 7;
}
constexpr std::uint8_t EnumSize(Outcome) {
  return 4;
}

using codec::Layout;

template <class A>
void Describe(A& a, AttemptRef& m) {
  a("partition", m.partition)("offset", m.offset)("epoch", m.epoch)("attempt", m.attempt)("generation", m.generation);
}
template <class A>
void Describe(A& a, Slot& m) {
  a("user", m.user)("instance", m.machine)("container", m.container)("function", m.function)("version", m.version)(
      "state", m.state)("memory_mib", m.memory_mib)("since_ms", m.since_ms);
}
template <class A>
void Describe(A& a, ProfileCapacity& m) {
  a("profile", m.profile)("pool_ready", m.pool_ready)("shells", m.shells)("can_start", m.can_start)
      .Optional("container_mib", m.container_mib)
      .Optional("runtimes", m.runtimes)
      .Optional("pool_kept", m.pool_kept);
}
template <class A>
void Describe(A& a, DispatcherHello& m) {
  a("protocol", m.protocol)("dispatcher", m.dispatcher).Optional("nonce", m.nonce);
}
template <class A>
void Describe(A& a, Challenge& m) {
  a("protocol", m.protocol)("executor", m.executor)("nonce", m.nonce)("proof", m.proof);
}
template <class A>
void Describe(A& a, Proof& m) {
  a("proof", m.proof);
}
template <class A>
void Describe(A& a, ExecutorHello& m) {
  a("protocol", m.protocol)("executor", m.executor)("incarnation", m.incarnation)("acceleration", m.acceleration)(
      "credit", m.credit)("draining", m.draining)("profiles", m.profiles)("slots", m.slots)
      .Optional("waiting_room", m.waiting_room)
      .Optional("waiting", m.waiting);
}
template <class A>
void Describe(A& a, FunctionDescription& m) {
  a("number", m.number)("function", m.function);
}
template <class A>
void Describe(A& a, ItemOfBatch& m) {
  a("index", m.index)("item_id", m.item_id)("generation", m.generation);
}
template <class A>
void Describe(A& a, Exec& m) {
  a("ref", m.ref)("id", m.id)("try_number", m.try_number)("final_try", m.final_try)("form", m.form)(
      "reply_to", m.reply_to)("traceparent", m.traceparent)("content_type", m.content_type)("timeout_ms", m.timeout_ms)(
      "expires_ms", m.expires_ms)("times", m.times)("function_number", m.function_number)
      .Bytes("payload", m.payload, kMaxPayloadBytes)
      .Optional("why", m.why)
      .Optional("item", m.item);
}
template <class A>
void Describe(A& a, Fence& m) {
  a("partition", m.partition)("epoch", m.epoch)("committed_offset", m.committed_offset)("generation", m.generation);
}
template <class A>
void Describe(A& a, Cancel& m) {
  a("ref", m.ref);
}
template <class A>
void Describe(A& a, Drop& m) {
  a("ref", m.ref);
}
template <class A>
void Describe(A& a, DoneAck& m) {
  a("ref", m.ref);
}
template <class A>
void Describe(A& a, Nack& m) {
  a("ref", m.ref)("reason", m.reason);
}
template <class A>
void Describe(A& a, Done& m) {
  a("ref", m.ref)("id", m.id)("outcome", m.outcome)("status", m.status)("error_type", m.error_type)(
      "error_message", m.error_message)("start_path", m.start_path)("times", m.times)("try_number", m.try_number)
      .Optional("billed_ms", m.billed_ms)
      .Optional("reply_offset", m.reply_offset);
}
template <class A>
void Describe(A& a, Running& m) {
  a("ref", m.ref)("id", m.id)("enqueued_us", m.enqueued_us);
}
template <class A>
void Describe(A& a, FenceReport& m) {
  a("partition", m.partition)("epoch", m.epoch)("running", m.running)("finished", m.finished)("more", m.more)(
      "refused", m.refused);
}
template <class A>
void Describe(A& a, Heartbeat& m) {
  a("sequence", m.sequence)("sent_mono_us", m.sent_mono_us)("credit", m.credit)("held", m.held)("draining", m.draining)(
      "profiles", m.profiles)
      .Optional("waiting_room", m.waiting_room)
      .Optional("waiting", m.waiting)
      .Optional("leaves", m.leaves);
}
template <class A>
void Describe(A& a, HeartbeatAck& m) {
  a("sequence", m.sequence)("sent_mono_us", m.sent_mono_us).Optional("wanting", m.wanting);
}
template <class A>
void Describe(A& a, SlotReport& m) {
  a("slots", m.slots);
}

template <class A>
void Describe(A& a, ProfileDemand& m) {
  a("profile", m.profile)("waiting", m.waiting);
}
template <class A>
void Describe(A& a, Demand& m) {
  a("profiles", m.profiles);
}

namespace {

template <std::size_t kIndex>
Result<Message> DecodeAs(const RawFrame& raw) {
  auto message = codec::Decode<Layout::kArray, std::variant_alternative_t<kIndex, Message>>(raw.payload);
  if (!message) return std::unexpected(message.error());
  return Message(std::move(*message));
}

template <std::size_t... kIndexes>
Result<Message> DecodeAny(const RawFrame& raw, std::index_sequence<kIndexes...>) {
  Result<Message> message = Fail(Code::kInvalid, "unknown type " + std::to_string(raw.type));
  static_cast<void>(((raw.type == kIndexes + 1 ? (message = DecodeAs<kIndexes>(raw), true) : false) || ...));
  return message;
}

Result<void> CheckItem(const Exec& exec) {
  if (!exec.item) return {};
  const ItemOfBatch& item = *exec.item;
  if (auto batch = ParseBatchRef(exec.ref.partition.topic); !batch) return FailWith("an item's batch", batch.error());
  if (item.index < kOnCompleteIndex || item.index >= kMaxBatchItems) {
    return Fail(Code::kInvalid, "no batch has an item " + std::to_string(item.index));
  }
  if (item.generation < 0 || item.generation > kMaxBatchGeneration) {
    return Fail(Code::kInvalid, "no batch has a generation " + std::to_string(item.generation));
  }
  if (item.item_id.size() <= kMaxItemIdBytes) return {};
  return Fail(Code::kExhausted, "an item's id has " + std::to_string(item.item_id.size()) + " bytes; the limit is " +
                                    std::to_string(kMaxItemIdBytes));
}

}  // namespace

Result<void> AppendLinkMessage(std::string& out, const Message& message) {
  const std::size_t begin = BeginFrame(out, static_cast<std::uint8_t>(message.index() + 1), 0);
  std::visit([&](const auto& each) { codec::Encode<Layout::kArray>(out, each); }, message);
  return EndFrame(out, begin);
}

Result<Message> DecodeLinkMessage(RawFrame raw) {
  auto message = DecodeAny(raw, std::make_index_sequence<std::variant_size_v<Message>>());
  if (!message) return FailWith("link frame", message.error());
  if (const auto* exec = std::get_if<Exec>(&*message)) {
    if (auto good = CheckItem(*exec); !good) return FailWith("link frame", good.error());
  }
  return message;
}

}  // namespace link
}  // namespace hearth
