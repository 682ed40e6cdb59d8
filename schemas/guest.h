// Frames between an executor and the agent inside one machine. The executor listens, QEMU connects, the agent says
// Hello. The agent trusts the executor; the executor checks all that the agent says.
//
// A frame's stream is the number of the container it concerns (1…), or 0 for the machine as a whole.
//   agent → executor  Hello, once, first
//   executor → agent  Configure (binds the machine to a user, once) → Configured
//   executor → agent  CodeOffer, CodeChunk… → CodeStored          (stream 0; one transfer at a time)
//   executor → agent  Create (stream n) → Created or ContainerGone
//   executor → agent  Run (stream n, container idle) → Ended, Checked   (one at a time in each container)
//   executor → agent  Remove (stream n) → ContainerGone            (kills what runs; nothing else is sent then)
//   executor → agent  Greet → Hello: the clone of a machine that said Hello before it was saved says it again
//   executor → agent  WarmUp → Warmed: runs each runtime once more (before Configure; nothing of a user is there)
//   both              Ping → Pong
// Ended leaves as soon as the answer is whole. The container is checked after it, and Checked says whether it is idle
// again. One that dies, or fails its check, is reported by ContainerGone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/frame.h"
#include "schemas/function.h"
#include "schemas/result.h"

namespace hearth::guest {

constexpr std::uint32_t kProtocolVersion = 2;  // 2: Checked follows Ended

struct Hello {
  std::uint32_t protocol = kProtocolVersion;
  std::string agent_version;
  std::string boot_nonce;             // 32 hex digits, made at boot: clones of one template share it
  std::vector<std::string> runtimes;  // "python3", "native": ready to run
  std::int64_t memory_bytes = 0;      // of the machine
};
struct Configure {
  MachineId machine;
  UserId user;
  std::int64_t wall_us = 0;  // the host's clock
  std::string entropy;       // 64 bytes, mixed into the guest's generator before anything runs
};
struct Configured {
  std::string nonce;  // 32 hex digits made after the entropy went in
};
struct CodeOffer {
  CodeHash hash;
  std::int64_t bytes = 0;
};
struct CodeChunk {
  std::string bytes;  // raw payload of the frame, in order
};
struct CodeStored {
  CodeHash hash;
  std::string error;  // empty: unpacked, hash verified
};
struct Create {
  CodeHash code;         // must be stored
  std::string function;  // "<user>/<name>", for the environment of the code
  std::int64_t version = 0;
  Runtime runtime = Runtime::kPython3;
  std::string handler;
  std::int32_t memory_mib = 0;
  std::map<std::string, std::string> environment;
};
struct Created {
  std::string error;  // empty: idle and ready
};
struct Run {
  InvocationId id;
  std::int32_t attempt = 1;
  std::int32_t timeout_ms = 0;  // the agent kills at it
  std::string content_type;
  std::string traceparent;
  std::string input;
};
struct Ended {
  InvocationId id;
  std::int32_t attempt = 1;
  Status status = Status::kOk;  // kOk, kError, kTimeout or kOom
  std::string error_type;
  std::string error_message;
  std::string output;
  std::string log_tail;        // end of stdout and stderr
  std::int64_t log_bytes = 0;  // all that was printed
  std::int64_t start_us = 0;   // from receiving Run to the first instruction of user code, guest's clock
  std::int64_t run_us = 0;     // from there to the end of user code
  std::int64_t total_us = 0;   // from receiving Run to sending Ended
  std::int64_t memory_peak_bytes = 0;
};
// The check after a run: nothing is left over in the container but its runtime's own process.
struct Checked {
  std::int64_t cpu_us = 0;  // since the check before it
  bool reusable = false;    // the container passed and is idle again; else ContainerGone follows
};
struct Remove {};
struct ContainerGone {
  std::string reason;
};
struct Ping {
  std::uint64_t sequence = 0;
};
struct Pong {
  std::uint64_t sequence = 0;
};
struct Greet {};
struct WarmUp {};
struct Warmed {
  std::vector<std::string> runtimes;  // those that answered
};

using Message = std::variant<Hello, Configure, Configured, CodeOffer, CodeChunk, CodeStored, Create, Created, Run,
                             Ended, Remove, ContainerGone, Ping, Pong, Greet, WarmUp, Warmed, Checked>;

struct Frame {
  std::uint32_t stream = 0;
  Message message;
};

// The type byte on the wire is the index in Message plus 1. CodeChunk's payload is raw; all else is a msgpack map.
// What is larger than a frame is refused (kExhausted), and `out` stays as it was.
[[nodiscard]] Result<void> AppendGuestFrame(std::string& out, const Frame& frame);
Result<Frame> DecodeGuestFrame(RawFrame raw);

}  // namespace hearth::guest
