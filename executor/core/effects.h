// What the executor's core decides, for its shell to carry out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "executor/core/events.h"
#include "schemas/guest.h"
#include "schemas/link.h"
#include "schemas/record.h"
#include "schemas/result.h"
#include "schemas/usage.h"

namespace hearth::executor {

struct SendToDispatcher {
  LinkId link = 0;
  link::Message message;
};
// Make a machine of the profile, from a shell where one waits; answered by MachineReady or MachineFailed.
struct StartMachine {
  MachineId machine;
  std::string profile;
  bool warm_up = true;  // for the pool: each runtime runs once before MachineReady; else nobody waits for that
};
// How many shells of the profile shall wait. They are made in the background, bounded; ShellsChanged reports them.
struct KeepShells {
  std::string profile;
  std::int32_t count = 0;
};
// Answered by MachineDestroyed. Legal in every state, also while starting.
struct DestroyMachine {
  MachineId machine;
  std::string reason;
};
// The machine has an owner now: the shell records it in the domain's metadata and gives it its share of the processors,
// off the way of the request.
struct MarkOwner {
  MachineId machine;
  UserId user;
  std::int32_t rank = 0;  // how many machines the user has before it
};
struct SendToGuest {
  MachineId machine;
  guest::Frame frame;
};
// The code travels a few chunks at a time, so that other frames to the machine do not wait behind it. Answered by
// ArchiveSent, unless the machine ends.
struct SendArchive {
  MachineId machine;
  CodeHash hash;
  std::shared_ptr<const std::string> bytes;
};
struct LoadCode {
  UserId user;
  CodeHash hash;
};
// Answered by PublishFinished with the same token, exactly once.
struct Publish {
  std::uint64_t token = 0;
  SharedRecord record;
};
// What was handed to Kafka's client and not sent yet comes back as PublishFinished with `purged`.
struct PurgePublishes {};
// Best effort, without an answer.
struct PublishUsage {
  Usage usage;
};
// One line of the log: what happened to an attempt, or which state a machine or a container went to. What is counted
// (kind, status, path, times) is there always, the rest as Settings::detailed_traces says.
struct Trace {
  enum class Kind : std::uint8_t {
    kAccepted,
    kNacked,
    kStarted,
    kEnded,
    kPublished,
    kOrphaned,
    kMachineMoved,
    kContainerMoved
  };
  Kind kind = Kind::kAccepted;
  link::AttemptRef ref;
  InvocationId id;
  UserId user;
  FunctionName function;
  MachineId machine;
  ContainerId container;
  std::string from, to;  // states, where something moved
  Status status = Status::kOk;
  StartPath path = StartPath::kNone;
  Times times;
  std::string reason;
};
// In a Trace's place where its names are not wanted: what it counts.
struct Tally {
  Trace::Kind kind = Trace::Kind::kAccepted;
  Status status = Status::kOk;
  StartPath path = StartPath::kNone;
  Times times{};
};
// The executor was asked to drain, and holds no attempt any more.
struct DrainFinished {};

using Effect = std::variant<SendToDispatcher, StartMachine, KeepShells, DestroyMachine, MarkOwner, SendToGuest,
                            SendArchive, LoadCode, Publish, PurgePublishes, PublishUsage, Trace, Tally, DrainFinished>;

}  // namespace hearth::executor
