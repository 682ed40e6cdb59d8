#include "schemas/guest.h"

#include <utility>

#include "schemas/codec.h"
#include "schemas/describe.h"

namespace hearth {

namespace guest {

using codec::Layout;

template <class A>
void Describe(A& a, Hello& m) {
  a("protocol", m.protocol)("agent_version", m.agent_version)("boot_nonce", m.boot_nonce)("runtimes", m.runtimes)(
      "memory_bytes", m.memory_bytes);
}
template <class A>
void Describe(A& a, Configure& m) {
  a("instance", m.machine)("user", m.user)("wall_us", m.wall_us).Bytes("entropy", m.entropy, kMaxStringBytes);
}
template <class A>
void Describe(A& a, Configured& m) {
  a("nonce", m.nonce);
}
template <class A>
void Describe(A& a, CodeOffer& m) {
  a("hash", m.hash)("bytes", m.bytes);
}
template <class A>
void Describe(A& a, CodeStored& m) {
  a("hash", m.hash)("error", m.error);
}
template <class A>
void Describe(A& a, Create& m) {
  a("code", m.code)("function", m.function)("version", m.version)("runtime", m.runtime)("handler", m.handler)(
      "memory_mib", m.memory_mib)("environment", m.environment);
}
template <class A>
void Describe(A& a, Created& m) {
  a("error", m.error);
}
template <class A>
void Describe(A& a, Run& m) {
  a("id", m.id)("attempt", m.attempt)("timeout_ms", m.timeout_ms)("content_type", m.content_type)("traceparent",
                                                                                                  m.traceparent)
      .Bytes("input", m.input, kMaxPayloadBytes);
}
template <class A>
void Describe(A& a, Ended& m) {
  a("id", m.id)("attempt", m.attempt)("status", m.status)("error_type", m.error_type)("error_message", m.error_message)
      .Bytes("output", m.output, kMaxOutputBytes)
      .Bytes("log_tail", m.log_tail, kMaxLogTailBytes)("log_bytes", m.log_bytes)("start_us", m.start_us)(
          "run_us", m.run_us)("total_us", m.total_us)("memory_peak_bytes", m.memory_peak_bytes);
}
template <class A>
void Describe(A& a, Checked& m) {
  a("cpu_us", m.cpu_us)("reusable", m.reusable);
}
// Without fields; a map must be there all the same.
template <class A>
void Describe(A&, Remove&) {}
template <class A>
void Describe(A& a, ContainerGone& m) {
  a("reason", m.reason);
}
template <class A>
void Describe(A& a, Ping& m) {
  a("sequence", m.sequence);
}
template <class A>
void Describe(A& a, Pong& m) {
  a("sequence", m.sequence);
}
template <class A>
void Describe(A&, Greet&) {}
template <class A>
void Describe(A&, WarmUp&) {}
template <class A>
void Describe(A& a, Warmed& m) {
  a("runtimes", m.runtimes);
}

namespace {

// Index of CodeChunk, whose payload is raw.
constexpr std::size_t kChunkIndex = 4;
static_assert(std::is_same_v<std::variant_alternative_t<kChunkIndex, Message>, CodeChunk>);

template <std::size_t kIndex>
Result<Message> DecodeAs(RawFrame& raw) {
  using T = std::variant_alternative_t<kIndex, Message>;
  if constexpr (kIndex == kChunkIndex) {
    if (raw.payload.size() > kMaxCodeChunkBytes) return Fail(Code::kExhausted, "a code chunk above its limit");
    return Message(CodeChunk{std::move(raw.payload)});
  } else {
    auto message = codec::Decode<Layout::kMap, T>(raw.payload);
    if (!message) return std::unexpected(message.error());
    return Message(std::move(*message));
  }
}

template <std::size_t... kIndexes>
Result<Message> DecodeAny(RawFrame& raw, std::index_sequence<kIndexes...>) {
  Result<Message> message = Fail(Code::kInvalid, "guest frame: unknown type " + std::to_string(raw.type));
  static_cast<void>(((raw.type == kIndexes + 1 ? (message = DecodeAs<kIndexes>(raw), true) : false) || ...));
  return message;
}

}  // namespace

Result<void> AppendGuestFrame(std::string& out, const Frame& frame) {
  const auto type = static_cast<std::uint8_t>(frame.message.index() + 1);
  if (const auto* chunk = std::get_if<CodeChunk>(&frame.message)) {
    return AppendFrame(out, type, frame.stream, chunk->bytes);
  }
  const std::size_t begin = BeginFrame(out, type, frame.stream);
  std::visit(
      [&](const auto& message) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(message)>, CodeChunk>) {
          codec::Encode<Layout::kMap>(out, message);
        }
      },
      frame.message);
  return EndFrame(out, begin);
}

Result<Frame> DecodeGuestFrame(RawFrame raw) {
  const std::uint32_t stream = raw.stream;
  auto message = DecodeAny(raw, std::make_index_sequence<std::variant_size_v<Message>>());
  if (!message) return FailWith("guest frame", message.error());
  return Frame{stream, std::move(*message)};
}

}  // namespace guest
}  // namespace hearth
